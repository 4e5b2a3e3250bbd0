/**
 * A range of an object as new entries: whole chunks by reference, only what is cut at the edges is stored again. The bytes
 * are still read once for the MD5 that clients expect as ETag, unless the object's own says it already.
 */
import { SkerryError } from '../contracts/index.ts';
import type { ChecksumAlgorithm, ManifestEntry, ObjectChecksum, VersionContent } from '../contracts/index.ts';
import { digestOf, hashOf, toBase64, toHex } from './checksums.ts';
import type { Ingested } from './ingest.ts';
import { walkRange, type Segment } from './manifest.ts';
import { bytesOf } from './open-object.ts';
import { stablePieces } from './read-object.ts';
import type { Placement } from './records.ts';
import type { MultipartDeps, PartBytes } from './uploads.ts';
import { refOf } from './version-ref.ts';
import type { FoundVersion } from './versions.ts';

interface Range {
  readonly start: number;
  readonly length: number;
}

type Summary = Pick<PartBytes, 'md5Hex' | 'checksums'>;

export async function copyRange(
  deps: MultipartDeps,
  found: FoundVersion,
  range: Range,
  checksum: ChecksumAlgorithm | undefined,
): Promise<PartBytes> {
  const bytes = bytesOf(found);
  if (bytes.locator !== undefined || range.length === 0) {
    const body = { stream: stablePieces(deps.objectReader.readRange({ ...bytes, ...range })), size: range.length };
    return deps.ingest(
      { ...body, ...(checksum === undefined ? {} : { checksum: { algorithm: checksum } }) },
      { owner: 'part' },
    );
  }
  const copy = new RangeCopy(deps, found);
  try {
    await copy.run(range);
    return copy.result(
      range.length,
      known(found.record.content, range, checksum) ?? (await summarize(deps, found, range, checksum)),
    );
  } catch (error) {
    await copy.release();
    throw error;
  }
}

/** Digests that the object itself carries: those of a whole object that was put in one piece. */
function known(
  { size, etag, checksums }: VersionContent,
  { length }: Range,
  checksum: ChecksumAlgorithm | undefined,
): Summary | undefined {
  if (length !== size || !/^[0-9a-f]{32}$/.test(etag)) return undefined;
  if (checksum === undefined) return { md5Hex: etag, checksums: [] };
  const same = checksums?.find(({ algorithm, type }) => algorithm === checksum && type === 'FULL_OBJECT');
  return same === undefined ? undefined : { md5Hex: etag, checksums: [same] };
}

async function summarize(
  deps: MultipartDeps,
  found: FoundVersion,
  range: Range,
  checksum: ChecksumAlgorithm | undefined,
): Promise<Summary> {
  const algorithms = new Set(['md5' as const, ...(checksum === undefined ? [] : [hashOf(checksum)])]);
  const session = deps.hashing.session([...algorithms], { expectedBytes: range.length });
  try {
    // each piece is a buffer that the next one reuses
    for await (const piece of deps.objectReader.readRange({ ...bytesOf(found), ...range })) await session.update(piece);
    const digests = await session.digest();
    const checksums: ObjectChecksum[] =
      checksum === undefined
        ? []
        : [{ algorithm: checksum, type: 'FULL_OBJECT', value: toBase64(digestOf(digests, hashOf(checksum))) }];
    return { md5Hex: toHex(digestOf(digests, 'md5')), checksums };
  } catch (error) {
    session.abandon();
    throw error;
  }
}

class RangeCopy {
  readonly #deps: MultipartDeps;
  readonly #found: FoundVersion;
  readonly #manifest: ManifestEntry[] = [];
  readonly #shared = new Map<string, Placement>();
  readonly #edges: Ingested[] = [];
  #isPinned = true;

  constructor(deps: MultipartDeps, found: FoundVersion) {
    this.#deps = deps;
    this.#found = found;
  }

  async run({ start, length }: Range): Promise<void> {
    let at = start;
    for await (const segment of walkRange(this.#found.record.content.manifest, start, length, (entry) =>
      this.#deps.objectReader.loadNode(entry, refOf(this.#found.info)),
    )) {
      if (segment.length === segment.entry.length) this.#share(segment);
      else await this.#storeEdge(at, segment.length);
      at += segment.length;
    }
  }

  result(size: number, summary: Summary): PartBytes {
    return {
      ...summary,
      size,
      manifest: this.#manifest,
      placements: [...this.#shared.values(), ...this.#edges.flatMap((edge) => edge.placements)],
      release: () => this.release(),
      settled: () => {
        this.#unpin();
        for (const edge of this.#edges) edge.settled();
      },
    };
  }

  async release(): Promise<void> {
    this.#unpin();
    await Promise.all(this.#edges.map((edge) => edge.release()));
  }

  /** Not fresh: the commit refuses when the chunk is gone by then. The pin keeps it from going. */
  #share({ entry }: Segment): void {
    this.#manifest.push(entry);
    if (this.#shared.has(entry.hash)) return;
    this.#deps.pins.pin(entry.hash);
    this.#shared.set(entry.hash, { hash: entry.hash, locator: '', length: entry.length, kind: 'data', fresh: false });
  }

  async #storeEdge(start: number, length: number): Promise<void> {
    const stream = this.#deps.objectReader.readRange({ ...bytesOf(this.#found), start, length });
    const edge = await this.#deps.ingest({ stream: stablePieces(stream), size: length }, { owner: 'part' });
    this.#edges.push(edge);
    if (edge.size !== length) throw new SkerryError('Internal', 'an edge of another size than asked for');
    this.#manifest.push(...edge.manifest);
  }

  #unpin(): void {
    if (this.#isPinned) for (const hash of this.#shared.keys()) this.#deps.pins.unpin(hash);
    this.#isPinned = false;
  }
}
