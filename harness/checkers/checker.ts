/** What a checker is told and what it may look at. It never asks the system under test to judge itself. */
import type { ChunkStore, Incarnation, MetaReader, Op, SiteId, VersionVector } from '../../core/contracts/index.ts';
import type { ClockRecord } from '../../core/engine/records.ts';
import type { ClockChange } from '../sim/clock.ts';
import type { Commit } from '../sim/site-record.ts';
import type { LogLine } from '../sim/runtime.ts';
import type { CallRecord } from '../workload/history.ts';

/** A site as checkers see it: its disks, not its word. */
export interface SiteView {
  readonly name: SiteId;
  readonly incarnation: Incarnation;
  readonly clock: {
    wallMs(): number;
    /** The largest reading of the last so many milliseconds. */
    latestMs(withinMs: number): number;
    changesSince(ms: number): readonly ClockChange[];
  };
  /** Starts so far. */
  readonly boots: number;
  /** When the process began that runs now or ran last, and when it began to serve: virtual milliseconds. */
  readonly startedMs: number;
  readonly servesSinceMs: number | undefined;
  /** A clean stop is under way: what runs is answered `Closed`. */
  readonly isStopping: boolean;
  /** Times that its disks were set back to a backup. */
  readonly restores: number;
  /** Power cuts so far. */
  readonly crashes: number;
  readonly record: {
    readonly ops: readonly Op[];
    readonly clock: ClockRecord | undefined;
    readonly vector: VersionVector;
    readonly isMerging: boolean;
    wasMergingSince(ms: number): boolean;
  };
  /** What nobody needs is forgotten soon: oplog and tombstones. */
  readonly keepsLittle: boolean;
  readonly meta: { readonly reader: MetaReader };
  readonly chunks: { inspect<T>(look: (store: ChunkStore) => Promise<T>): Promise<T> };
  readonly faults: {
    /** Disk failures that it met so far. */
    readonly met: number;
    /** Records whose bytes changed at rest so far. */
    readonly rotten: number;
  };
}

export interface WorldView {
  readonly sites: readonly SiteView[];
  readonly replicates: boolean;
  readonly movesBytes: boolean;
  readonly network: { readonly met: { readonly corrupted: number } };
  /** A promise was broken. */
  /** At the end there was time enough to give up all that nobody needs. */
  readonly drains: boolean;
  /** Disks of a site were lost, and with them what nobody had fetched. */
  hasLostDisks(): boolean;
  /** Virtual milliseconds. */
  nowMs(): number;
  fail(checker: string, message: string): void;
  /** Something rare happened that a run should meet sometimes. */
  mark(name: string): void;
}

export interface Checker {
  readonly name: string;
  /** These ops were on the disks of a site that are gone, and nowhere else: nobody can be asked for them. */
  onLost?(ops: readonly Op[]): void;
  /** In the turn of the commit. */
  onCommit?(commit: Commit, view: WorldView): void;
  onCall?(call: CallRecord, view: WorldView): void;
  onLog?(line: LogLine, view: WorldView): void;
  /** From time to time while sites run; it sees every disk between two events. */
  onLook?(view: WorldView): Promise<void>;
  /** All faults healed, all sites up and quiet. */
  atRest?(view: WorldView): Promise<void>;
  /** The same, after a last power cut that took everything that was not durable. */
  atEnd?(view: WorldView): Promise<void>;
}
