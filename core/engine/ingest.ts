/**
 * Bodies into chunks: verified against everything the client said, stored once by content, in bounded memory. Nothing is
 * durable or visible until the caller commits.
 */
import type {
  BodySource,
  ChunkHash,
  HashAlgorithm,
  Hashing,
  Locator,
  Logger,
  ManifestEntry,
  ObjectChecksum,
} from '../contracts/index.ts';
import { BodyReader } from './body-reader.ts';
import { ChunkPlacer, type PlacerDeps } from './chunk-placer.ts';
import { ChunkedBody, type ChunkedBodyDeps } from './chunked-body.ts';
import { digestOf, toHex, verifyBody, wantedHashes, type Digests } from './checksums.ts';
import { createMemoryBudget } from './memory-budget.ts';
import type { Placement } from './records.ts';

export interface IngestOptions {
  /** Default 4 MiB; at most 16 MiB. */
  readonly chunkBytes?: number;
  /** Chunk size while memory is short, default 1 MiB. */
  readonly tightChunkBytes?: number;
  /** A version's body up to this size is its only chunk and its own, default 64 KiB. */
  readonly dedupMinBytes?: number;
  /** Received and not yet stored bytes of all uploads together, default 16 MiB. */
  readonly memoryBytes?: number;
}

export interface IngestDeps extends PlacerDeps {
  readonly hashing: Hashing;
  readonly logger: Logger;
  readonly options?: IngestOptions;
}

export interface Ingested {
  /** Bytes. */
  readonly size: number;
  readonly md5Hex: string;
  /** The requested one, or none. */
  readonly checksums: readonly ObjectChecksum[];
  /** Data entries only; `wrapManifest` makes nodes of a long list. */
  readonly manifest: readonly ManifestEntry[];
  /** Of a small body that belongs to its version alone; then there are no placements. */
  readonly locator?: Locator;
  readonly placements: readonly Placement[];
  /** The write failed: frees what was appended and unpins. Idempotent. */
  release(): Promise<void>;
  /** The write is committed: unpins. Idempotent. */
  settled(): void;
}

export interface IngestRequest {
  /** `part`: the bytes will be shared with the completed object, so even a small chunk gets a row. */
  readonly owner: 'version' | 'part';
  readonly signal?: AbortSignal;
}

/**
 * Rejects `IncompleteBody`, `ChecksumMismatch` (details.which), `Aborted`, `OutOfSpace`, `Io`, or what the stream threw; by then the
 * stream has been told to return and everything appended is freed.
 */
export type Ingest = (body: BodySource, request: IngestRequest) => Promise<Ingested>;

const KIB = 1024;
const MIB = 1024 * KIB;
const DEFAULTS: Required<IngestOptions> = {
  chunkBytes: 4 * MIB,
  tightChunkBytes: MIB,
  dedupMinBytes: 64 * KIB,
  memoryBytes: 16 * MIB,
};

interface Run {
  readonly body: BodySource;
  readonly request: IngestRequest;
  readonly placer: ChunkPlacer;
  readonly wanted: ReadonlySet<HashAlgorithm>;
}

interface StreamedRun extends Run {
  readonly reader: BodyReader;
}

/** What all uploads share. */
type SharedMemory = Pick<ChunkedBodyDeps, 'budget' | 'idleSlabs'>;

interface Stored {
  /** Bytes. */
  readonly size: number;
  readonly manifest: readonly ManifestEntry[];
  readonly digests: Digests;
  readonly checksums: readonly ObjectChecksum[];
  readonly locator?: Locator;
}

export function createIngest(deps: IngestDeps): Ingest {
  const options = { ...DEFAULTS, ...deps.options };
  const shared = { budget: createMemoryBudget(options.memoryBytes), idleSlabs: [] };
  return async (body, request) => {
    const placer = new ChunkPlacer(deps);
    const run: Run = { body, request, placer, wanted: wantedHashes(body) };
    try {
      const bytes = wholeSmallBody(body, request, options.dedupMinBytes);
      const stored =
        bytes === undefined
          ? await storeStream(deps, options, shared, run)
          : await storeSmall(deps.hashing, run, bytes);
      return answer(run, stored);
    } catch (error) {
      await placer.release().catch((failure: unknown) => {
        // the write's own error is the one to report; what stays behind is found by fsck and garbage collection
        deps.logger.warn({ err: failure }, 'chunks of a failed write could not be freed');
      });
      throw error;
    }
  };
}

function answer({ placer }: Run, stored: Stored): Ingested {
  const { size, manifest, digests, checksums, locator } = stored;
  const placements = placer.placements();
  return {
    size,
    md5Hex: toHex(digestOf(digests, 'md5')),
    checksums,
    manifest,
    ...(locator === undefined ? {} : { locator }),
    placements,
    release: () => placer.release(),
    settled: () => placer.settled(),
  };
}

/** The bytes of a body that is here whole, of the size that was declared, and small: the way of most writes. */
function wholeSmallBody({ bytes, stream, size }: BodySource, { signal }: IngestRequest, limit: number) {
  const isPlain = bytes !== undefined && stream === undefined && signal?.aborted !== true;
  return isPlain && bytes.length <= limit && (size ?? bytes.length) === bytes.length ? bytes : undefined;
}

async function storeStream(
  deps: IngestDeps,
  options: Required<IngestOptions>,
  shared: SharedMemory,
  run: Run,
): Promise<Stored> {
  const { body, request } = run;
  const { size } = body;
  const reader = new BodyReader(body, request.signal);
  try {
    const isLarge = size !== undefined && size > options.dedupMinBytes;
    const head = isLarge
      ? { bytes: new Uint8Array(0), ended: false }
      : await readHead(reader, options.dedupMinBytes, size);
    if (head.ended) return await storeSmall(deps.hashing, run, head.bytes);
    return await storeLarge(deps.hashing, options, shared, { ...run, reader }, head.bytes);
  } catch (error) {
    await reader.cancel();
    throw error;
  }
}

/** Reads until the body ends or has more than `limit` bytes. */
async function readHead(
  reader: BodyReader,
  limit: number,
  size: number | undefined,
): Promise<{ readonly bytes: Uint8Array; readonly ended: boolean }> {
  const first = await reader.next();
  if (first === undefined) return { bytes: new Uint8Array(0), ended: true };
  let bytes = first;
  let buffer: Uint8Array | undefined;
  while (bytes.length <= limit) {
    const piece = await reader.next();
    if (piece === undefined) return { bytes, ended: true };
    const length = bytes.length + piece.length;
    if (buffer === undefined || buffer.length < length) {
      const grown = new Uint8Array(Math.max(length, Math.min(size ?? 2 * length, limit)));
      grown.set(bytes);
      buffer = grown;
    }
    buffer.set(piece, bytes.length);
    bytes = buffer.subarray(0, length);
  }
  return { bytes, ended: false };
}

async function storeSmall(
  hashing: Hashing,
  { body, request, placer, wanted }: Run,
  bytes: Uint8Array,
): Promise<Stored> {
  const digests: Partial<Record<HashAlgorithm, Uint8Array>> = { sha256: hashing.hash('sha256', bytes) };
  for (const algorithm of wanted) if (algorithm !== 'sha256') digests[algorithm] = hashing.hash(algorithm, bytes);
  const checksums = verifyBody(body, digests);
  const size = bytes.length;
  if (size === 0) return { size, manifest: [], digests, checksums };
  const hash: ChunkHash = `sha256:${toHex(digestOf(digests, 'sha256'))}`;
  const manifest = [{ hash, length: size }];
  if (request.owner === 'version') {
    return { size, manifest, digests, checksums, locator: await placer.own(hash, [bytes]) };
  }
  await placer.place({ hash, kind: 'data', data: [bytes], length: size });
  return { size, manifest, digests, checksums };
}

async function storeLarge(
  hashing: Hashing,
  options: Required<IngestOptions>,
  shared: SharedMemory,
  run: StreamedRun,
  head: Uint8Array,
): Promise<Stored> {
  const { body, reader, placer, request } = run;
  const large = new ChunkedBody({ hashing, placer, ...shared }, run.wanted, {
    chunkBytes: options.chunkBytes,
    tightChunkBytes: options.tightChunkBytes,
    expectedBytes: body.size ?? body.bytes?.length,
    counted: body.bytes === undefined,
    signal: request.signal,
  });
  try {
    if (head.length > 0) await large.add(head, reader.isComplete());
    for (let piece = await reader.next(); piece !== undefined; piece = await reader.next()) {
      await large.add(piece, reader.isComplete());
      // of a stream nothing but copies is kept
      if (body.stream !== undefined) body.release?.(piece);
    }
    const { manifest, digests } = await large.finish();
    return { size: reader.receivedBytes(), manifest, digests, checksums: verifyBody(body, digests) };
  } catch (error) {
    await large.abandon();
    throw error;
  }
}
