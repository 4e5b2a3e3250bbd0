/** Reads of single records: only the blocks that are asked for, each checked against its CRC. */
import { isSkerryError, SkerryError } from '../../core/contracts/index.ts';
import type { FileHandle, Locator, ReadOptions } from '../../core/contracts/index.ts';
import { BLOCK_BYTES, blocksMatch, parseRecordHeader } from './format.ts';
import type { RecordHeader } from './format.ts';
import type { Handles, Lease } from './handles.ts';
import { checkOf, parseLocator } from './locator.ts';
import type { Place } from './locator.ts';
import type { Segment, SegmentTable } from './segment.ts';

/** Headers of large records kept in memory, for readers that take such a record in ranges. */
const HEADERS_MAX = 512;
/** Buffers kept for the ends of ranges that do not begin or end with a block. */
const SCRATCH_MAX = 16;

interface Found {
  readonly place: Place;
  readonly segment: Segment;
}

interface Range {
  readonly start: number;
  readonly length: number;
}

function notFound(locator: Locator): SkerryError {
  return new SkerryError('NotFound', 'no record has this locator', {
    details: { locator: String(locator).slice(0, 128) },
  });
}

function corrupt(locator: Locator, reason: string): SkerryError {
  return new SkerryError('Corrupt', `stored bytes are damaged: ${reason}`, { details: { locator, reason } });
}

function rangeOf(place: Place, options: ReadOptions): Range {
  const start = options.start ?? 0;
  const length = options.length ?? place.dataLength - start;
  const isValid = Number.isSafeInteger(start) && Number.isSafeInteger(length) && start >= 0 && length >= 0;
  if (!isValid || start + length > place.dataLength) {
    throw new SkerryError(
      'InvalidArgument',
      `range ${start}+${length} is not within the record's ${place.dataLength} bytes`,
    );
  }
  if (options.into !== undefined && options.into.length < length) {
    throw new SkerryError('InvalidArgument', `into has ${options.into.length} bytes, the range ${length}`);
  }
  return { start, length };
}

export class Reader {
  readonly #segments: SegmentTable;
  readonly #handles: Handles;
  readonly #headers = new Map<Locator, RecordHeader>();
  readonly #scratch: Buffer[] = [];

  constructor(segments: SegmentTable, handles: Handles) {
    this.#segments = segments;
    this.#handles = handles;
  }

  /** The record of a locator that this store gave out and that was not freed; else throws. */
  find(locator: Locator): Found {
    const place = parseLocator(locator);
    if (place === undefined) throw notFound(locator);
    const segment = this.#segments.get(place.segment);
    if (segment === undefined) {
      const unreadable = this.#segments.unreadable(place.segment);
      throw unreadable === undefined ? notFound(locator) : corrupt(locator, unreadable.reason);
    }
    if (checkOf(place, segment.salt) !== place.check || segment.freed.has(place.offset)) throw notFound(locator);
    if (place.offset + place.headerLength + place.dataLength > segment.endOffset) throw notFound(locator);
    return { place, segment };
  }

  async read(locator: Locator, options: ReadOptions): Promise<Uint8Array> {
    const { place, segment } = this.find(locator);
    const range = rangeOf(place, options);
    const { signal } = options;
    if (signal?.aborted === true) throw new SkerryError('Aborted', 'the read was aborted', { cause: signal.reason });
    const lease = this.#handles.acquireNow(segment) ?? (await this.#acquire(locator, segment));
    try {
      if (place.dataLength <= BLOCK_BYTES)
        return await this.#readSmall(locator, place, segment, lease, range, options.into);
      return await this.#readBlocks(locator, place, segment, lease, range, options.into);
    } catch (error) {
      // freed while it was read: then it is gone, not damaged
      this.find(locator);
      throw error;
    } finally {
      this.#handles.release(lease);
    }
  }

  readNow(locator: Locator): Uint8Array | undefined {
    const { place, segment } = this.find(locator);
    if (place.dataLength > BLOCK_BYTES) return undefined;
    const lease = this.#handles.acquireNow(segment);
    if (lease === undefined) return undefined;
    try {
      const bytes = Buffer.allocUnsafeSlow(place.headerLength + place.dataLength);
      const count = lease.handle.readSync(bytes, place.offset);
      return this.#checkedSmall(locator, place, segment, bytes, count);
    } finally {
      this.#handles.release(lease);
    }
  }

  async #acquire(locator: Locator, segment: Segment): Promise<Lease> {
    try {
      return await this.#handles.acquire(segment);
    } catch (error) {
      if (!isSkerryError(error, 'NotFound')) throw error;
      const isDeleted = this.#segments.get(segment.number) !== segment;
      throw isDeleted ? notFound(locator) : corrupt(locator, 'the segment file is gone');
    }
  }

  /** Header and data in one read. */
  async #readSmall(
    locator: Locator,
    place: Place,
    segment: Segment,
    { handle }: Lease,
    range: Range,
    into: Uint8Array | undefined,
  ): Promise<Uint8Array> {
    const bytes = Buffer.allocUnsafeSlow(place.headerLength + place.dataLength);
    const count = await readFully(handle, bytes, place.offset);
    const data = this.#checkedSmall(locator, place, segment, bytes, count).subarray(
      range.start,
      range.start + range.length,
    );
    if (into === undefined) return data;
    into.set(data);
    return into.subarray(0, range.length);
  }

  #checkedSmall(locator: Locator, place: Place, segment: Segment, bytes: Buffer, count: number): Uint8Array {
    if (count < bytes.length) throw corrupt(locator, 'the segment file is too short');
    const header = this.#checkedHeader(locator, place, segment, bytes);
    const data = bytes.subarray(place.headerLength);
    if (!blocksMatch(data, header.blockCrcs, 0)) throw corrupt(locator, 'the data does not match its CRC');
    return data;
  }

  #checkedHeader(locator: Locator, place: Place, segment: Segment, bytes: Buffer): RecordHeader {
    const header = parseRecordHeader(bytes, place.offset, segment.salt);
    const isMeant = header?.dataLength === place.dataLength && header.headerLength === place.headerLength;
    if (header === undefined || !isMeant) throw corrupt(locator, 'the record header does not match its CRC');
    return header;
  }

  /** Whole blocks go straight into the result; only the cut ends of a range pass through scratch memory. */
  async #readBlocks(
    locator: Locator,
    place: Place,
    segment: Segment,
    { handle }: Lease,
    range: Range,
    into: Uint8Array | undefined,
  ): Promise<Uint8Array> {
    const target = into?.subarray(0, range.length) ?? Buffer.allocUnsafeSlow(range.length);
    const header = this.#headers.get(locator) ?? (await this.#loadHeader(locator, place, segment, handle));
    const dataOffset = place.offset + place.headerLength;
    const end = range.start + range.length;
    const readInto = async (bytes: Uint8Array, from: number): Promise<void> => {
      const count = await readFully(handle, bytes, dataOffset + from);
      if (count < bytes.length) throw corrupt(locator, 'the segment file is too short');
      if (!blocksMatch(bytes, header.blockCrcs, from / BLOCK_BYTES)) {
        throw corrupt(locator, 'the data does not match its CRC');
      }
    };
    const cutBlock = async (blockStart: number): Promise<void> => {
      const scratch = this.#scratch.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
      const block = scratch.subarray(0, Math.min(BLOCK_BYTES, place.dataLength - blockStart));
      await readInto(block, blockStart);
      const from = Math.max(range.start, blockStart);
      const wanted = block.subarray(from - blockStart, Math.min(end - blockStart, block.length));
      target.set(wanted, from - range.start);
      if (this.#scratch.length < SCRATCH_MAX) this.#scratch.push(scratch);
    };
    const wholeStart = Math.ceil(range.start / BLOCK_BYTES) * BLOCK_BYTES;
    const wholeEnd = end === place.dataLength ? end : Math.floor(end / BLOCK_BYTES) * BLOCK_BYTES;
    const reads: Promise<void>[] = [];
    if (range.length > 0 && range.start < wholeStart) reads.push(cutBlock(wholeStart - BLOCK_BYTES));
    if (wholeStart < wholeEnd) {
      reads.push(readInto(target.subarray(wholeStart - range.start, wholeEnd - range.start), wholeStart));
    }
    if (wholeEnd < end && wholeEnd >= wholeStart) reads.push(cutBlock(wholeEnd));
    await allDone(reads);
    return target;
  }

  async #loadHeader(locator: Locator, place: Place, segment: Segment, handle: FileHandle): Promise<RecordHeader> {
    const bytes = Buffer.allocUnsafe(place.headerLength);
    const count = await readFully(handle, bytes, place.offset);
    if (count < bytes.length) throw corrupt(locator, 'the segment file is too short');
    const header = this.#checkedHeader(locator, place, segment, bytes);
    if (this.#headers.size >= HEADERS_MAX) {
      const [oldest] = this.#headers.keys();
      if (oldest !== undefined) this.#headers.delete(oldest);
    }
    this.#headers.set(locator, header);
    return header;
  }
}

/** All settled before the first failure is thrown: no read may still be filling the caller's buffer by then. */
async function allDone(reads: readonly Promise<void>[]): Promise<void> {
  if (reads.length === 1) return reads[0];
  for (const result of await Promise.allSettled(reads)) if (result.status === 'rejected') throw result.reason;
}

async function readFully(handle: FileHandle, into: Uint8Array, position: number): Promise<number> {
  let filled = await handle.read(into, position);
  while (filled > 0 && filled < into.length) {
    const more = await handle.read(into.subarray(filled), position + filled);
    if (more === 0) break;
    filled += more;
  }
  return filled;
}
