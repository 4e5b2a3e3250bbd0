/**
 * Leases of the oplog (rule 14): a peer that pulls or bootstraps holds one for what it may still ask for. While it is
 * active no op past its vector is trimmed. It is renewed by use; one that ran out is worth nothing and may be removed.
 */
import type { MetaRange, Origin, VersionVector } from '../contracts/index.ts';
import type { Committer } from './committer.ts';
import { leaseKey, leasePrefix, tupleRange } from './keys.ts';
import { decodeRecord } from './records.ts';
import type { Txn } from './txn.ts';

/** Row of `peers`: what a peer holds, so that it may ask for everything after it. */
export interface LeaseRecord {
  readonly peer: Origin;
  readonly vector: VersionVector;
  /** Wall clock of this site, Unix milliseconds. */
  readonly expiresAtMs: number;
}

export interface Leases {
  /** Grants a lease or renews it, with what the peer has now; those that ran out are forgotten. Durable when it resolves. */
  renew(peer: Origin, vector: VersionVector, ttlMs: number): Promise<LeaseRecord>;
  /** Idempotent. */
  drop(peer: Origin): Promise<void>;
  /** All that are active. */
  list(): Promise<readonly LeaseRecord[]>;
}

/** Far more than peers; below what a scan may ask for, which grows by what the transaction removes. */
const LEASES_MAX = 5000;
const leaseRange: MetaRange = { space: 'peers', ...tupleRange(leasePrefix()), limit: LEASES_MAX };

export function createLeases({ committer }: { readonly committer: Committer }): Leases {
  return {
    renew: (peer, vector, ttlMs) =>
      committer.commit({
        reads: { ranges: [leaseRange] },
        appended: [],
        decide({ txn, nowMs }) {
          const lease: LeaseRecord = { peer, vector, expiresAtMs: nowMs + ttlMs };
          for (const old of leasesIn(txn)) if (old.expiresAtMs <= nowMs) txn.remove(leaseKey(old.peer));
          txn.put(leaseKey(peer), lease);
          return lease;
        },
      }),
    drop: (peer) => committer.commit({ reads: {}, appended: [], decide: ({ txn }) => txn.remove(leaseKey(peer)) }),
    list: () =>
      committer.commit({
        reads: { ranges: [leaseRange] },
        appended: [],
        decide: ({ txn, nowMs }) => activeLeases(txn, nowMs),
      }),
  };
}

/** Declared by a decision that asks for active leases. */
export const leaseReads: readonly MetaRange[] = [leaseRange];

export function activeLeases(txn: Txn, nowMs: number): readonly LeaseRecord[] {
  return leasesIn(txn).filter(({ expiresAtMs }) => expiresAtMs > nowMs);
}

const leasesIn = (txn: Txn): readonly LeaseRecord[] =>
  txn.scan(leaseRange).map(({ value }) => decodeRecord<LeaseRecord>(value));
