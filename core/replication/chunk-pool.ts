/**
 * Chunks that are wanted, by content, and the peers that are asked for them: many in a round trip, the same chunk once,
 * bytes in flight bounded. What a peer does not have, or sends wrong, the next one is asked for.
 */
import {
  isSkerryError,
  type ChunkHash,
  type Clock,
  type FetchCounters,
  type Logger,
  type Random,
  type RecordKind,
  type SiteId,
} from '../contracts/index.ts';
import type { FetchedChunk, Replica } from '../engine/replica.ts';
import { Backoff } from './pacing.ts';
import type { ChunkRef } from './protocol.ts';
import type { ReplicationOptions } from './options.ts';

/** Chunks that no peer had, remembered to be told to peers that ask what is wanted. */
const NOWHERE_MAX = 4096;
/** Bytes that are stored together. */
const STORE_BYTES = 4 * 1024 * 1024;

export interface ChunkSource {
  readonly site: SiteId;
  /** What the peer has of these chunks, in any order; what it does not have is left out. */
  fetch(chunks: readonly ChunkRef[], signal: AbortSignal): AsyncIterable<FetchedChunk>;
}

export interface WantedChunk extends ChunkRef {
  /** Bytes, as the manifest says. */
  readonly length: number;
  /** What it is in that manifest, whatever the peer has it as: the entries of a node must be held here. */
  readonly kind: RecordKind;
  /** The site that wrote it first, which is asked first. */
  readonly prefer: SiteId;
  /** A reader waits for it: it goes before all others, and not together with them. */
  readonly urgent?: boolean;
}

export type ChunkCounters = Omit<FetchCounters, 'completedVersions' | 'savedBytes'>;

export interface ChunkPoolDeps {
  readonly replica: Pick<Replica, 'storeChunks'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly options: ReplicationOptions;
}

interface Want extends WantedChunk {
  readonly tried: Set<SiteId>;
  readonly answer: PromiseWithResolvers<boolean>;
  asked: boolean;
  isUrgent: boolean;
}

interface Connected {
  readonly source: ChunkSource;
  readonly backoff: Backoff;
  calls: number;
  restsUntilMs: number;
  fetchedBytes: number;
}

export class ChunkPool {
  readonly #deps: ChunkPoolDeps;
  readonly #wants = new Map<ChunkHash, Want>();
  readonly #sources = new Map<SiteId, Connected>();
  readonly #nowhere = new Map<ChunkHash, WantedChunk>();
  readonly #abort = new AbortController();
  #bytesInFlight = 0;
  #fetchedChunks = 0;
  #badChunks = 0;

  constructor(deps: ChunkPoolDeps) {
    this.#deps = deps;
  }

  connect(source: ChunkSource): void {
    const known = this.#sources.get(source.site);
    const backoff = known?.backoff ?? new Backoff(this.#deps.options, this.#deps.random);
    this.#sources.set(source.site, {
      source,
      backoff,
      calls: 0,
      restsUntilMs: 0,
      fetchedBytes: known?.fetchedBytes ?? 0,
    });
    this.#pump();
  }

  disconnect(source: ChunkSource): void {
    const connected = this.#sources.get(source.site);
    if (connected?.source !== source) return;
    connected.restsUntilMs = Number.POSITIVE_INFINITY;
    this.#pump();
  }

  /** True once it is here, durably; false when no peer that can be asked has it. */
  want(chunk: WantedChunk): Promise<boolean> {
    const known = this.#wants.get(chunk.hash);
    const isUrgent = chunk.urgent === true;
    if (known !== undefined && !isUrgent) return known.answer.promise;
    const fresh = { tried: new Set<SiteId>(), answer: Promise.withResolvers<boolean>(), asked: false };
    const want: Want = known ?? { ...chunk, ...fresh, isUrgent };
    want.isUrgent ||= isUrgent;
    this.#wants.set(chunk.hash, want);
    this.#pump();
    return want.answer.promise;
  }

  /** Chunks that are pushed: those that nobody else had are stored, the others ignored. What was stored. */
  async offer(chunks: readonly FetchedChunk[]): Promise<readonly ChunkHash[]> {
    const wanted = chunks.filter(({ hash, bytes }) => this.#nowhere.get(hash)?.length === bytes.length);
    const kindOf = ({ hash, kind }: FetchedChunk): RecordKind => this.#nowhere.get(hash)?.kind ?? kind;
    await this.#deps.replica.storeChunks(wanted.map((chunk) => ({ ...chunk, kind: kindOf(chunk) })));
    const hashes = wanted.map(({ hash }) => hash);
    this.found(hashes);
    return hashes;
  }

  nowhere(limit: number): readonly ChunkRef[] {
    return [...this.#nowhere.values()].slice(0, limit).map(({ hash, holder }) => ({ hash, holder }));
  }

  /** They came from elsewhere. */
  found(hashes: readonly ChunkHash[]): void {
    for (const hash of hashes) this.#nowhere.delete(hash);
  }

  /** Asking for more is of no use: nobody can be asked, and those who may ask us have enough to bring. */
  get isStuck(): boolean {
    return this.#nowhere.size >= NOWHERE_MAX && this.#usable().length === 0;
  }

  counters(): ChunkCounters {
    const bySite = [...this.#sources].map(([site, { fetchedBytes }]) => [site, fetchedBytes] as const);
    return {
      fetchedChunks: this.#fetchedChunks,
      fetchedBytes: bySite.reduce((sum, [, bytes]) => sum + bytes, 0),
      badChunks: this.#badChunks,
      fetchedBytesBySite: Object.fromEntries(bySite),
    };
  }

  close(): void {
    this.#abort.abort();
    for (const connected of this.#sources.values()) connected.restsUntilMs = Number.POSITIVE_INFINITY;
    this.#pump();
  }

  #usable(): readonly Connected[] {
    const nowMs = this.#deps.clock.monotonicMs();
    return [...this.#sources.values()].filter(({ restsUntilMs }) => restsUntilMs <= nowMs);
  }

  /** Starts what may be started, and gives up what nobody is left to be asked for. */
  #pump(): void {
    const usable = this.#usable();
    for (const connected of usable) {
      for (;;) {
        const batch = this.#batchFor(connected, usable);
        if (batch.length === 0) break;
        void this.#ask(connected, batch);
      }
    }
    for (const want of this.#wants.values())
      if (!want.asked && usable.every(({ source }) => want.tried.has(source.site))) this.#settle(want, false);
  }

  /** What readers wait for has a call of its own, beyond the others. */
  #batchFor(connected: Connected, usable: readonly Connected[]): readonly Want[] {
    const free = this.#deps.options.chunkCallsPerPeer - connected.calls;
    const wants = [...this.#wants.values()];
    const urgent =
      free < 0
        ? []
        : this.#batchOf(
            connected,
            usable,
            wants.filter(({ isUrgent }) => isUrgent),
          );
    return urgent.length > 0 || free <= 0 ? urgent : this.#batchOf(connected, usable, wants);
  }

  #batchOf({ source: { site } }: Connected, usable: readonly Connected[], wants: readonly Want[]): readonly Want[] {
    const { chunkBatchMaxHashes, chunkBatchMaxBytes, fetchMaxBytes } = this.#deps.options;
    const sites = new Set(usable.map(({ source }) => source.site));
    const batch: Want[] = [];
    let bytes = 0;
    for (const want of wants) {
      if (batch.length >= chunkBatchMaxHashes) break;
      if (want.asked || want.tried.has(site)) continue;
      if (want.prefer !== site && sites.has(want.prefer) && !want.tried.has(want.prefer)) continue;
      const inFlight = this.#bytesInFlight + bytes;
      const tooMany = !want.isUrgent && inFlight > 0 && inFlight + want.length > fetchMaxBytes;
      if (tooMany || (bytes > 0 && bytes + want.length > chunkBatchMaxBytes)) break;
      batch.push(want);
      bytes += want.length;
    }
    return batch;
  }

  async #ask(connected: Connected, batch: readonly Want[]): Promise<void> {
    const { site } = connected.source;
    const bytes = batch.reduce((sum, { length }) => sum + length, 0);
    for (const want of batch) want.asked = true;
    connected.calls++;
    this.#bytesInFlight += bytes;
    try {
      await this.#receive(connected, batch);
      connected.backoff.reset();
    } catch (error) {
      const restMs = connected.backoff.next();
      connected.restsUntilMs = Math.max(connected.restsUntilMs, this.#deps.clock.monotonicMs() + restMs);
      if (!this.#abort.signal.aborted)
        this.#deps.logger.warn({ err: error, peer: site, restMs }, 'fetching chunks from a peer failed');
    }
    connected.calls--;
    this.#bytesInFlight -= bytes;
    for (const want of batch) {
      want.asked = false;
      want.tried.add(site);
    }
    this.#pump();
  }

  async #receive(connected: Connected, batch: readonly Want[]): Promise<void> {
    const asked = new Map(batch.map((want) => [want.hash, want]));
    const { site } = connected.source;
    let ready: FetchedChunk[] = [];
    let readyBytes = 0;
    for await (const chunk of connected.source.fetch(
      batch.map(({ hash, holder }) => ({ hash, holder })),
      this.#abort.signal,
    )) {
      const want = asked.get(chunk.hash);
      asked.delete(chunk.hash);
      if (want?.length !== chunk.bytes.length) {
        this.#blame(site, chunk);
        continue;
      }
      ready.push({ ...chunk, kind: want.kind });
      readyBytes += chunk.bytes.length;
      if (readyBytes < STORE_BYTES) continue;
      await this.#store(connected, ready);
      [ready, readyBytes] = [[], 0];
    }
    if (ready.length > 0) await this.#store(connected, ready);
  }

  async #store(connected: Connected, chunks: readonly FetchedChunk[]): Promise<void> {
    for (const chunk of await this.#verified(connected, chunks)) {
      connected.fetchedBytes += chunk.bytes.length;
      this.#fetchedChunks++;
      const want = this.#wants.get(chunk.hash);
      if (want !== undefined) this.#settle(want, true);
    }
  }

  /** Stored all together, or where one of them is bad, one by one. */
  async #verified({ source }: Connected, chunks: readonly FetchedChunk[]): Promise<readonly FetchedChunk[]> {
    try {
      await this.#deps.replica.storeChunks(chunks);
      return chunks;
    } catch (error) {
      if (!isSkerryError(error, 'ChecksumMismatch')) throw error;
    }
    const good: FetchedChunk[] = [];
    for (const chunk of chunks) {
      try {
        await this.#deps.replica.storeChunks([chunk]);
        good.push(chunk);
      } catch (error) {
        if (!isSkerryError(error, 'ChecksumMismatch')) throw error;
        this.#blame(source.site, chunk);
      }
    }
    return good;
  }

  #blame(peer: SiteId, { hash, bytes }: FetchedChunk): void {
    this.#badChunks++;
    this.#deps.logger.error({ peer, hash, bytes: bytes.length }, 'a peer sent a chunk that is not what was asked for');
  }

  #settle(want: Want, here: boolean): void {
    this.#wants.delete(want.hash);
    this.#nowhere.delete(want.hash);
    if (!here) this.#remember(want);
    want.answer.resolve(here);
  }

  #remember({ hash, holder, length, kind, prefer }: Want): void {
    this.#nowhere.set(hash, { hash, holder, length, kind, prefer });
    const [oldest] = this.#nowhere.keys();
    if (this.#nowhere.size > NOWHERE_MAX && oldest !== undefined) this.#nowhere.delete(oldest);
  }
}
