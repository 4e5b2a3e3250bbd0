/** All records in order of segment and offset, whole segments checked on the way. */
import { SkerryError } from '../../core/contracts/index.ts';
import type { FileHandle, Locator, RecordKind, StoredRecord } from '../../core/contracts/index.ts';
import { parseIndex, parseTrailer, SEGMENT_HEADER_BYTES, TRAILER_BYTES } from './format.ts';
import type { IndexEntry } from './format.ts';
import type { Handles } from './handles.ts';
import { encodeLocator, parseLocator } from './locator.ts';
import type { Segment, SegmentTable } from './segment.ts';
import { walk } from './walk.ts';

const BATCH_MAX = 1000;

export interface ScanOptions {
  readonly after?: Locator;
  readonly onDamage?: (locator: Locator, reason: string, kind?: RecordKind) => void;
  readonly signal?: AbortSignal;
}

interface ScanDeps {
  readonly segments: SegmentTable;
  readonly handles: Handles;
}

interface Start {
  readonly segment: number;
  readonly offset: number;
}

function startOf(after: Locator | undefined): Start {
  if (after === undefined) return { segment: 0, offset: 0 };
  const place = parseLocator(after);
  if (place === undefined) throw new SkerryError('InvalidArgument', 'after is no locator of this store');
  return { segment: place.segment, offset: place.offset + place.headerLength + place.dataLength };
}

export async function* scan(
  deps: ScanDeps,
  options: ScanOptions,
): AsyncGenerator<readonly StoredRecord[], void, undefined> {
  const start = startOf(options.after);
  for (const number of deps.segments.numbersFrom(start.segment)) {
    throwIfAborted(options.signal);
    const segment = deps.segments.get(number);
    const from = number === start.segment ? start.offset : 0;
    if (segment !== undefined) yield* scanSegment(deps, segment, from, options);
    else reportUnreadable(deps, number, options);
  }
}

export interface SparseOptions {
  readonly deadShareMin: number;
  readonly signal?: AbortSignal;
}

/** Live records of segments that take no more and are mostly dead. An op stays where it is: it is never freed. */
export async function* scanSparse(
  deps: ScanDeps,
  { deadShareMin, signal }: SparseOptions,
): AsyncGenerator<readonly StoredRecord[], void, undefined> {
  if (!(deadShareMin > 0 && deadShareMin <= 1))
    throw new SkerryError('InvalidArgument', 'deadShareMin must be above 0 and at most 1');
  throwIfAborted(signal);
  const chosen = [...deps.segments.values()].filter((segment) => isSparse(segment, deadShareMin));
  for (const segment of chosen) {
    throwIfAborted(signal);
    // one that is gone by now was given back whole
    if (deps.segments.get(segment.number) !== segment) continue;
    for await (const batch of scanSegment(deps, segment, 0, signal ? { signal } : {})) {
      const movable = batch.filter(({ kind }) => kind !== 'op');
      if (movable.length > 0) yield movable;
    }
  }
}

const isSparse = ({ isComplete, deadBytes, recordBytes }: Segment, deadShareMin: number): boolean =>
  isComplete && deadBytes > 0 && deadBytes >= deadShareMin * recordBytes;

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new SkerryError('Aborted', 'the scan was aborted', { cause: signal.reason });
}

function reportUnreadable({ segments }: ScanDeps, number: number, { onDamage }: ScanOptions): void {
  const unreadable = segments.unreadable(number);
  // a segment that is gone by now was deleted while the scan ran
  if (unreadable === undefined) return;
  onDamage?.(encodeLocator(number, { offset: 0, headerLength: 0, dataLength: 0 }, 0), unreadable.reason);
}

async function* scanSegment(
  { handles }: ScanDeps,
  segment: Segment,
  from: number,
  options: ScanOptions,
): AsyncGenerator<readonly StoredRecord[], void, undefined> {
  const lease = await handles.acquire(segment);
  try {
    const start = Math.max(from, SEGMENT_HEADER_BYTES);
    let batch: StoredRecord[] = [];
    for await (const step of walk(lease.handle, { start, end: segment.endOffset, salt: segment.salt })) {
      throwIfAborted(options.signal);
      if (step.type === 'gap') {
        await reportGap(segment, lease.handle, step, options);
        continue;
      }
      const { header } = step;
      if (segment.freed.has(header.offset)) continue;
      const locator = segment.locatorOf(header);
      if (!step.isIntact) {
        options.onDamage?.(locator, 'the data does not match its CRC', header.kind);
        continue;
      }
      batch.push({ locator, kind: header.kind, hash: header.hash, length: header.dataLength });
      if (batch.length < BATCH_MAX) continue;
      yield batch;
      batch = [];
    }
    if (batch.length > 0) yield batch;
  } finally {
    handles.release(lease);
  }
}

/** Names the records that lay in damaged bytes, as far as the segment's index still knows them. */
async function reportGap(
  segment: Segment,
  handle: FileHandle,
  gap: { readonly offset: number; readonly endOffset: number },
  { onDamage }: ScanOptions,
): Promise<void> {
  if (onDamage === undefined) return;
  const index = (await readIndex(handle)) ?? [];
  const lost = index.filter((entry) => entry.offset >= gap.offset && entry.offset < gap.endOffset);
  const unnamed: IndexEntry = { offset: gap.offset, headerLength: 0, dataLength: 0 };
  for (const entry of lost.length > 0 ? lost : [unnamed]) {
    if (!segment.freed.has(entry.offset))
      onDamage(segment.locatorOf(entry), 'the record header does not match its CRC');
  }
}

async function readIndex(handle: FileHandle): Promise<IndexEntry[] | undefined> {
  const size = await handle.size();
  if (size < TRAILER_BYTES) return undefined;
  const tail = Buffer.alloc(TRAILER_BYTES);
  await handle.read(tail, size - TRAILER_BYTES);
  const trailer = parseTrailer(tail, size);
  if (trailer === undefined) return undefined;
  const bytes = Buffer.alloc(size - TRAILER_BYTES - trailer.indexOffset);
  await handle.read(bytes, trailer.indexOffset);
  return parseIndex(bytes, trailer);
}
