/** What the site's bytes are needed for, and how what nobody needs is given back. */
import type { ChunkUsage } from './chunk-store.ts';

export interface SpaceAmount {
  readonly records: number;
  /** Of data, without the store's own headers. */
  readonly bytes: number;
}

export interface GarbageFound extends SpaceAmount {
  /** A few of them: locators or hashes. */
  readonly samples: readonly string[];
}

/** Something that a row names and that the chunk-store does not have, or not undamaged. */
export interface LostBytes {
  readonly reason: string;
  readonly locator?: string;
  readonly hash: string;
  /** Absent for a chunk that several may share. */
  readonly bucket?: string;
  readonly key?: string;
  /** Stamp of the version. */
  readonly stamp?: string;
}

export interface LostFound {
  readonly count: number;
  /** At most 100 of them. */
  readonly samples: readonly LostBytes[];
}

export interface GcPlan {
  readonly storage: ChunkUsage;
  /** Named by rows: versions and what they share. */
  readonly live: SpaceAmount;
  /** The log of ops, which the index is rebuilt from. */
  readonly ops: SpaceAmount;
  /** Of writes that are under way. */
  readonly inFlight: SpaceAmount;
  readonly garbage: {
    /** No row names them: a crash between storing and committing leaves such. */
    readonly orphans: GarbageFound;
    /** Shared chunks that nothing holds any more. */
    readonly unreferenced: GarbageFound;
    /** Versions that lost a conflict longer ago than they are kept. */
    readonly conflictLosers: number;
    /** Freed records that still take space among live ones, bytes. */
    readonly deadBytes: number;
  };
  /** What stays although readers do not see it. */
  readonly kept: {
    /** Versions that lost a conflict. */
    readonly conflictLosers: number;
    /** Removed versions that a lock may still bring back. */
    readonly removedVersions: number;
    /** Parts of uploads that were neither completed nor aborted: a lifecycle rule or their client ends them. */
    readonly uploadParts: SpaceAmount;
    /** Versions whose bytes are on their way from other sites. */
    readonly pendingVersions: number;
  };
  /** Named by rows and not in the store. Nothing of it is ever given back. */
  readonly missing: LostFound;
  /** Named by rows and damaged. */
  readonly damaged: LostFound;
  /** Damaged records that no row names and that may be ops, one sentence each, at most 100. They stay. */
  readonly strays: readonly string[];
  /** Why orphans are not given back; absent when they are. */
  readonly blocked?: string;
}

export interface GcReport {
  readonly startedAtMs: number;
  readonly tookMs: number;
  /** As it was found. */
  readonly plan: GcPlan;
  readonly freed: {
    readonly orphans: SpaceAmount;
    /** Shared chunks. */
    readonly chunks: number;
    /** Recorded removals that every site knows of. */
    readonly tombstones: number;
    readonly conflictLosers: number;
  };
  /** Live records that were moved out of segments that are mostly dead. */
  readonly moved: SpaceAmount;
  readonly before: ChunkUsage;
  readonly after: ChunkUsage;
}

export interface GcOptions {
  /**
   * Give orphans back although the index was rebuilt with losses: a better repair finds less then. From then on they are given back
   * as always. Default false.
   */
  readonly despiteLosses?: boolean;
}

export interface GcStatus {
  /** Milliseconds between passes in the background; 0: none. */
  readonly intervalMs: number;
  /** The last pass that ended since the start, whoever asked for it. */
  readonly last?: GcReport;
  /** Why the last pass in the background failed; absent after one that did not. */
  readonly failure?: string;
}

export interface SpaceService {
  /** Changes nothing. Reads everything that is stored. */
  gcPlan(): Promise<GcPlan>;
  /** Safe at any time and to be killed at any time. Resolves when the space is given back, but for what a reader still reads. */
  gcRun(options?: GcOptions): Promise<GcReport>;
}
