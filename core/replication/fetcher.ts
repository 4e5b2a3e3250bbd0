/**
 * Brings the bytes of versions whose metadata is here already (rule 13). The queue is the engine's own record of what is pending, so
 * that it outlives restarts. A version whose bytes nobody has is asked for again and again, ever more rarely, and holds up no other.
 */
import {
  isSkerryError,
  type Clock,
  type FetchCounters,
  type Logger,
  type ManifestEntry,
  type Op,
  type Random,
  type RecordKind,
  type SiteId,
  type Stamp,
  type Timers,
} from '../contracts/index.ts';
import type { WantedBytes } from '../engine/healing.ts';
import type { FetchedChunk, PendingVersion, Replica } from '../engine/replica.ts';
import { originSite, stampDot } from '../engine/stamp.ts';
import { Bringers } from './bringers.ts';
import { ChunkPool } from './chunk-pool.ts';
import type { ReplicationOptions } from './options.ts';
import { Backoff } from './pacing.ts';
import type { ChunkRef } from './protocol.ts';
import { Wakeup } from './wakeup.ts';

const PAGE = 256;
/** Entries of one manifest that are looked at together. */
const ENTRIES = 64;
/** Sorts behind every stamp. */
const LAST: Stamp = '~';
/** Versions that failed of late, not to be asked for with every new op. */
const RESTING_MAX = 4096;

export interface FetcherDeps {
  readonly replica: Pick<Replica, 'pending' | 'missing' | 'children' | 'storeChunks' | 'complete'>;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  readonly options: ReplicationOptions;
}

export class Fetcher {
  readonly #deps: FetcherDeps;
  readonly pool: ChunkPool;
  readonly bringers: Bringers;
  /** Told when chunks turn out to be nowhere. */
  readonly wantsChanged: Wakeup;
  readonly #wakeup: Wakeup;
  readonly #backoff: Backoff;
  readonly #running = new Map<Stamp, Promise<void>>();
  readonly #resting = new Map<Stamp, number>();
  readonly #abort = new AbortController();
  /** Everything up to here was looked at since the last full pass. */
  #cursor: Stamp = '';
  /** What came since lies after this. */
  #fresh: Stamp = '';
  #fullPassAtMs = 0;
  #loop: Promise<void> | undefined;
  #completedVersions = 0;
  #savedBytes = 0;

  constructor(deps: FetcherDeps) {
    this.#deps = deps;
    this.pool = new ChunkPool(deps);
    this.bringers = new Bringers({ ...deps, waitMs: deps.options.callTimeoutMs });
    this.wantsChanged = new Wakeup(deps.timers);
    this.#wakeup = new Wakeup(deps.timers);
    this.#backoff = new Backoff(deps.options, deps.random);
  }

  open(): void {
    this.#loop = this.#run();
  }

  async close(): Promise<void> {
    this.#abort.abort();
    this.pool.close();
    this.bringers.close();
    this.#wakeup.notify();
    await this.#loop;
    await Promise.all(this.#running.values());
  }

  /** Versions of these ops may be pending now. */
  applied(ops: readonly Op[]): void {
    const puts = ops.filter(({ body }) => body.type === 'version.put' && body.content !== undefined);
    for (const { stamp } of puts) if (stamp <= this.#fresh) this.#fresh = before(stamp);
    if (puts.length > 0) this.#wakeup.notify();
  }

  /** There is a new hope: a peer came, or brought something. Everything is tried again at once. */
  retry(): void {
    this.#backoff.reset();
    this.#resting.clear();
    this.#fullPassAtMs = 0;
    this.#wakeup.notify();
  }

  /** Tries everything that is pending once and waits for how that ends. */
  async drain(): Promise<void> {
    this.#resting.clear();
    await this.#scan('');
    await Promise.all(this.#running.values());
  }

  /** One chunk that a reader waits for; false when no peer within reach has it, of those that are called and those that bring. */
  async fetchNow({ holder, ...chunk }: WantedBytes): Promise<boolean> {
    const prefer = originSite(stampDot(holder.stamp).origin);
    if (await this.pool.want({ ...chunk, holder, prefer, urgent: true })) return true;
    const isBrought = this.bringers.wait(chunk.hash);
    this.wantsChanged.notify();
    return isBrought;
  }

  /** Chunks that are pushed; see ChunkPool.offer. */
  async offer(from: SiteId, chunks: readonly FetchedChunk[]): Promise<number> {
    const stored = await this.pool.offer(chunks);
    this.bringers.brought(from, stored);
    if (stored.length > 0) this.retry();
    return stored.length;
  }

  /** Chunks that no peer within reach has, checked to be still missing. */
  async wanted(limit: number): Promise<readonly ChunkRef[]> {
    const chunks = this.pool.nowhere(limit);
    const hashes = chunks.map(({ hash }) => hash);
    const missing = new Set(hashes.length === 0 ? [] : await this.#deps.replica.missing(hashes));
    this.pool.found(hashes.filter((hash) => !missing.has(hash)));
    return chunks.filter(({ hash }) => missing.has(hash));
  }

  counters(): FetchCounters {
    return {
      ...this.pool.counters(),
      completedVersions: this.#completedVersions,
      savedBytes: this.#savedBytes,
    };
  }

  async #run(): Promise<void> {
    while (!this.#abort.signal.aborted) {
      const seen = this.#wakeup.count;
      const isFull = this.#deps.clock.monotonicMs() >= this.#fullPassAtMs;
      if (isFull) this.#fullPassAtMs = this.#deps.clock.monotonicMs() + this.#backoff.next();
      try {
        const from = this.#fresh < this.#cursor ? this.#fresh : this.#cursor;
        this.#fresh = LAST;
        await this.#scan(isFull ? '' : from);
      } catch (error) {
        this.#deps.logger.error({ err: error }, 'the list of pending versions cannot be read');
        await this.#wakeup.wait(this.#wakeup.count, this.#deps.options.backoffMinMs, this.#abort.signal);
      }
      const waitMs = this.#fullPassAtMs - this.#deps.clock.monotonicMs();
      await this.#wakeup.wait(seen, waitMs, this.#abort.signal);
    }
  }

  /** Starts the fetching of every pending version after `from`, a bounded number at a time. */
  async #scan(from: Stamp): Promise<void> {
    let after = from;
    while (!this.#abort.signal.aborted && !this.pool.isStuck) {
      const page = await this.#deps.replica.pending(PAGE, ...(after === '' ? [] : [after]));
      for (const version of page) {
        if (this.#abort.signal.aborted) return;
        await this.#start(version);
      }
      const last = page.at(-1);
      if (last === undefined) return;
      after = last.stamp;
      if (after > this.#cursor) this.#cursor = after;
    }
  }

  async #start(version: PendingVersion): Promise<void> {
    const { stamp } = version;
    const nowMs = this.#deps.clock.monotonicMs();
    if (this.#running.has(stamp) || (this.#resting.get(stamp) ?? 0) > nowMs) return;
    while (this.#running.size >= this.#deps.options.fetchVersions) await Promise.race(this.#running.values());
    const running = this.#fetch(version).finally(() => this.#running.delete(stamp));
    this.#running.set(stamp, running);
  }

  /** A version that is superseded while it is fetched loses its chunks under our hands: that, like a lost peer, is tried again. */
  #report({ bucket, key, stamp }: PendingVersion, error: unknown): void {
    const { logger } = this.#deps;
    const fields = { err: error, bucket, key, stamp };
    if (this.#abort.signal.aborted) return;
    if (isSkerryError(error) && error.retryable) logger.debug(fields, 'bytes of a version are not to be had now');
    else logger.error(fields, 'the bytes of a version could not be fetched');
  }

  async #fetch(version: PendingVersion): Promise<void> {
    try {
      const saved = await this.#fetchEntries(version.entries, version);
      if (saved === undefined) return this.#rest(version.stamp);
      await this.#deps.replica.complete(version);
      this.#savedBytes += saved;
      this.#completedVersions++;
      this.#resting.delete(version.stamp);
      this.#backoff.reset();
    } catch (error) {
      this.#report(version, error);
      this.#rest(version.stamp);
    }
  }

  /** Not asked for again before the next full pass. */
  #rest(stamp: Stamp): void {
    this.#resting.set(stamp, this.#fullPassAtMs);
    const [oldest] = this.#resting.keys();
    if (this.#resting.size > RESTING_MAX && oldest !== undefined) this.#resting.delete(oldest);
    this.wantsChanged.notify();
  }

  /** Bytes that were here already; `undefined` when some are to be had nowhere. All are tried all the same. */
  async #fetchEntries(entries: readonly ManifestEntry[], version: PendingVersion): Promise<number | undefined> {
    const { bucket, key, stamp } = version;
    const from = { holder: { bucket, key, stamp }, prefer: originSite(stampDot(stamp).origin) };
    let saved = 0;
    let isWhole = true;
    for (let at = 0; at < entries.length && !this.#abort.signal.aborted; at += ENTRIES) {
      const slice = entries.slice(at, at + ENTRIES);
      const missing = new Set(await this.#deps.replica.missing(slice.map(({ hash }) => hash)));
      const here = await Promise.all(
        slice.map(async ({ hash, length, span }) => {
          const kind: RecordKind = span === undefined ? 'data' : 'node';
          return !missing.has(hash) || this.pool.want({ hash, length, kind, ...from });
        }),
      );
      isWhole &&= here.every(Boolean);
      for (const entry of slice) if (!missing.has(entry.hash)) saved += entry.length;
      for (const [index, entry] of slice.entries()) {
        if (entry.span === undefined || here[index] !== true) continue;
        const below = await this.#fetchEntries(await this.#deps.replica.children(entry), version);
        isWhole &&= below !== undefined;
        saved += below ?? 0;
      }
    }
    return isWhole && !this.#abort.signal.aborted ? saved : undefined;
  }
}

/** The stamp right before: an op has a `seq` of at least 1. */
function before(stamp: Stamp): Stamp {
  const split = stamp.lastIndexOf('!') + 1;
  const seq = Number.parseInt(stamp.slice(split), 16) - 1;
  return stamp.slice(0, split) + seq.toString(16).padStart(stamp.length - split, '0');
}
