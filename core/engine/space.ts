/**
 * Garbage collection as a whole: what would go and why (plan), and a pass that gives it back: what the queue of chunks names,
 * what stable removals keep, losers of conflicts past their time, uploads that lost their bucket, what no row names, and freed
 * space among live records. Passes run in the background too. Each step is a transaction or frees what no row names, so that a
 * kill at any moment loses nothing.
 */
import {
  type ChunkHash,
  type Clock,
  type GcOptions,
  type GcPlan,
  type GcReport,
  type GcStatus,
  type SpaceService,
  type Timers,
} from '../contracts/index.ts';
import { compact, type CompactionDeps } from './compaction.ts';
import type { ConflictRetention } from './conflict-retention.ts';
import { endStranded } from './ended-uploads.ts';
import type { GarbageCollector } from './garbage.ts';
import { garbageKey, lossesKey } from './keys.ts';
import type { Purger } from './purge.ts';
import type { Reclaimer } from './reclaim.ts';
import { survey, type SurveyDeps, type Surveyed } from './survey.ts';

export interface SpaceOptions {
  /** Milliseconds between passes in the background; 0: none. Default a day. */
  readonly intervalMs?: number;
  /** Segments with at least this share of dead bytes are emptied, above 0 to 1; default 0.5. */
  readonly deadShareMin?: number;
}

export interface SpaceDeps extends SurveyDeps, CompactionDeps {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly reclaimer: Pick<Reclaimer, 'free' | 'barrier' | 'settle'>;
  readonly garbage: Pick<GarbageCollector, 'run'>;
  readonly purger: Pick<Purger, 'run'>;
  readonly conflictRetention: ConflictRetention;
  readonly gc?: SpaceOptions;
}

export interface Space extends SpaceService {
  gcStatus(): GcStatus;
  /** Passes in the background from now on. */
  start(): void;
  /** Ends a running pass. Idempotent. */
  close(): Promise<void>;
}

const DAY_MS = 24 * 60 * 60 * 1000;
const BATCH = 500;

type Pause = () => Promise<void>;

export function createSpace(deps: SpaceDeps): Space {
  const { timers, clock, logger, gc } = deps;
  const intervalMs = gc?.intervalMs ?? DAY_MS;
  const stop = new AbortController();
  let timer: { cancel(): void } | undefined;
  let last: GcReport | undefined;
  let failure: string | undefined;
  let running: Promise<unknown> = Promise.resolve();

  /** One at a time: two surveys would find the same. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const next = running.then(work);
    running = next.catch(() => undefined); // whoever asked for it has the failure
    return next;
  }

  async function pass(given: GcOptions, pause: Pause): Promise<GcReport> {
    last = await collect(deps, given, { signal: stop.signal, pause });
    return last;
  }

  function start(): void {
    if (stop.signal.aborted || intervalMs === 0) return;
    timer = timers.after(intervalMs, () => void inBackground().then(start), { unref: true });
  }

  async function inBackground(): Promise<void> {
    try {
      const { tookMs, freed, moved, plan } = await inTurn(() => pass({}, resting()));
      failure = undefined;
      const lost = { missing: plan.missing.count, damaged: plan.damaged.count };
      if (lost.missing + lost.damaged > 0) logger.error(lost, 'garbage collection found rows without good bytes');
      logger.info({ tookMs, freed, moved }, 'garbage collection');
    } catch (err) {
      if (stop.signal.aborted) return;
      failure = err instanceof Error ? err.message : String(err);
      logger.error({ err }, 'garbage collection failed; it is tried again');
    }
  }

  return {
    gcPlan: () => inTurn(() => plan(deps, stop.signal)),
    gcRun: (given = {}) => inTurn(() => pass(given, working(timers))),
    gcStatus: () => ({ intervalMs, ...(last ? { last } : {}), ...(failure === undefined ? {} : { failure }) }),
    start,
    async close() {
      stop.abort();
      timer?.cancel();
      await running;
    },
  };

  /** Rests as long as it has worked since the last time. */
  function resting(): Pause {
    let sinceMs = clock.monotonicMs();
    return async () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      const rest = timers.after(Math.ceil(clock.monotonicMs() - sinceMs), resolve, { unref: true });
      const wake = (): void => resolve();
      stop.signal.addEventListener('abort', wake, { once: true });
      await promise;
      stop.signal.removeEventListener('abort', wake);
      rest.cancel();
      sinceMs = clock.monotonicMs();
    };
  }
}

/** Lets others have a turn. */
const working =
  (timers: Timers): Pause =>
  () =>
    new Promise((resolve) => timers.soon(resolve));

async function plan(deps: SpaceDeps, signal: AbortSignal): Promise<GcPlan> {
  const surveyed = await survey(deps, { signal, pause: working(deps.timers) });
  return withLosers(surveyed.plan, await deps.conflictRetention.due());
}

const withLosers = (found: GcPlan, conflictLosers: number): GcPlan => ({
  ...found,
  garbage: { ...found.garbage, conflictLosers },
});

interface Going {
  readonly signal: AbortSignal;
  readonly pause: Pause;
}

async function collect(deps: SpaceDeps, { despiteLosses = false }: GcOptions, going: Going): Promise<GcReport> {
  const { chunkStore, clock, conflictRetention, purger, garbage, reclaimer } = deps;
  const startedAtMs = clock.wallMs();
  const beganMs = clock.monotonicMs();
  const before = await chunkStore.usage();
  const due = await conflictRetention.due();
  const conflictLosers = await conflictRetention.run(going.signal);
  const { tombstones } = await purger.run();
  await endStranded({ ...deps, reader: deps.metaStore }, going.signal);
  let chunks = await drain(garbage);
  let first: GcPlan | undefined;
  const orphans = { records: 0, bytes: 0 };
  for (let isCut = true; isCut;) {
    const surveyed = await survey(deps, going);
    first ??= withLosers(surveyed.plan, due);
    const isBlocked = surveyed.plan.blocked !== undefined && !despiteLosses;
    if (!isBlocked) await enqueue(deps, surveyed.unreferenced);
    chunks += await drain(garbage);
    if (!isBlocked) await freeOrphans(deps, surveyed, orphans, going);
    if (despiteLosses) await forgetLosses(deps);
    isCut = surveyed.isCut && !isBlocked;
    // what a running read holds up would be found once more
    if (isCut) await reclaimer.barrier(going.signal);
    if (isCut) await reclaimer.settle();
  }
  await reclaimer.settle();
  const moved = await compact(deps, { ...going, deadShareMin: deps.gc?.deadShareMin ?? 0.5 });
  await reclaimer.settle();
  return {
    startedAtMs,
    tookMs: Math.round(clock.monotonicMs() - beganMs),
    plan: first as GcPlan,
    freed: { orphans, chunks, tombstones, conflictLosers },
    moved,
    before,
    after: await chunkStore.usage(),
  };
}

/** A manifest node that goes lets go of its entries, which the next round finds. */
async function drain(garbage: SpaceDeps['garbage']): Promise<number> {
  let total = 0;
  for (let chunks = await garbage.run(); chunks > 0; chunks = await garbage.run()) total += chunks;
  return total;
}

/**
 * Chunks that nothing holds: the collector decides, which knows what running writes rely on. One that is queued already stays as it
 * is: its row says who let go last, and the collector may be waiting for earlier readers alone.
 */
async function enqueue({ committer }: SpaceDeps, hashes: readonly ChunkHash[]): Promise<void> {
  for (let at = 0; at < hashes.length; at += BATCH) {
    const batch = hashes.slice(at, at + BATCH).map(garbageKey);
    await committer.commit({
      reads: { keys: batch },
      appended: [],
      decide({ txn, effects }) {
        for (const row of batch) if (txn.get(row) === undefined) txn.set(row, NOBODY);
        effects.garbage = true;
      },
    });
  }
}

const NOBODY = new Uint8Array(0);

/** What no row names is garbage again. */
function forgetLosses({ committer }: SpaceDeps): Promise<void> {
  return committer.commit({ reads: {}, appended: [], decide: ({ txn }) => txn.remove(lossesKey) });
}

/** A version that was dropped a moment ago may still be read: what it owned is freed as if it were let go of now. */
async function freeOrphans(
  { reclaimer }: SpaceDeps,
  { orphans }: Surveyed,
  total: { records: number; bytes: number },
  { pause }: Going,
): Promise<void> {
  for (let at = 0; at < orphans.length; at += BATCH) {
    const batch = orphans.slice(at, at + BATCH);
    reclaimer.free(batch.map(({ locator }) => locator));
    total.records += batch.length;
    total.bytes += batch.reduce((sum, { length }) => sum + length, 0);
    await pause();
  }
}
