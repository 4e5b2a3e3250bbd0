/**
 * Conformance kit of conflict resolvers: the laws of the contract as properties over sets of versions and removals.
 *
 *     conflictResolverConformance({ test, supports: plugin.supports, create: async () => ({ port: plugin.create(deps, options) }) });
 */
import assert from 'node:assert/strict';

import * as fc from 'fast-check';

import type {
  ConflictCandidate,
  ConflictResolver,
  ConflictResolverSupports,
  Stamp,
} from '../../core/contracts/index.ts';
import { candidateSets, someCandidates } from './conflict-resolver/candidates.ts';
import { withOpen, type KitOptions } from './runner.ts';
import { lifecycleTrait } from './traits.ts';

export type ConflictResolverKitOptions = KitOptions<ConflictResolver, ConflictResolverSupports>;
type Law<T> = (resolver: ConflictResolver, drawn: T) => void;

export function conflictResolverConformance(options: ConflictResolverKitOptions): void {
  const { test, create, supports, seed = 1, runs = 200 } = options;
  const law = <T>(title: string, arbitrary: fc.Arbitrary<T>, check: Law<T>): void => {
    test(title, () =>
      withOpen(create, async (resolver) => {
        fc.assert(
          fc.property(arbitrary, (drawn) => check(resolver, drawn)),
          { seed, numRuns: runs },
        );
      }),
    );
  };
  lifecycleTrait<ConflictResolver>({
    test,
    create,
    operations: { resolve: async (resolver) => resolver.resolve(someCandidates()) },
  });
  totalityLaws(law, supports);
  mergeLaws(law);
}

type Declare = <T>(title: string, arbitrary: fc.Arbitrary<T>, check: Law<T>) => void;
type Candidates = readonly ConflictCandidate[];

const winner = (resolver: ConflictResolver, candidates: Candidates): Stamp => resolver.resolve(candidates).winner;

function totalityLaws(law: Declare, supports: ConflictResolverSupports): void {
  law('total: the winner is one of the candidates, whatever they are', candidateSets, (resolver, candidates) => {
    const stamps = candidates.map(({ stamp }) => stamp);
    assert.ok(stamps.includes(winner(resolver, candidates)), 'the winner is no candidate');
  });
  law('one candidate wins', candidateSets, (resolver, [only]) => {
    if (only !== undefined) assert.equal(winner(resolver, [only]), only.stamp);
  });
  law('pure: asked again it answers the same, and so does a fresh copy', candidateSets, (resolver, candidates) => {
    const first = resolver.resolve(candidates);
    assert.deepEqual(resolver.resolve(candidates), first);
    assert.deepEqual(resolver.resolve(structuredClone(candidates)), first);
  });
  law('what it is given stays as it was', candidateSets, (resolver, candidates) => {
    const before = structuredClone(candidates);
    resolver.resolve(candidates);
    assert.deepEqual(candidates, before);
    resolver.resolve(Object.freeze([...candidates].reverse()));
  });
  law(
    `losers are ${supports.siblings ? 'conflicts or siblings' : 'conflicts'}`,
    candidateSets,
    (resolver, candidates) => {
      const { losers } = resolver.resolve(candidates);
      assert.ok(losers === 'conflict' || (supports.siblings && losers === 'sibling'), `losers are ${losers}`);
    },
  );
}

function mergeLaws(law: Declare): void {
  const shuffled = candidateSets.chain((set) => {
    return fc.tuple(fc.constant(set), fc.shuffledSubarray([...set], { minLength: set.length, maxLength: set.length }));
  });
  law('commutative: the order of arrival is irrelevant', shuffled, (resolver, [set, other]) => {
    assert.deepEqual(resolver.resolve(other), resolver.resolve(set));
  });
  const repeated = candidateSets.chain((set) =>
    fc.tuple(fc.constant(set), fc.array(fc.constantFrom(...set), { maxLength: 8 })),
  );
  law('idempotent: duplicates change nothing', repeated, (resolver, [set, again]) => {
    assert.deepEqual(resolver.resolve([...set, ...again]), resolver.resolve(set));
    assert.deepEqual(resolver.resolve([...again, ...set, ...set]), resolver.resolve(set));
  });
  const grouped = candidateSets.chain((set) => {
    return fc.tuple(fc.constant(set), fc.array(fc.nat({ max: 2 }), { minLength: set.length, maxLength: set.length }));
  });
  law('associative: the winners of any parts give the winner of the whole', grouped, (resolver, [set, groups]) => {
    const parts = [0, 1, 2].map((group) => set.filter((_, at) => groups[at] === group));
    const stamps = new Set(parts.filter((part) => part.length > 0).map((part) => winner(resolver, part)));
    const winners = set.filter(({ stamp }) => stamps.has(stamp));
    assert.equal(winner(resolver, winners), winner(resolver, set));
  });
}
