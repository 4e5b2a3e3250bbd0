/**
 * A large body on its way into the chunk-store. Receiving, hashing and appending overlap; what is in memory is counted in
 * the budget of all uploads. Chunks are cut at the chunk size, earlier when memory is short.
 */
import { SkerryError } from '../contracts/index.ts';
import type { ChunkHash, HashAlgorithm, Hashing, HashSession, ManifestEntry } from '../contracts/index.ts';
import type { ChunkPlacer } from './chunk-placer.ts';
import { digestOf, toHex, type Digests } from './checksums.ts';
import type { BudgetLease, MemoryBudget } from './memory-budget.ts';

export interface ChunkedBodyDeps {
  readonly hashing: Hashing;
  readonly placer: ChunkPlacer;
  readonly budget: MemoryBudget;
  /** Buffers for reuse, shared by all uploads: never more than the budget has room for. */
  readonly idleSlabs: Uint8Array[];
}

export interface ChunkedBodyOptions {
  readonly chunkBytes: number;
  /** Chunk size while memory is short. */
  readonly tightChunkBytes: number;
  /** Declared size of the body, bytes. */
  readonly expectedBytes: number | undefined;
  /** False: the caller owns the bytes until the write settles, so they are not counted. */
  readonly counted: boolean;
  readonly signal: AbortSignal | undefined;
}

/** Chunks of one upload that are being stored while the next one fills. */
const STORING_MAX = 2;
/**
 * What comes from a stream is copied into these, and they are reused: pieces kept until their chunk is stored would outlive
 * the young generation of the garbage collector, and memory would follow its pace instead of the budget. Shared memory, so
 * that hash workers read them in place: this copy is the only one on the way to the chunk-store.
 */
const SLAB_BYTES = 128 * 1024;

/** A slab on its way to being full. */
interface Filling {
  readonly slab: Uint8Array;
  filled: number;
}

interface OpenChunk {
  readonly pieces: Uint8Array[];
  readonly slabs: Uint8Array[];
  readonly session: HashSession;
  /** Everything that still reads the pieces. */
  readonly reads: Promise<void>[];
  filling: Filling | undefined;
  bytes: number;
}

export class ChunkedBody {
  readonly #hashing: Hashing;
  readonly #placer: ChunkPlacer;
  readonly #budget: MemoryBudget;
  readonly #lease: BudgetLease;
  readonly #options: ChunkedBodyOptions;
  readonly #slabs: Uint8Array[];
  readonly #manifest: (ManifestEntry | undefined)[] = [];
  readonly #storing = new Set<Promise<void>>();
  readonly #wantsSha256: boolean;
  readonly #session: HashSession;
  /** Whole-body SHA-256. Starts when a second chunk is sure to come: the hash of an only chunk is that of the body. */
  #sha256: HashSession | undefined;
  #chunk: OpenChunk | undefined;
  #failure: { readonly error: unknown } | undefined;
  #ended = false;

  constructor(deps: ChunkedBodyDeps, wanted: ReadonlySet<HashAlgorithm>, options: ChunkedBodyOptions) {
    this.#hashing = deps.hashing;
    this.#placer = deps.placer;
    this.#budget = deps.budget;
    this.#options = options;
    this.#slabs = deps.idleSlabs;
    this.#wantsSha256 = wanted.has('sha256');
    this.#session = deps.hashing.session(
      [...wanted].filter((algorithm) => algorithm !== 'sha256'),
      sizeHint(options),
    );
    this.#lease = deps.budget.lease(() => this.#seal(false));
  }

  /** The next bytes of the body. Resolves when more may come; those of a stream are free then. */
  async add(piece: Uint8Array, isLast: boolean): Promise<void> {
    for (let rest = piece; rest.length > 0;) {
      const room = await this.#room();
      const part = rest.subarray(0, room);
      if (!this.#options.counted) {
        rest = rest.subarray(part.length);
        await this.#append(part, isLast && rest.length === 0);
        continue;
      }
      if (this.#chunk?.filling === undefined) await this.#lease.take(SLAB_BYTES, this.#options.signal);
      // no await from here on: sealing a chunk takes its slab away
      rest = rest.subarray(this.#copyIntoSlab(part));
      this.#sealWhenFull(isLast && rest.length === 0);
    }
  }

  /** Stores what is left and answers the data entries and the digests of the whole. */
  async finish(): Promise<{ readonly manifest: readonly ManifestEntry[]; readonly digests: Digests }> {
    this.#seal(true);
    await Promise.all(this.#storing);
    this.#assertSound();
    this.#ended = true;
    this.#lease.close();
    const manifest = this.#manifest.map((entry) => {
      if (entry === undefined) throw new SkerryError('Internal', 'a chunk ended without an entry');
      return entry;
    });
    const digests = { ...(await this.#session.digest()), ...(await this.#wholeSha256(manifest)) };
    return { manifest, digests };
  }

  /** Ends a body that failed. Resolves when nothing of it is running any more. */
  async abandon(): Promise<void> {
    this.#ended = true;
    await Promise.all(this.#storing);
    for (const session of [this.#session, this.#sha256, this.#chunk?.session]) session?.abandon();
    this.#chunk = undefined;
    this.#lease.close();
  }

  /** Copies what fits; answers how many bytes. */
  #copyIntoSlab(bytes: Uint8Array): number {
    const chunk = (this.#chunk ??= this.#openChunk());
    const filling = (chunk.filling ??= this.#takeSlab(chunk));
    const part = bytes.subarray(0, SLAB_BYTES - filling.filled);
    filling.slab.set(part, filling.filled);
    filling.filled += part.length;
    chunk.bytes += part.length;
    if (filling.filled === SLAB_BYTES) this.#endSlab(chunk);
    return part.length;
  }

  #takeSlab(chunk: OpenChunk): Filling {
    const slab = this.#slabs.pop() ?? new Uint8Array(new SharedArrayBuffer(SLAB_BYTES));
    chunk.slabs.push(slab);
    return { slab, filled: 0 };
  }

  /** Gives the bytes of the chunk's last slab to the hashes. */
  #endSlab(chunk: OpenChunk): void {
    const { filling } = chunk;
    if (filling === undefined) return;
    chunk.filling = undefined;
    void this.#hash(chunk, filling.slab.subarray(0, filling.filled)).catch((error: unknown) => {
      this.#failure ??= { error };
    });
  }

  #hash(chunk: OpenChunk, piece: Uint8Array): Promise<void> {
    chunk.pieces.push(piece);
    const read = allDone([this.#session.update(piece), chunk.session.update(piece), this.#sha256?.update(piece)]);
    chunk.reads.push(read);
    return read;
  }

  /** Bytes that the open chunk may still take, at least 1. */
  async #room(): Promise<number> {
    const target = this.#budget.tight() ? this.#options.tightChunkBytes : this.#options.chunkBytes;
    if (this.#chunk !== undefined && this.#chunk.bytes >= target) this.#seal(false);
    while (this.#storing.size >= STORING_MAX) await Promise.race(this.#storing);
    this.#assertSound();
    return Math.max(1, target - (this.#chunk?.bytes ?? 0));
  }

  async #append(piece: Uint8Array, isLast: boolean): Promise<void> {
    const chunk = (this.#chunk ??= this.#openChunk());
    chunk.bytes += piece.length;
    const read = this.#hash(chunk, piece);
    this.#sealWhenFull(isLast);
    await read;
  }

  #sealWhenFull(isLast: boolean): void {
    const isFull = this.#chunk !== undefined && this.#chunk.bytes >= this.#options.chunkBytes;
    if (!isLast && (isFull || this.#lease.asked())) this.#seal(false);
  }

  #openChunk(): OpenChunk {
    const session = this.#hashing.session(['sha256'], sizeHint(this.#options));
    return { pieces: [], slabs: [], session, reads: [], filling: undefined, bytes: 0 };
  }

  /** Begins to store the open chunk. Synchronous, so that the budget may call it whenever memory is wanted. */
  #seal(isLast: boolean): void {
    const chunk = this.#chunk;
    if (chunk === undefined || this.#ended) return;
    this.#endSlab(chunk);
    this.#chunk = undefined;
    const heldBytes = chunk.slabs.length * SLAB_BYTES;
    this.#lease.handOn(heldBytes);
    const index = this.#manifest.push(undefined) - 1;
    if (index === 0 && !isLast && this.#wantsSha256) this.#startSha256(chunk);
    const storing = this.#store(chunk, index).catch((error: unknown) => {
      this.#failure ??= { error };
    });
    this.#storing.add(storing);
    void storing.finally(() => {
      this.#slabs.push(...chunk.slabs);
      this.#lease.give(heldBytes);
      this.#storing.delete(storing);
    });
  }

  #startSha256(first: OpenChunk): void {
    const session = this.#hashing.session(['sha256'], sizeHint(this.#options));
    this.#sha256 = session;
    first.reads.push(allDone(first.pieces.map((piece) => session.update(piece))));
  }

  /** Settles when nothing reads the chunk's memory any more. */
  async #store({ pieces, session, reads, bytes: length }: OpenChunk, index: number): Promise<void> {
    try {
      const hash: ChunkHash = `sha256:${toHex(digestOf(await session.digest(), 'sha256'))}`;
      await this.#placer.place({ hash, kind: 'data', data: pieces, length });
      this.#manifest[index] = { hash, length };
    } finally {
      // the hashes of the whole body may be behind the chunk's own
      await Promise.allSettled(reads);
    }
    await Promise.all(reads);
  }

  async #wholeSha256(manifest: readonly ManifestEntry[]): Promise<Digests> {
    if (!this.#wantsSha256) return {};
    const [only] = manifest;
    if (only !== undefined && manifest.length === 1) {
      this.#sha256?.abandon();
      return { sha256: Buffer.from(only.hash.slice('sha256:'.length), 'hex') };
    }
    if (this.#sha256 === undefined) throw new SkerryError('Internal', 'a body of several chunks without its SHA-256');
    return this.#sha256.digest();
  }

  #assertSound(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

function sizeHint({ expectedBytes }: ChunkedBodyOptions): { readonly expectedBytes?: number } {
  return expectedBytes === undefined ? {} : { expectedBytes };
}

/** Waits for those that are promises; one that rejects rejects, and none is left unheard. */
async function allDone(updates: readonly (Promise<void> | void)[]): Promise<void> {
  await Promise.all(updates.filter((update) => update instanceof Promise));
}
