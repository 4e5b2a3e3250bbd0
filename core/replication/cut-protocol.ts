/**
 * Messages about what a site keeps for its peers: snapshots that it serves in pieces (rule 15) and leases of its oplog
 * (rule 14). A snapshot is opened, read from any position on as often as the link breaks, and given back.
 */
import type { VersionVector } from '../contracts/index.ts';
import type { CutPosition } from '../engine/cut-entities.ts';
import type { CutPage, OpenedCut } from '../engine/snapshot.ts';

export const CUT_CALLS = ['cut', 'cut-pages', 'cut-release', 'lease'] as const;

export interface CutRequest {
  readonly protocol: number;
  /** What the asker has. */
  readonly have: VersionVector;
  /** One that the asker has read a part of; it is answered if it is still pinned, and a new one otherwise. */
  readonly resume?: string;
  /** An operator said so: a site that is itself half filled serves an asker that has all it is filled with. */
  readonly half?: true;
}

export type CutAnswer = OpenedCut;

export interface CutPagesRequest {
  readonly protocol: number;
  readonly cutId: string;
  /** Everything up to here is known; absent: from the start. */
  readonly after?: CutPosition;
  readonly maxEntities: number;
  readonly maxBytes: number;
}

/** Pages follow each other until one has no `to`. */
export type CutPageFrame = CutPage;

export interface CutReleaseRequest {
  readonly protocol: number;
  readonly cutId: string;
}

export interface CutReleaseAnswer {
  /** False: it was gone already. */
  readonly released: boolean;
}

export interface LeaseRequest {
  readonly protocol: number;
  /** What the asker has: it may ask for everything after. Absent: it gives its lease up. */
  readonly have?: VersionVector;
}

export interface LeaseAnswer {
  /** Milliseconds that the lease lasts without use; 0 when it was given up. */
  readonly ttlMs: number;
}
