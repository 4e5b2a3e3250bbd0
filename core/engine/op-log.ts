/**
 * Ops next to the data: groups of ops are appended to the chunk-store as records, so that the meta-store can be
 * rebuilt from the chunk-store alone (rule 17). They are gathered, and written and synced within a second: losing the
 * meta-store and the memory at once can lose at most that last second. Up to where the log is known to be durable stands in
 * the meta-store; what it lacks after a crash or a failure is read from the oplog there and appended later, so that the log
 * has no gaps, but for what came with a snapshot: there it says so.
 */
import type { Hashing, Locator, Logger, MetaStore, Op, Origin, Timers, VersionVector } from '../contracts/index.ts';
import { readVector } from './clock-row.ts';
import { after, opLogKey, oplogKey, oplogPrefix, tupleRange } from './keys.ts';
import { decodeRecord, type OpLogRecord, type UnloggedMark } from './records.ts';
import type { LedgeredChunkStore } from './sync-ledger.ts';
import { transact } from './txn.ts';
import { EMPTY_VECTOR, coversDot, coversVector, joinVectors, seqOf } from './vector.ts';

const SYNC_DELAY_MS = 1000;
/** Ops that are gathered at most before they are written. */
const GATHER_MAX = 256;
/** Rows read at once when the log catches up. */
const CATCH_UP_BATCH = 200;
/** A record takes no further op when it has this many bytes; a record may have 16 MiB. */
const RECORD_FULL_BYTES = 1024 * 1024;

export interface OpLog {
  /** Appends what an earlier run committed and did not come to append. Call before the first `append`. */
  open(): Promise<void>;
  append(ops: readonly Op[]): void;
  /** The site has ops that were not appended: a snapshot brought them. That is noted. */
  skipped(): void;
  /** Waits for what was appended and syncs it. Should that fail, the next `open` makes it good. */
  close(): Promise<void>;
}

export interface OpLogDeps {
  readonly metaStore: MetaStore;
  readonly chunkStore: LedgeredChunkStore;
  readonly hashing: Hashing;
  readonly timers: Timers;
  readonly logger: Logger;
}

export function createOpLog(deps: OpLogDeps): OpLog {
  const log = new AppendedLog(deps);
  let last: Promise<void> = Promise.resolve();
  let timer: { cancel(): void } | undefined;
  let gathered: Op[] = [];
  let isTold = false;
  let isClosed = false;

  /** One after another. A failure fails nobody: the ops are in the meta-store, and the next sync catches up. */
  function enqueue(step: () => Promise<void>): void {
    last = last.then(step).then(
      () => void (isTold &&= log.isBehind),
      (error: unknown) => {
        log.fallBehind();
        if (!isTold) deps.logger.error({ err: error }, 'the op log next to the data is behind; it will be tried again');
        isTold = true;
        syncSoon();
      },
    );
  }

  function writeGathered(): void {
    const ops = gathered;
    gathered = [];
    if (ops.length > 0) enqueue(() => log.append(ops));
  }

  function syncSoon(): void {
    if (isClosed) return;
    timer ??= deps.timers.after(
      SYNC_DELAY_MS,
      () => {
        timer = undefined;
        writeGathered();
        enqueue(() => log.sync());
      },
      { unref: true },
    );
  }

  return {
    async open() {
      await log.load();
      enqueue(() => log.sync());
      await last;
    },
    append(ops) {
      gathered.push(...ops);
      if (gathered.length >= GATHER_MAX) writeGathered();
      syncSoon();
    },
    skipped() {
      enqueue(async () => log.fallBehind());
      syncSoon();
    },
    async close() {
      isClosed = true;
      timer?.cancel();
      writeGathered();
      enqueue(() => log.sync());
      await last;
    },
  };
}

class AppendedLog {
  readonly #deps: OpLogDeps;
  /** The log is durable up to here. */
  #durable: VersionVector = EMPTY_VECTOR;
  /** Appended up to here, without gaps. */
  #appended: VersionVector = EMPTY_VECTOR;
  #unsynced: Locator[] = [];
  #isBehind = true;

  constructor(deps: OpLogDeps) {
    this.#deps = deps;
  }

  async load(): Promise<void> {
    const [row] = await this.#deps.metaStore.get([opLogKey]);
    this.#durable = row ? decodeRecord<OpLogRecord>(row).vector : EMPTY_VECTOR;
    this.#appended = this.#durable;
  }

  get isBehind(): boolean {
    return this.#isBehind;
  }

  fallBehind(): void {
    this.#isBehind = true;
  }

  async append(ops: readonly Op[]): Promise<void> {
    const fresh = ops.filter(({ dot }) => !coversDot(this.#appended, dot));
    if (this.#isBehind || fresh.length === 0) return;
    const next: Record<Origin, number> = { ...this.#appended };
    for (const { dot } of fresh) {
      // another process committed in between: the oplog has it
      if (dot.seq !== seqOf(next, dot.origin) + 1) this.#isBehind = true;
      next[dot.origin] = dot.seq;
    }
    if (!this.#isBehind) await this.#write(fresh, next);
  }

  async sync(): Promise<void> {
    if (this.#isBehind) await this.#catchUp();
    const vector = this.#appended;
    await this.#syncRecords();
    if (this.#isBehind) return this.sync();
    if (coversVector(this.#durable, vector)) return;
    await transact(this.#deps.metaStore, {}, (txn) => txn.put(opLogKey, { vector } satisfies OpLogRecord));
    this.#durable = vector;
  }

  /** Whoever's sync fails takes with it what was not synced: that must be appended once more. */
  async #syncRecords(): Promise<void> {
    const { chunkStore } = this.#deps;
    const records = this.#unsynced;
    this.#unsynced = [];
    try {
      await chunkStore.sync();
    } finally {
      const lost = records.filter((locator) => chunkStore.isLost(locator));
      if (lost.length > 0) {
        this.#appended = this.#durable;
        this.#isBehind = true;
        await chunkStore.free(lost);
      }
    }
  }

  /** Appends what the oplog has and the log lacks. */
  async #catchUp(): Promise<void> {
    const wanted = await readVector(this.#deps.metaStore);
    const unlogged: Record<Origin, number> = {};
    for (const [origin, last] of Object.entries(wanted)) {
      if (seqOf(this.#appended, origin) >= last) continue;
      const skipped = await this.#catchUpWith(origin, last);
      if (skipped > 0) unlogged[origin] = skipped;
    }
    // what is not in the oplog cannot be had: it came with a snapshot
    if (Object.keys(unlogged).length > 0)
      await this.#writeLines([`${JSON.stringify({ unlogged } satisfies UnloggedMark)}\n`]);
    this.#appended = joinVectors(this.#appended, wanted);
    this.#isBehind = false;
  }

  /** The last of the ops up to `last` that the oplog lacks; 0: it has them all. */
  async #catchUpWith(origin: Origin, last: number): Promise<number> {
    const { to } = tupleRange(oplogPrefix(origin));
    let next = seqOf(this.#appended, origin) + 1;
    let skipped = 0;
    let from: Uint8Array = oplogKey(origin, next).key;
    for (let isLast = false; !isLast;) {
      const rows = await this.#deps.metaStore.scan({ space: 'oplog', from, to, limit: CATCH_UP_BATCH });
      const ops = rows.map(({ value }) => decodeRecord<Op>(value));
      for (const { dot } of ops) {
        if (dot.seq > next) skipped = dot.seq - 1;
        next = dot.seq + 1;
      }
      if (ops.length > 0) await this.#write(ops, { ...this.#appended, [origin]: next - 1 });
      isLast = rows.length < CATCH_UP_BATCH;
      from = after(rows.at(-1)?.key ?? from);
    }
    return next > last ? skipped : last;
  }

  async #write(ops: readonly Op[], appended: VersionVector): Promise<void> {
    await this.#writeLines(ops.map((op) => `${JSON.stringify(op)}\n`));
    this.#appended = appended;
  }

  async #writeLines(lines: readonly string[]): Promise<void> {
    const { chunkStore, hashing } = this.#deps;
    const records = recordsOf(lines).map((data) => {
      const hash = `sha256:${Buffer.from(hashing.hash('sha256', data)).toString('hex')}`;
      return { kind: 'op' as const, hash, data: [data] };
    });
    this.#unsynced.push(...(await chunkStore.append(records)));
  }
}

function recordsOf(lines: readonly string[]): readonly Buffer[] {
  const records: Buffer[] = [];
  let text = '';
  for (const line of lines) {
    text += line;
    if (text.length < RECORD_FULL_BYTES) continue;
    records.push(Buffer.from(text));
    text = '';
  }
  if (text !== '') records.push(Buffer.from(text));
  return records;
}
