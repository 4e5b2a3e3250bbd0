/**
 * What a site keeps for its peers and gives up when nobody needs it: snapshots served and merged, leases, the memory of
 * replication, purging; and whether it may write at all: its clock is believed and its past is its own (rules 11 to 15).
 */
import { SkerryError, type Clock, type Logger, type MetaStore, type Random, type Timers } from '../contracts/index.ts';
import type { ClockGuard, Reading } from './clock-guard.ts';
import type { Committer } from './committer.ts';
import { createLeases, type Leases } from './leases.ts';
import { mergeCut, mergeInProgress, type CutSource } from './merge-cut.ts';
import type { Self } from './members.ts';
import { createPurger, ownFrontier, withGrace, type Purger, type StableFrontier } from './purge.ts';
import type { MergingRecord, Visibility } from './records.ts';
import type { ReplicaState } from './replica-state.ts';
import { createCutServer, type CutServer } from './snapshot.ts';

export const DEFAULT_TOMBSTONE_GRACE_MS = 24 * 60 * 60 * 1000;

export interface WriteDoor {
  /** Throws `ClockUntrusted`, or `Unavailable` once the site is fenced. */
  check(clock: Reading): void;
  /** Refuses writes from now on. `reason` is shown to clients and operators; the last one given counts. */
  fence(reason: string): void;
  /** The site is another origin and has its past: writes are accepted again. */
  unfence(): void;
  /** Why writes are refused now. */
  refusal(): string | undefined;
}

export function createWriteDoor(guard: ClockGuard): WriteDoor {
  let fenced: string | undefined;
  return {
    check(clock) {
      if (fenced !== undefined)
        throw new SkerryError('Unavailable', `this site accepts no writes: ${fenced}`, {
          details: { reason: 'fenced' },
        });
      guard.check(clock);
    },
    fence: (reason) => void (fenced = reason),
    unfence: () => void (fenced = undefined),
    refusal: () => fenced ?? guard.problem(),
  };
}

export interface Keeping extends Pick<WriteDoor, 'fence' | 'unfence' | 'refusal'> {
  readonly leases: Leases;
  readonly cuts: CutServer;
  readonly purger: Purger;
  readonly clockGuard: Pick<ClockGuard, 'trust'>;
  /** As `mergeCut`, with what must be read anew afterwards. */
  merge(source: CutSource, signal?: AbortSignal): Promise<void>;
  /** The snapshot that this site is in the middle of. */
  merging(): Promise<MergingRecord | undefined>;
  /**
   * Who proves what is stable where there may be peers; `undefined` while nothing is proven. Call before `open`. It is asked once other
   * members are recorded. Without it, and if no member was ever heard of, the site is alone: its own vector is the frontier.
   */
  useFrontier(frontier: () => Promise<StableFrontier | undefined>): void;
  /** Purging begins. */
  open(): void;
  close(): Promise<void>;
}

export interface KeepingDeps {
  readonly metaStore: MetaStore;
  readonly committer: Committer;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  readonly maxClockDriftMs: number;
  /** Ops of each origin that are kept although nobody needs them. */
  readonly keepOps: number;
  /** A snapshot that nobody asked for this long is let go of, milliseconds. */
  readonly leaseTtlMs?: number;
  /** Entries of one transaction while a snapshot is merged. */
  readonly batchEntities?: number;
  /** When versions that a snapshot brings are shown. */
  readonly visibility?: Visibility;
  /** Milliseconds between passes of purging. */
  readonly purgeIntervalMs?: number;
  /** Tombstones of stable removals stay this long, milliseconds: for newcomers that wrote before they joined. */
  readonly tombstoneGraceMs?: number;
  readonly self: Self;
  readonly guard: ClockGuard;
  readonly door: WriteDoor;
  /** Opened by whoever made it. */
  readonly state: ReplicaState;
  /** A snapshot was merged: caches of registers are stale. */
  readonly onMerged: () => Promise<void>;
}

export function createKeeping(deps: KeepingDeps): Keeping {
  const { metaStore, committer, guard, door, state, tombstoneGraceMs = DEFAULT_TOMBSTONE_GRACE_MS } = deps;
  const cuts = createCutServer(deps);
  let proven: (() => Promise<StableFrontier | undefined>) | undefined;

  /** Peers that nobody recorded as members may hold anything: with such, and nobody to tell, nothing is stable. */
  async function frontier(): Promise<StableFrontier | undefined> {
    const hasOthers = (await state.memberRegisters()).some(({ origin }) => origin !== deps.self.origin);
    if (proven) return hasOthers ? withGrace(await proven(), tombstoneGraceMs) : undefined;
    const isAlone = !hasOthers && (await state.loadWatermarks()).length === 0;
    return isAlone ? ownFrontier(metaStore) : undefined;
  }

  const { purgeIntervalMs: intervalMs } = deps;
  const purger = createPurger({
    ...deps,
    reader: metaStore,
    frontier,
    ...(intervalMs === undefined ? {} : { intervalMs }),
  });
  return {
    leases: createLeases({ committer }),
    cuts,
    purger,
    clockGuard: guard,
    fence: (reason) => door.fence(reason),
    unfence: () => door.unfence(),
    refusal: () => door.refusal(),
    useFrontier: (given) => void (proven = given),
    async merge(source, signal) {
      state.enterBootstrap();
      try {
        await mergeCut(deps, source, signal);
      } finally {
        await state.refresh();
      }
      await deps.onMerged();
    },
    merging: () => mergeInProgress({ metaStore }),
    open: () => purger.start(),
    async close() {
      await purger.close();
      await cuts.close();
    },
  };
}
