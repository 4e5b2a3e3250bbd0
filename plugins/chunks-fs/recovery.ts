/** What an open does: learn all segments from header and trailer; read through only those that were not sealed. */
import { isSkerryError } from '../../core/contracts/index.ts';
import type { FileHandle, FileSystem, Logger } from '../../core/contracts/index.ts';
import { deadListPath, loadDeadList } from './dead-list.ts';
import { encodeFooter, parseSegmentHeader, parseTrailer, SEGMENT_HEADER_BYTES, TRAILER_BYTES } from './format.ts';
import type { IndexEntry, SegmentHeader, Trailer } from './format.ts';
import { Segment, segmentName, segmentNumberOf } from './segment.ts';
import type { SegmentTable } from './segment.ts';
import { walk } from './walk.ts';

/** Segments read at the same time: enough to keep a disk's queue full. */
const PARALLEL = 16;

export interface RecoveryDeps {
  readonly files: FileSystem;
  readonly logger: Logger;
  readonly directory: string;
  readonly segments: SegmentTable;
}

interface Probe {
  readonly size: number;
  readonly header: SegmentHeader | undefined;
  readonly trailer: Trailer | undefined;
}

/** Fills `segments`. Rejects when the directory cannot be read. */
export async function recover(deps: RecoveryDeps): Promise<void> {
  const { files, directory } = deps;
  await files.mkdir(directory);
  const names = await files.list(directory);
  const numbers = names.map(segmentNumberOf).filter((number) => number !== undefined);
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let number = numbers[next++]; number !== undefined; number = numbers[next++]) await recoverOne(deps, number);
  };
  await Promise.all(Array.from({ length: PARALLEL }, lane));
  await removeLeftovers(deps, names);
}

/** Temporary files of interrupted writes, and lists whose segment is gone. */
async function removeLeftovers({ files, directory }: RecoveryDeps, names: readonly string[]): Promise<void> {
  const present = new Set(names);
  const isLeftover = (name: string): boolean =>
    /^\.segment-[0-9a-f]{12}\.skc\.dead\..*\.tmp$/u.test(name) ||
    (/^segment-[0-9a-f]{12}\.skc\.dead$/u.test(name) && !present.has(name.slice(0, -'.dead'.length)));
  for (const name of names.filter(isLeftover)) await files.remove(`${directory}/${name}`);
}

async function recoverOne(deps: RecoveryDeps, number: number): Promise<void> {
  const { files, logger, directory, segments } = deps;
  const path = `${directory}/${segmentName(number)}`;
  const probe = await probeSegment(files, path, number);
  const { size, header, trailer } = probe;
  if (size <= SEGMENT_HEADER_BYTES) {
    // a crash while it was being created, or a clean stop before its first record: it never held anything
    await files.remove(path);
    return;
  }
  const known = trailer ?? header;
  if (known === undefined) {
    const reason = 'neither the header nor the trailer of the segment is readable';
    logger.error({ segment: number, path }, reason);
    segments.addUnreadable({ number, path, reason });
    return;
  }
  if (header === undefined)
    logger.warn({ segment: number, path }, 'the header of a segment is damaged; its trailer stands in');
  const facts = trailer === undefined ? await readThrough(deps, known, path, size) : factsOf(trailer);
  if (facts === undefined) return;
  const segment = new Segment(known, path, facts);
  segment.isComplete = true;
  await loadDeadList(files, segment);
  segments.add(segment);
}

function factsOf(trailer: Trailer): { readonly endOffset: number; readonly recordBytes: number } {
  return { endOffset: trailer.indexOffset, recordBytes: trailer.recordBytes };
}

async function probeSegment(files: FileSystem, path: string, number: number): Promise<Probe> {
  const handle = await files.open(path, 'read');
  try {
    const size = await handle.size();
    const header = parseSegmentHeader(await readAt(handle, 0, Math.min(SEGMENT_HEADER_BYTES, size)));
    const tail = await readAt(handle, Math.max(0, size - TRAILER_BYTES), Math.min(TRAILER_BYTES, size));
    const trailer = parseTrailer(tail, size);
    const isOwn = (found: SegmentHeader | undefined): boolean =>
      found?.number === number && (header === undefined || found.salt === header.salt);
    return {
      size,
      header: header?.number === number ? header : undefined,
      trailer: isOwn(trailer) ? trailer : undefined,
    };
  } finally {
    await handle.close();
  }
}

async function readAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const read = await handle.read(bytes.subarray(filled), position + filled);
    if (read === 0) break;
    filled += read;
  }
  return bytes.subarray(0, filled);
}

/** Finds the records of an unsealed segment and cuts what a crash left behind the last good one. */
async function readThrough(
  deps: RecoveryDeps,
  header: SegmentHeader,
  path: string,
  size: number,
): Promise<{ readonly endOffset: number; readonly recordBytes: number } | undefined> {
  const { files, logger } = deps;
  const handle = await files.open(path, 'update');
  try {
    const { entries, endOffset, damagedCount } = await findRecords(handle, header, size);
    if (endOffset < size) logger.warn({ segment: header.number, cutBytes: size - endOffset }, 'a torn tail was cut');
    if (damagedCount > 0) logger.error({ segment: header.number, damagedCount }, 'damage lies before good records');
    if (entries.length === 0) {
      await files.remove(path);
      return undefined;
    }
    await reseal(deps, handle, header, endOffset, entries);
    const recordBytes = entries.reduce((sum, entry) => sum + entry.headerLength + entry.dataLength, 0);
    return { endOffset, recordBytes };
  } finally {
    await handle.close();
  }
}

/** Damage before a good record is damage; damage after the last one is a tail that never was durable. */
async function findRecords(
  handle: FileHandle,
  header: SegmentHeader,
  size: number,
): Promise<{ readonly entries: IndexEntry[]; readonly endOffset: number; readonly damagedCount: number }> {
  const entries: IndexEntry[] = [];
  const doubtful: IndexEntry[] = [];
  let endOffset = SEGMENT_HEADER_BYTES;
  let damagedCount = 0;
  let pendingDamage = 0;
  for await (const step of walk(handle, { start: SEGMENT_HEADER_BYTES, end: size, salt: header.salt })) {
    if (step.type === 'gap' || !step.isIntact) {
      pendingDamage += 1;
      if (step.type === 'record') doubtful.push(step.header);
      continue;
    }
    const { offset, headerLength, dataLength } = step.header;
    entries.push(...doubtful.splice(0), { offset, headerLength, dataLength });
    endOffset = offset + headerLength + dataLength;
    damagedCount += pendingDamage;
    pendingDamage = 0;
  }
  return { entries, endOffset, damagedCount };
}

/** Best effort: a full or read-only disk must not keep the store from serving what it has. */
async function reseal(
  { logger }: RecoveryDeps,
  handle: FileHandle,
  header: SegmentHeader,
  endOffset: number,
  entries: readonly IndexEntry[],
): Promise<void> {
  try {
    await handle.truncate(endOffset);
    await handle.write([encodeFooter(header, endOffset, entries)], endOffset);
    await handle.sync();
  } catch (error) {
    if (!isSkerryError(error)) throw error;
    logger.warn({ segment: header.number, error }, 'could not seal a recovered segment; the next open tries again');
  }
}

/** Deletes a segment's files. */
export async function removeSegment(files: FileSystem, segment: Segment): Promise<void> {
  await files.remove(deadListPath(segment));
  await files.remove(segment.path);
}
