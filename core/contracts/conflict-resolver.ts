/**
 * Conflict resolver: which of the versions that did not see each other is current, and what becomes of the others.
 *
 * A pure, total function of the set of versions, so that every site decides alike whatever the order of arrival:
 * commutative (order of the list is irrelevant), associative (resolving a subset first and then the winners with the rest gives the
 * same winner), idempotent (duplicates change nothing). Never throws for a non-empty list, never looks at a clock.
 * The laws are Garage's (`util/crdt`), the conformance kit checks them as properties.
 */
import type { Lifecycle } from './lifecycle.ts';
import type { Op, Stamp, VersionPut, VersionRemove } from './model.ts';

/** A version or removal of one key, none of which saw another. */
export type ConflictCandidate = Op<VersionPut> | Op<VersionRemove>;

export interface Resolution {
  /** Stamp of the candidate that is current. */
  readonly winner: Stamp;
  /** What the losers become: listed under conflicts only, or visible sibling versions until somebody resolves them. */
  readonly losers: 'conflict' | 'sibling';
}

export interface ConflictResolver extends Lifecycle {
  /** At least one candidate; stamps are distinct except for exact duplicates. */
  resolve(candidates: readonly ConflictCandidate[]): Resolution;
}

export interface ConflictResolverSupports {
  /** Losers stay visible as siblings. */
  readonly siblings: boolean;
}
