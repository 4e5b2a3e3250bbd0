/**
 * Group commit, the only door to the meta-store's writes: requests hand in intents; while one flush runs the next group
 * gathers. A flush syncs the chunk-store when somebody appended, then decides all intents in ONE meta-store transaction
 * (preconditions, seq, HLC, rows, oplog), then answers each on its own. One that refuses fails alone.
 */
import {
  SkerryError,
  type Clock,
  type Locator,
  type Logger,
  type MetaKey,
  type MetaReads,
  type MetaStore,
  type Op,
  type OpBody,
  type Origin,
  type Timers,
  type VersionVector,
} from '../contracts/index.ts';
import { newEffects, type ApplyLocal, type Effects } from './apply-context.ts';
import { applyOp } from './apply-op.ts';
import { clockIn } from './clock-row.ts';
import type { Damage } from './damage.ts';
import { hlcWallMs, mergeHlc, nextHlc } from './hlc.ts';
import { bucketKey, clockKey, oplogKey } from './keys.ts';
import type { BucketRecord, ClockRecord } from './records.ts';
import { makeStamp, stampDot, stampHlc } from './stamp.ts';
import type { LedgeredChunkStore } from './sync-ledger.ts';
import { allNeeded, isReadNeeded, transact, type ReadNeeded, type Txn } from './txn.ts';
import { advanceVector, coversDot, coversVector, seqOf } from './vector.ts';

/**
 * `applied`; `known`: the vector covers it already; `early`: something that it comes after is missing, its own predecessor or what
 * it had seen; `held`: its clock is too far ahead of ours (rule 11). Only `applied` changes anything.
 */
export type ApplyOutcome = 'applied' | 'known' | 'early' | 'held';

/** What an intent decides with. Valid during `decide` only. */
export interface CommitContext {
  readonly txn: Txn;
  /** Wall milliseconds of this flush. */
  readonly nowMs: number;
  /** Stamps, logs and applies one new op of this site; `local` is what only this site knows of it. */
  author(body: OpBody, local?: ApplyLocal): Op;
  /** Logs and applies one op of another origin, unchanged; says why when it did not. */
  apply(op: Op, local?: ApplyLocal): ApplyOutcome;
  /** The vector with everything authored so far. */
  vector(): VersionVector;
  /** Vector and clock with everything authored and applied so far. */
  clock(): ClockRecord;
  /** Takes over what a snapshot brought: both only ever grow. Not for ops. */
  moveClock(next: ClockRecord): void;
  readonly effects: Effects;
}

export interface Intent<T> {
  /** What it will surely read; what is missing costs another round. */
  readonly reads: MetaReads;
  /** Records that were appended for it, which must be durable first. */
  readonly appended: readonly Locator[];
  /** Pure but for the context; may run several times. A throw refuses this intent alone. */
  decide(context: CommitContext): T;
}

/** Who may author what, decided by state inside the commit. */
export interface WriteGate {
  /** What `check` reads. */
  readonly keys: readonly MetaKey[];
  /** Throws when this site must not author the op. */
  check(txn: Txn, body: OpBody): void;
}

export interface CommitterDeps {
  readonly metaStore: MetaStore;
  readonly chunkStore: Pick<LedgeredChunkStore, 'sync' | 'isLost' | 'settled'>;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly origin: Origin;
  /** Facts after a flush: ops that are durable and what they let go of. Must not throw. */
  readonly onCommitted: (ops: readonly Op[], effects: Effects) => void;
  /** An op this far ahead of the wall clock is held, milliseconds. */
  readonly maxClockDriftMs: number;
  /** Throws when this site must not write now, given its own clock's last reading. */
  readonly checkWrites?: (clock: Pick<ClockRecord, 'hlc' | 'letInMs'>) => void;
  /** Asked for every own op. */
  readonly gate?: WriteGate;
  /** Records whose bytes are known to be bad. */
  readonly damage?: Pick<Damage, 'has'>;
  /** Most intents of one flush, default 256. */
  readonly groupMax?: number;
}

interface Queued {
  readonly intent: Intent<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

type Outcome = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: unknown };

interface Decided {
  readonly outcomes: readonly Outcome[];
  readonly ops: readonly Op[];
  readonly effects: Effects;
}

export interface Committer {
  commit<T>(intent: Intent<T>): Promise<T>;
  /** Refuses new intents, waits for those that are in. Idempotent. */
  close(): Promise<void>;
}

export function createCommitter(deps: CommitterDeps): Committer {
  const groupMax = deps.groupMax ?? 256;
  let queue: Queued[] = [];
  let flushing: Promise<void> | undefined;
  let closed = false;

  async function drain(): Promise<void> {
    try {
      await new Promise<void>((resolve) => deps.timers.soon(resolve));
      while (queue.length > 0) {
        const group = queue.slice(0, groupMax);
        queue = queue.slice(groupMax);
        await flush(deps, group);
      }
    } finally {
      // in the turn that saw the queue empty: an intent that comes a moment later must start a new drain
      flushing = undefined;
    }
  }

  return {
    commit<T>(intent: Intent<T>): Promise<T> {
      if (closed) return Promise.reject(new SkerryError('Closed', 'the engine is closed'));
      return new Promise<T>((resolve, reject) => {
        queue.push({ intent, resolve: resolve as (value: unknown) => void, reject });
        flushing ??= drain();
      });
    },
    async close() {
      closed = true;
      await flushing;
    },
  };
}

async function flush(deps: CommitterDeps, group: readonly Queued[]): Promise<void> {
  const ready = await syncChunks(deps, group);
  if (ready.length === 0) return;
  let decided: Decided;
  try {
    decided = await transact(
      deps.metaStore,
      {
        keys: [clockKey, ...(deps.gate?.keys ?? []), ...ready.flatMap(({ intent }) => intent.reads.keys ?? [])],
        ranges: ready.flatMap(({ intent }) => intent.reads.ranges ?? []),
      },
      (txn) => decideGroup(deps, ready, txn),
    );
  } catch (error) {
    for (const { reject } of ready) reject(error);
    return;
  }
  decided.outcomes.forEach((outcome, i) => {
    const waiter = ready[i] as Queued;
    if (outcome.ok) deps.chunkStore.settled(waiter.intent.appended);
    if (outcome.ok) waiter.resolve(outcome.value);
    else waiter.reject(outcome.error);
  });
  deps.onCommitted(decided.ops, decided.effects);
}

/** Makes appended data durable; intents whose data a failed sync lost, now or earlier, are refused, the others go on. */
async function syncChunks({ chunkStore, logger }: CommitterDeps, group: readonly Queued[]): Promise<readonly Queued[]> {
  let failure: unknown;
  if (group.some(({ intent }) => intent.appended.length > 0)) {
    await chunkStore.sync().catch((error: unknown) => {
      failure = error;
      logger.error({ err: error }, 'chunk-store sync failed; the writes that needed it are refused');
    });
  }
  const isLost = ({ intent }: Queued): boolean => intent.appended.some((locator) => chunkStore.isLost(locator));
  for (const queued of group) if (isLost(queued)) queued.reject(failure ?? lostEarlier());
  return group.filter((queued) => !isLost(queued));
}

const lostEarlier = (): SkerryError =>
  new SkerryError('Io', 'the chunk-store failed to sync while this write was under way; repeat the request', {
    retryable: true,
  });

function decideGroup(deps: CommitterDeps, group: readonly Queued[], txn: Txn): Decided {
  const effects = newEffects((locator) => deps.damage?.has(locator) === true);
  const ops: Op[] = [];
  const nowMs = deps.clock.wallMs();
  const stored = clockIn(txn);
  let clock = stored;
  const context: CommitContext = {
    txn,
    nowMs,
    effects,
    vector: () => clock.vector,
    clock: () => clock,
    moveClock(next) {
      assertForward(clock, next);
      clock = next;
    },
    author(body, local) {
      deps.checkWrites?.(clock);
      deps.gate?.check(txn, body);
      if (clock.merging) refuseUncovered(txn, clock, body);
      const dot = { origin: deps.origin, seq: seqOf(clock.vector, deps.origin) + 1 };
      const hlc = nextHlc(clock.hlc, nowMs);
      const op: Op = { dot, stamp: makeStamp(hlc, dot.origin, dot.seq), deps: clock.vector, body };
      txn.put(oplogKey(dot.origin, dot.seq), op);
      applyOp({ txn, effects, newest: true }, op, local);
      clock = { ...clock, hlc, vector: advanceVector(clock.vector, dot) };
      ops.push(op);
      return op;
    },
    apply(op, local) {
      const refusal = whyNot(op, clock, nowMs + deps.maxClockDriftMs);
      if (refusal) return refusal;
      txn.put(oplogKey(op.dot.origin, op.dot.seq), op);
      applyOp({ txn, effects, newest: stampHlc(op.stamp) > clock.hlc }, op, local);
      clock = { ...clock, hlc: mergeHlc(clock.hlc, stampHlc(op.stamp)), vector: advanceVector(clock.vector, op.dot) };
      ops.push(op);
      return 'applied';
    },
  };
  const needed: ReadNeeded[] = [];
  const outcomes = group.map(({ intent }): Outcome => {
    const before = { clock, ops: ops.length, effects: effects.mark() };
    try {
      return { ok: true, value: txn.nested(() => intent.decide(context)) };
    } catch (error) {
      // the others go on, if only to tell what they need: all is decided again
      if (isReadNeeded(error)) needed.push(error);
      clock = before.clock;
      ops.length = before.ops;
      effects.reset(before.effects);
      return { ok: false, error };
    }
  });
  if (needed.length > 0) throw allNeeded(needed);
  if (clock !== stored) txn.put(clockKey, clock);
  return { outcomes, ops, effects };
}

function assertForward(from: ClockRecord, to: ClockRecord): void {
  if (to.hlc < from.hlc || !coversVector(to.vector, from.vector))
    throw new SkerryError('Internal', 'a vector or clock may not go back', { details: { from, to } });
}

/**
 * While a snapshot is merged, parts of it are here that the vector does not cover yet. An op that names one of them would reach
 * other sites before what it names.
 */
function refuseUncovered(txn: Txn, { vector }: ClockRecord, body: OpBody): void {
  const named =
    body.type === 'version.remove' || body.type === 'version.setting'
      ? body.target
      : body.type === 'bucket.setting' || body.type === 'bucket.remove'
        ? txn.record<BucketRecord>(bucketKey(body.bucket))?.stamp
        : undefined;
  if (named && !coversDot(vector, stampDot(named)))
    throw new SkerryError('Unavailable', 'this came with a snapshot that is still being merged; repeat the request', {
      details: { stamp: named },
    });
}

/** Ops are applied in order per origin, after everything they had seen, and not from the future. */
function whyNot(
  op: Op,
  { vector, merging, letInMs = 0 }: ClockRecord,
  latestMs: number,
): Exclude<ApplyOutcome, 'applied'> | undefined {
  if (coversDot(vector, op.dot)) return 'known';
  if (merging && coversDot(merging, op.dot)) return 'early'; // some of what it did may be here: the snapshot brings it
  if (op.dot.seq !== seqOf(vector, op.dot.origin) + 1 || !coversVector(vector, op.deps)) return 'early';
  if (hlcWallMs(stampHlc(op.stamp)) <= letInMs) return undefined;
  return hlcWallMs(stampHlc(op.stamp)) > latestMs ? 'held' : undefined;
}
