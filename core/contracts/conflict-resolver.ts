/**
 * Conflict resolver: which of the versions that did not see each other is current, and what becomes of the others.
 *
 * A pure, total function of the set of versions, so that every site decides alike whatever the order of arrival:
 * commutative (order of the list is irrelevant), associative (resolving a subset first and then the winners with the rest gives the
 * same winner), idempotent (duplicates change nothing). Never throws for a non-empty list, never looks at a clock.
 * The laws are Garage's (`util/crdt`), the conformance kit checks them as properties.
 */
import type { Lifecycle } from './lifecycle.ts';
import type { Op, SiteId, Stamp, VersionPut, VersionRemove } from './model.ts';

/** A version or removal of one key, none of which saw another. */
export type ConflictCandidate = Op<VersionPut> | Op<VersionRemove>;

export interface Resolution {
  /** Stamp of the candidate that is current. */
  readonly winner: Stamp;
  /** What the losers become: listed under conflicts only, or visible sibling versions until somebody resolves them. */
  readonly losers: 'conflict' | 'sibling';
}

/** Only one site accepts writes of buckets and objects; the others are replicas and refuse them (`AccessDenied`, naming the primary). */
export interface WriterRule {
  /** The primary until one is promoted; absent: not known here, and not this site. */
  readonly primary?: SiteId;
  /** Where clients find it: told in refusals, and where `forwards` hands writes to. */
  readonly primaryUrl?: string;
  /** Where clients find this site: what the others tell once it is promoted. */
  readonly url?: string;
  /** As a replica it hands writes to the primary, where that has a known address, in place of refusing them. */
  readonly forwards?: boolean;
}

/** Who is primary. */
export interface PrimaryRole {
  readonly site: SiteId;
  /** Rises with every promotion; 0: by configuration alone. A write of a lower epoch loses to any of a higher one. */
  readonly epoch: number;
  readonly url?: string;
}

export interface ConflictResolver extends Lifecycle {
  /** Absent: every site accepts writes. */
  readonly writers?: WriterRule;
  /** At least one candidate; stamps are distinct except for exact duplicates. */
  resolve(candidates: readonly ConflictCandidate[]): Resolution;
}

export interface ConflictResolverSupports {
  /** Losers stay visible as siblings. */
  readonly siblings: boolean;
}
