/**
 * The bytes of a version: any range, as a stream of reused buffers with a little read-ahead, or at once when they are
 * small. The chunk-store checks integrity of what it returns; damage never passes as data: it is healed from a peer, or tells.
 */
import { isSkerryError, SkerryError } from '../contracts/index.ts';
import type { Locator, Manifest, ManifestEntry } from '../contracts/index.ts';
import { createBufferPool, type BufferPool } from './buffer-pool.ts';
import { ChunkFinder, type ChunkFinderDeps } from './chunk-finder.ts';
import type { SoughtBytes } from './healing.ts';
import { totalSpan, walkRange, type Segment } from './manifest.ts';
import type { VersionRef } from './version-ref.ts';

export interface ReadRange {
  readonly manifest: Manifest;
  /** Of a small body that belongs to its version. */
  readonly locator?: Locator;
  /** The version that is read: peers are asked by it for what is missing or damaged here. */
  readonly holder?: VersionRef;
  /** First byte. */
  readonly start: number;
  /** Bytes. */
  readonly length: number;
  readonly signal?: AbortSignal;
}

export interface ObjectReader {
  /**
   * Each piece stays unchanged until the next is asked for. Rejects `Corrupt`, `Unavailable` (a chunk is not to be had now),
   * `RangeNotSatisfiable`, `Aborted`, `Io`.
   */
  readRange(range: ReadRange): AsyncIterable<Uint8Array>;
  /** The range at once, when it lies in a small body that the chunk-store answers without waiting; else `undefined`, for damage too. */
  readNow(range: ReadRange): Uint8Array | undefined;
  /** Entries of a manifest node. */
  loadNode(entry: ManifestEntry, holder?: VersionRef): Promise<readonly ManifestEntry[]>;
}

export interface ReaderDeps extends ChunkFinderDeps {
  /** Buffers of all readers together; default 16 MiB. */
  readonly memoryBytes?: number;
}

const MIB = 1024 * 1024;
const NOW_MAX_BYTES = 64 * 1024;
/** Segments whose rows are looked up together. */
const LOOKUP_BATCH = 32;
/** Pieces that are read while the consumer has one. */
const AHEAD_MAX = 2;

interface Located extends Segment {
  readonly sought: SoughtBytes;
}

interface Piece {
  readonly buffer: Uint8Array;
  readonly bytes: Promise<Uint8Array>;
}

export function createObjectReader(deps: ReaderDeps): ObjectReader {
  const chunks = new ChunkFinder(deps);
  const pool = createBufferPool(deps.memoryBytes ?? 16 * MIB);

  async function* located(range: ReadRange): AsyncGenerator<Located> {
    const { locator, holder } = range;
    let batch: Segment[] = [];
    const flush = async function* (): AsyncGenerator<Located> {
      const segments = batch;
      batch = [];
      const isOwn = locator !== undefined;
      const locators = isOwn ? [locator] : await chunks.locate(segments.map(({ entry }) => entry.hash));
      for (const [i, segment] of segments.entries())
        yield { ...segment, sought: { entry: segment.entry, locator: locators[i], holder, isOwn } };
    };
    const loadNode = (entry: ManifestEntry) => chunks.loadNode(entry, holder);
    for await (const segment of walkRange(range.manifest, range.start, range.length, loadNode)) {
      batch.push(segment);
      if (batch.length === LOOKUP_BATCH) yield* flush();
    }
    if (batch.length > 0) yield* flush();
  }

  function begin({ sought, offsetInChunk, length }: Located, signal: AbortSignal | undefined): Piece {
    const buffer = pool.take(length);
    const options = {
      start: offsetInChunk,
      length,
      into: buffer.subarray(0, length),
      ...(signal === undefined ? {} : { signal }),
    };
    const bytes = chunks.read(sought, options);
    // whoever waits for the piece is told; one that is dropped after an error is nobody's
    bytes.catch(() => undefined);
    return { buffer, bytes };
  }

  return {
    loadNode: (entry, holder) => chunks.loadNode(entry, holder),
    readRange: (range) =>
      stream(
        begun(located(range), pool, (piece) => begin(piece, range.signal)),
        pool,
        range.signal,
      ),
    readNow({ manifest, locator, start: from, length }) {
      const isSmall = locator !== undefined && totalSpan(manifest) <= NOW_MAX_BYTES;
      if (!isSmall) return length === 0 ? new Uint8Array(0) : undefined;
      try {
        return deps.chunkStore.readNow?.(locator)?.subarray(from, from + length);
      } catch (error) {
        if (isSkerryError(error, 'Corrupt') || isSkerryError(error, 'NotFound')) return undefined;
        throw error;
      }
    },
  };
}

/**
 * Segments in pieces of the size that memory allows now, cut where the chunk's blocks end; each is begun in the turn in which its
 * size is decided, so that many readers cannot all count on the same memory.
 */
async function* begun(
  segments: AsyncIterable<Located>,
  pool: BufferPool,
  begin: (piece: Located) => Piece,
): AsyncGenerator<Piece> {
  for await (const segment of segments) {
    const end = segment.offsetInChunk + segment.length;
    for (let at = segment.offsetInChunk; at < end;) {
      const size = pool.sizeNow();
      const length = Math.min(end - at, size - (at % size));
      yield begin({ ...segment, offsetInChunk: at, length });
      at += length;
    }
  }
}

/** The bytes in order; the next pieces are being read while the consumer has one. */
async function* stream(
  plan: AsyncGenerator<Piece>,
  pool: BufferPool,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const queue: Piece[] = [];
  let isPlanned = false;
  try {
    for (;;) {
      while (!isPlanned && (queue.length === 0 || (queue.length <= AHEAD_MAX && pool.mayReadAhead()))) {
        if (signal?.aborted === true) throw new SkerryError('Aborted', 'the read was aborted');
        const next = await plan.next();
        if (next.done === true) isPlanned = true;
        else queue.push(next.value);
      }
      const [piece] = queue;
      if (piece === undefined) return;
      yield await piece.bytes;
      queue.shift();
      pool.give(piece.buffer);
    }
  } finally {
    await plan.return(undefined);
    // a buffer that is still being filled must not serve another reader
    await Promise.allSettled(queue.map((piece) => piece.bytes));
    for (const piece of queue) pool.give(piece.buffer);
  }
}

/** Pieces that stay as they are, as those of a body must; the reader itself reuses its buffers. */
export async function* stablePieces(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) yield Uint8Array.from(piece);
}
