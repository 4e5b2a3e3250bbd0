/** Two to five sites, any topology, links cut at random: equal vectors mean equal state always, and all are equal in the end. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import * as fc from 'fast-check';

import { Cluster, topology, type TestSite } from './fixtures/cluster.ts';

type Kind = Parameters<typeof topology>[0];
type Event =
  | { readonly kind: 'put'; readonly site: number; readonly key: number }
  | { readonly kind: 'cut'; readonly edge: number }
  | { readonly kind: 'heal' }
  | { readonly kind: 'wait'; readonly ms: number };

const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('put' as const), site: fc.nat(4), key: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('cut' as const), edge: fc.nat(19) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('heal' as const) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(3000) }) },
);

const canonical = (value: object): string =>
  JSON.stringify(Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))));

function checkAlways(sites: readonly TestSite[]): void {
  const states = new Map<string, string>();
  for (const { replica } of sites) {
    const vector = canonical(replica.vector);
    const state = canonical(replica.state());
    assert.equal(states.get(vector) ?? state, state, `two states under ${vector}`);
    states.set(vector, state);
  }
}

const areEqual = (sites: readonly TestSite[]): boolean =>
  new Set(sites.map(({ replica }) => canonical(replica.vector))).size === 1;

async function runPlan(kind: Kind, count: number, plan: readonly Event[], stalls: boolean): Promise<void> {
  const cluster = new Cluster();
  const edges = topology(kind, count);
  const sites = Object.values(await cluster.start(edges));
  cluster.network.stalls = stalls;
  let writes = 0;
  for (const step of plan) {
    if (step.kind === 'put') sites[step.site % count]?.replica.put(`k${step.key}`, [Buffer.from(`${writes++}`)]);
    if (step.kind === 'cut') cluster.network.cut(...(edges[step.edge % edges.length] as [string, string]));
    if (step.kind === 'heal') cluster.network.heal();
    if (step.kind === 'wait') await cluster.time.run(step.ms);
    checkAlways(sites);
  }
  cluster.network.heal();
  const converged = await cluster.time.until(() => areEqual(sites), 300_000);
  assert.ok(
    converged,
    `apart after five minutes: ${sites.map(({ replica }) => canonical(replica.vector)).join(' | ')}`,
  );
  checkAlways(sites);
  const total = sites.reduce((sum, { replica }) => sum + (replica.vector[replica.origin] ?? 0), 0);
  assert.equal(total, writes);
  await cluster.stop();
}

describe('convergence under cuts', () => {
  for (const kind of ['mesh', 'ring', 'star', 'chain'] as const) {
    for (const count of [2, 3, 5]) {
      test(`${kind} of ${count}`, () => {
        const property = fc.asyncProperty(
          fc.array(event, { minLength: 5, maxLength: 30 }),
          fc.boolean(),
          (plan, stalls) => runPlan(kind, count, plan, stalls),
        );
        return fc.assert(property, { seed: 41, numRuns: 12 });
      });
    }
  }
});
