/**
 * Giving up what nobody needs any more (rule 14). The oplog is trimmed up to where every member has applied it and no lease
 * may ask for it. A tombstone goes when it is stable and its op is trimmed: so whoever does not know of the removal is told
 * `gap` and takes a snapshot, and nobody can learn of it from one site after another forgot it. Never by age.
 */
import {
  isSkerryError,
  type Hlc,
  type Logger,
  type MetaKey,
  type MetaReader,
  type MetaRow,
  type Origin,
  type Stamp,
  type Timers,
  type VersionVector,
} from '../contracts/index.ts';
import { releaseStable, removalsOf } from './apply-removal.ts';
import { settleEarly } from './early-ops.ts';
import { readClock } from './clock-row.ts';
import type { CommitContext, Committer } from './committer.ts';
import { hlcWallMs } from './hlc.ts';
import { KeyState } from './key-state.ts';
import {
  after,
  bucketTombstonePrefix,
  clockKey,
  opLogKey,
  oplogPrefix,
  parseTombstoneKey,
  registerKey,
  tombstoneBucketPrefix,
  tombstonePrefix,
  trimmedKey,
  tupleRange,
} from './keys.ts';
import { activeLeases, leaseReads } from './leases.ts';
import {
  decodeRecord,
  type BucketTombstone,
  type OpLogRecord,
  type Register,
  type TombstoneRecord,
} from './records.ts';
import { stampDot, stampHlc } from './stamp.ts';
import { decideTogether } from './txn.ts';
import { EMPTY_VECTOR, coversDot, meetVectors, seqOf } from './vector.ts';

/** What every member is proven to have applied, and a clock that everything they still write is past. */
export interface StableFrontier {
  readonly vector: VersionVector;
  readonly hlc: Hlc;
  /** Tombstones and removed registers written after this stay all the same, Unix milliseconds; absent: none does. */
  readonly forgetUntilMs?: number;
}

export interface PurgeDeps {
  readonly reader: MetaReader;
  readonly committer: Committer;
  readonly timers: Timers;
  readonly logger: Logger;
  /**
   * `undefined` while nothing is proven. A site without members or peers is alone: its own vector and clock are the frontier,
   * since whoever joins it later takes a snapshot first.
   */
  readonly frontier: () => Promise<StableFrontier | undefined>;
  /** Ops of each origin that are kept although nobody needs them; default 0. */
  readonly keepOps?: number;
  /** Milliseconds between passes; default 60,000. */
  readonly intervalMs?: number;
}

export interface PurgeReport {
  readonly ops: number;
  readonly tombstones: number;
}

export interface Purger {
  /** One pass over everything, in bounded transactions. */
  run(): Promise<PurgeReport>;
  /** Passes in the background from now on. */
  start(): void;
  /** Waits for a running pass. Idempotent. */
  close(): Promise<void>;
}

const BATCH = 200;
const INTERVAL_MS = 60_000;

export function createPurger(deps: PurgeDeps): Purger {
  const stop = new AbortController();
  let timer: { cancel(): void } | undefined;
  let running: Promise<PurgeReport> | undefined;

  function run(): Promise<PurgeReport> {
    running ??= purge(deps, stop.signal).finally(() => (running = undefined));
    return running;
  }

  function start(): void {
    if (stop.signal.aborted) return;
    timer = deps.timers.after(
      deps.intervalMs ?? INTERVAL_MS,
      () => {
        run().then(start, (error: unknown) => {
          if (!isSkerryError(error, 'Closed')) deps.logger.error({ err: error }, 'purging failed; it is tried again');
          start();
        });
      },
      { unref: true },
    );
  }

  return {
    run,
    start,
    async close() {
      stop.abort();
      timer?.cancel();
      await running?.catch(() => undefined); // whoever asked for it has the failure
    },
  };
}

async function purge(deps: PurgeDeps, stop: AbortSignal): Promise<PurgeReport> {
  await settleEarly(deps);
  const frontier = await deps.frontier();
  if (frontier === undefined) return { ops: 0, tombstones: 0 };
  const ops = await trim(deps, frontier, stop);
  const tombstones = await purgeTombstones(deps, frontier, stop);
  return { ops, tombstones: tombstones + (await purgeRegisters(deps, frontier, stop)) };
}

async function trim(deps: PurgeDeps, frontier: StableFrontier, stop: AbortSignal): Promise<number> {
  let trimmed = 0;
  for (const origin of Object.keys(frontier.vector)) {
    for (let isDone = false; !isDone && !stop.aborted;) {
      const removed = await trimBatch(deps, frontier, origin);
      trimmed += removed;
      isDone = removed < BATCH;
    }
  }
  return trimmed;
}

/** Removes the oldest ops of one origin, and says in the same transaction up to where they are gone. */
function trimBatch({ committer, keepOps = 0 }: PurgeDeps, frontier: StableFrontier, origin: Origin): Promise<number> {
  const oldest = { space: 'oplog' as const, ...tupleRange(oplogPrefix(origin)), limit: BATCH };
  return committer.commit({
    reads: { keys: [trimmedKey, opLogKey, clockKey], ranges: [oldest, ...leaseReads] },
    appended: [],
    decide({ txn, nowMs, vector }) {
      const logged = txn.record<OpLogRecord>(opLogKey)?.vector ?? EMPTY_VECTOR;
      const needed = [logged, ...activeLeases(txn, nowMs).map((lease) => lease.vector)];
      const free = needed.reduce(meetVectors, frontier.vector);
      const last = Math.min(seqOf(free, origin), seqOf(vector(), origin) - keepOps);
      const gone = txn.scan(oldest).filter(({ key }) => seqOfRow(key) <= last);
      const newest = gone.at(-1);
      if (!newest) return 0;
      for (const { key } of gone) txn.remove({ space: 'oplog', key });
      const trimmed = txn.record<VersionVector>(trimmedKey) ?? EMPTY_VECTOR;
      txn.put(trimmedKey, { ...trimmed, [origin]: Math.max(seqOf(trimmed, origin), seqOfRow(newest.key)) });
      return gone.length;
    },
  });
}

const seqOfRow = (key: Uint8Array): number => Buffer.from(key).readUIntBE(key.length - 6, 6);

/** Rows that may go, one page after another, each decided again in a transaction. */
async function purgeRows(
  { reader, committer }: PurgeDeps,
  range: { readonly space: 'tombstones' | 'registers'; readonly prefix: Uint8Array },
  stop: AbortSignal,
  mayGo: (value: Uint8Array, trimmed: VersionVector) => boolean,
  remove: (context: CommitContext, row: MetaRow) => boolean,
): Promise<number> {
  const { space, prefix } = range;
  const { to } = tupleRange(prefix);
  let purged = 0;
  for (let from: Uint8Array | undefined = prefix; from && !stop.aborted;) {
    const [trimmedRow] = await reader.get([trimmedKey]);
    const trimmed = trimmedRow ? decodeRecord<VersionVector>(trimmedRow) : EMPTY_VECTOR;
    const rows = await reader.scan({ space, from, to, limit: BATCH });
    const gone = rows.filter(({ value }) => mayGo(value, trimmed));
    const keys = gone.map(({ key }): MetaKey => ({ space, key }));
    if (gone.length > 0)
      purged += await committer.commit({
        reads: { keys: [clockKey, ...keys] },
        appended: [],
        decide(context) {
          // A snapshot that is merged meanwhile is compared with these rows.
          if (context.clock().merging) return 0;
          const together = decideTogether(context.txn);
          let removed = 0;
          for (const { key } of gone)
            together.decide(() => {
              const value = context.txn.get({ space, key });
              if (value !== undefined && mayGo(value, trimmed) && remove(context, { key, value })) removed++;
            });
          together.end();
          return removed;
        },
      });
    const last = rows.at(-1);
    from = rows.length === BATCH && last ? after(last.key) : undefined;
  }
  return purged;
}

async function purgeTombstones(deps: PurgeDeps, frontier: StableFrontier, stop: AbortSignal): Promise<number> {
  const isOver = (stamps: readonly Stamp[], trimmed: VersionVector): boolean =>
    stamps.every((stamp) => coversDot(trimmed, stampDot(stamp)) && isStable(frontier, stamp));
  const versions = await purgeRows(
    deps,
    { space: 'tombstones', prefix: tombstonePrefix() },
    stop,
    (value, trimmed) =>
      isOver(
        removalsOf(decodeRecord<TombstoneRecord>(value)).map(({ stamp }) => stamp),
        trimmed,
      ),
    removeTombstone,
  );
  const buckets = await purgeRows(
    deps,
    { space: 'tombstones', prefix: bucketTombstonePrefix() },
    stop,
    (value, trimmed) => isOver(factsOf(decodeRecord<BucketTombstone>(value)), trimmed),
    removeBucketTombstone,
  );
  return versions + buckets;
}

/**
 * False while a removal of a version in the bucket is recorded: whoever has not seen it may still write into the bucket, which
 * the version kept alive there.
 */
function removeBucketTombstone({ txn }: CommitContext, { key }: MetaRow): boolean {
  const bucket = Buffer.from(key.subarray(bucketTombstonePrefix().length)).toString('utf8');
  const inBucket = { space: 'tombstones' as const, ...tupleRange(tombstoneBucketPrefix(bucket)), limit: 1 };
  if (txn.scan(inBucket).length > 0) return false;
  txn.remove({ space: 'tombstones', key });
  return true;
}

const isStable = ({ vector, hlc, forgetUntilMs = Infinity }: StableFrontier, stamp: Stamp): boolean =>
  coversDot(vector, stampDot(stamp)) && stampHlc(stamp) <= hlc && hlcWallMs(stampHlc(stamp)) <= forgetUntilMs;

/**
 * The same frontier for a cluster that newcomers may join with data of their own: what they wrote is at most as old as the grace
 * when any member takes it in, so that a tombstone which is older by the clocks of all members' reports cannot matter to it.
 */
export function withGrace(frontier: StableFrontier | undefined, graceMs: number): StableFrontier | undefined {
  return frontier && { ...frontier, forgetUntilMs: hlcWallMs(frontier.hlc) - graceMs };
}

/** Every op that decides whether the bucket exists. */
function factsOf({ stamp, bucket }: BucketTombstone): readonly Stamp[] {
  const creations = (bucket.creations ?? []).flatMap((one) => [one.stamp, ...(one.removed ? [one.removed.stamp] : [])]);
  return [stamp, bucket.stamp, ...creations, ...Object.values(bucket.settings).map((setting) => setting.stamp)];
}

/** False while it is still needed: a null version's tombstone tells that its losers lost. */
function removeTombstone({ txn, effects }: CommitContext, { key: row }: MetaRow): boolean {
  const { bucket, key, target } = parseTombstoneKey(row);
  if (target === null) {
    const state = new KeyState({ txn, effects, newest: false }, bucket, key);
    if (state.conflicts().some(({ record }) => record.loser)) return false;
  }
  releaseStable({ txn, effects }, { space: 'tombstones', key: row });
  txn.remove({ space: 'tombstones', key: row });
  return true;
}

/** Registers that were removed. Those of members stay: they tell who was evicted. */
async function purgeRegisters(deps: PurgeDeps, frontier: StableFrontier, stop: AbortSignal): Promise<number> {
  let purged = 0;
  for (const kind of ['principal', 'policy']) {
    purged += await purgeRows(
      deps,
      { space: 'registers', prefix: registerKey(kind, '').key },
      stop,
      (row, trimmed) => {
        const { value, stamp } = decodeRecord<Register>(row);
        return value === null && coversDot(trimmed, stampDot(stamp)) && isStable(frontier, stamp);
      },
      ({ txn }, { key }) => {
        txn.remove({ space: 'registers', key });
        return true;
      },
    );
  }
  return purged;
}

/** The frontier of a site that is alone. */
export async function ownFrontier(reader: MetaReader): Promise<StableFrontier | undefined> {
  const { vector, hlc, merging } = await readClock(reader);
  return merging ? undefined : { vector, hlc };
}
