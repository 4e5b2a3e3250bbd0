/**
 * The one writer. Concurrent appends gather into one write; concurrent syncs share one fdatasync a segment. After a failed
 * sync the kernel may have dropped the dirty pages and call the next fdatasync a success, so the segment is never trusted
 * with another record: what was unsynced in it is lost, and whoever synced is told.
 */
import { isSkerryError, SkerryError } from '../../core/contracts/index.ts';
import type { FileHandle, FileSystem, Locator, Logger, Random } from '../../core/contracts/index.ts';
import {
  encodeFooter,
  encodeRecordHeader,
  encodeSegmentHeader,
  SEGMENT_HEADER_BYTES,
  SEGMENT_MAX_BYTES,
} from './format.ts';
import type { IndexEntry, PreparedRecord } from './format.ts';
import type { Handles, Lease } from './handles.ts';
import type { Options } from './options.ts';
import { Segment, segmentName } from './segment.ts';
import type { SegmentTable } from './segment.ts';

/** A dead end of the open segment that is worth ending the segment for. */
const TRIM_MIN_BYTES = 4 * 1024 * 1024;
/** Free space is looked at again after this many bytes at the latest. */
const LOOK_EVERY_BYTES = 64 * 1024 * 1024;

/** One write takes at most this much of the queue, so that the first in it does not wait for the last. */
const GROUP_MAX_BYTES = 8 * 1024 * 1024;

interface Job {
  readonly records: readonly PreparedRecord[];
  readonly bytes: number;
  readonly resolve: (locators: readonly Locator[]) => void;
  readonly reject: (error: unknown) => void;
}

/** A segment whose file is open for writing, or was and has not been synced to its end. */
interface WritableSegment {
  readonly segment: Segment;
  readonly handle: FileHandle;
  readonly lease: Lease;
  readonly index: IndexEntry[];
  syncedEnd: number;
  /** Sync in the background; never rejects. */
  ahead: Promise<void> | undefined;
  /** Why nothing unsynced in here can be trusted. */
  failure: SkerryError | undefined;
}

export interface AppenderDeps {
  readonly files: FileSystem;
  readonly random: Random;
  readonly logger: Logger;
  readonly directory: string;
  readonly handles: Handles;
  readonly segments: SegmentTable;
  readonly options: Pick<Options, 'segmentMaxBytes' | 'syncAheadBytes' | 'minFreeBytes'>;
  /** No more records will come to the segment. */
  readonly onComplete: (segment: Segment) => void;
}

function asSkerryError(error: unknown): SkerryError {
  return isSkerryError(error) ? error : new SkerryError('Io', 'the write failed', { cause: error });
}

export class Appender {
  readonly #deps: AppenderDeps;
  readonly #queue: Job[] = [];
  #draining: Promise<void> | undefined;
  #current: WritableSegment | undefined;
  /** Segments that may hold bytes which are not durable; the current one always. */
  readonly #dirty = new Set<WritableSegment>();
  #runningSync: Promise<void> | undefined;
  #nextSync: Promise<void> | undefined;
  #isTrimWanted = false;
  /** Bytes that may be written before the free space is looked at again. */
  #roomBytes = 0;

  constructor(deps: AppenderDeps) {
    this.#deps = deps;
  }

  append(records: readonly PreparedRecord[]): Promise<readonly Locator[]> {
    const bytes = records.reduce((sum, record) => sum + record.headerLength + record.dataLength, 0);
    if (bytes > SEGMENT_MAX_BYTES / 2) {
      const message = `one append takes at most ${SEGMENT_MAX_BYTES / 2} bytes`;
      return Promise.reject(new SkerryError('InvalidArgument', message));
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ records, bytes, resolve, reject });
      this.#draining ??= this.#drain();
    });
  }

  /**
   * Gives back a dead end of the open segment. The segment then ends: no offset is used twice, or a locator that was given out
   * would lead to other bytes.
   */
  async trim(segment: Segment): Promise<void> {
    const current = this.#current;
    if (current?.segment !== segment || segment.deadBytes < TRIM_MIN_BYTES) return;
    if (segment.endOffset - liveEnd(current).endOffset < TRIM_MIN_BYTES) return;
    this.#isTrimWanted = true;
    this.#draining ??= this.#drain();
    await this.#draining;
  }

  /** A call during a running sync shares the one after it: the running one may have passed its records already. */
  sync(): Promise<void> {
    if (this.#nextSync !== undefined) return this.#nextSync;
    if (this.#runningSync === undefined) return this.#startSync();
    this.#nextSync = this.#syncAfter(this.#runningSync);
    return this.#nextSync;
  }

  /** Waits for the queue, syncs, seals. Gives every handle back even when it rejects. */
  async close(): Promise<void> {
    await this.#draining;
    try {
      const current = this.#current;
      if (current !== undefined) await this.#complete(current);
      await this.sync();
    } finally {
      for (const writable of this.#dirty) this.#forget(writable);
    }
  }

  async #drain(): Promise<void> {
    // one turn of the microtask queue, so that calls made together are written together
    await Promise.resolve();
    while (this.#queue.length > 0 || this.#isTrimWanted) {
      if (this.#isTrimWanted) await this.#trimCurrent();
      else await this.#writeGroup();
    }
    this.#draining = undefined;
  }

  async #writeGroup(): Promise<void> {
    let writable: WritableSegment;
    try {
      await this.#requireRoom(this.#queue[0]?.bytes ?? 0);
      writable = await this.#writableFor(this.#queue[0]?.bytes ?? 0);
    } catch (error) {
      this.#queue.shift()?.reject(error);
      return;
    }
    writable.lease.users += 1;
    try {
      const group = this.#takeGroup(writable.segment.endOffset);
      for (const { bytes } of group) this.#roomBytes -= bytes;
      await this.#writeInto(writable, group);
    } finally {
      this.#deps.handles.release(writable.lease);
    }
  }

  async #writeInto(writable: WritableSegment, group: readonly Job[]): Promise<void> {
    const { segment, handle } = writable;
    const start = segment.endOffset;
    const { pieces, entries } = encodeGroup(group, start, segment.salt);
    try {
      await handle.write(pieces, start);
    } catch (error) {
      await this.#undo(writable, start, asSkerryError(error));
      for (const job of group) job.reject(error);
      return;
    }
    if (writable.failure === undefined) {
      this.#accept(writable, group, entries);
      return;
    }
    // a sync failed meanwhile; nobody was promised anything about this group, so it simply moves on
    await this.#undo(writable, start, writable.failure);
    this.#queue.unshift(...group);
  }

  /** Others write to the volume too, so the less is left the sooner it is looked at again. */
  async #requireRoom(bytes: number): Promise<void> {
    const { files, directory, options } = this.#deps;
    if (options.minFreeBytes === 0 || this.#roomBytes >= bytes) return;
    const { freeBytes } = await files.space(directory);
    const room = freeBytes - options.minFreeBytes;
    if (room < bytes) {
      const details = { freeBytes, minFreeBytes: options.minFreeBytes };
      throw new SkerryError('OutOfSpace', `the volume has ${freeBytes} bytes left`, { details });
    }
    this.#roomBytes = bytes + Math.min((room - bytes) / 2, LOOK_EVERY_BYTES);
  }

  #takeGroup(endOffset: number): Job[] {
    let bytes = 0;
    let count = 0;
    for (const job of this.#queue) {
      const isOver = bytes + job.bytes > GROUP_MAX_BYTES || this.#isOverfull(endOffset, bytes + job.bytes);
      if (count > 0 && isOver) break;
      bytes += job.bytes;
      count += 1;
    }
    return this.#queue.splice(0, count);
  }

  #isOverfull(endOffset: number, bytes: number): boolean {
    return endOffset + bytes > this.#deps.options.segmentMaxBytes;
  }

  #accept(writable: WritableSegment, group: readonly Job[], entries: readonly IndexEntry[]): void {
    const { segment } = writable;
    let next = 0;
    for (const job of group) {
      const own = entries.slice(next, next + job.records.length);
      next += job.records.length;
      for (const entry of own) writable.index.push(entry);
      segment.endOffset += job.bytes;
      segment.recordBytes += job.bytes;
      job.resolve(own.map((entry) => segment.locatorOf(entry)));
    }
    const unsyncedBytes = segment.endOffset - writable.syncedEnd;
    if (unsyncedBytes >= this.#deps.options.syncAheadBytes && this.#runningSync === undefined) {
      writable.ahead ??= this.#flush(writable).finally(() => {
        writable.ahead = undefined;
      });
    }
  }

  async #writableFor(bytes: number): Promise<WritableSegment> {
    const current = this.#current;
    if (current !== undefined) {
      const isEmpty = current.index.length === 0;
      if (isEmpty || !this.#isOverfull(current.segment.endOffset, bytes)) return current;
      await this.#complete(current);
    }
    this.#current = await this.#create();
    this.#dirty.add(this.#current);
    return this.#current;
  }

  async #create(): Promise<WritableSegment> {
    const { files, random, directory, handles, segments } = this.#deps;
    const number = segments.nextNumber();
    const path = `${directory}/${segmentName(number)}`;
    const salt = Buffer.from(random.bytes(4)).readUInt32LE(0);
    const handle = await files.open(path, 'create');
    try {
      await handle.write([encodeSegmentHeader({ number, salt })], 0);
      // durable before any record: a segment of more than a header without a header is damage, not a crash
      await handle.sync();
      await files.syncDirectory(directory);
    } catch (error) {
      await handle.close();
      await files.remove(path);
      throw error;
    }
    const segment = new Segment({ number, salt }, path, { endOffset: SEGMENT_HEADER_BYTES, recordBytes: 0 });
    segments.add(segment);
    const lease = handles.adopt(segment, handle);
    lease.users += 1;
    return { segment, handle, lease, index: [], syncedEnd: SEGMENT_HEADER_BYTES, ahead: undefined, failure: undefined };
  }

  /** Gives back the space of a failed write. A full disk is no fault of the segment; any other failure ends it. */
  async #undo(writable: WritableSegment, start: number, failure: SkerryError): Promise<void> {
    const { segment, handle } = writable;
    try {
      await handle.truncate(start);
    } catch (error) {
      this.#deps.logger.warn({ segment: segment.number, error }, 'could not give back the space of a failed append');
      this.#retire(writable);
      return;
    }
    if (failure.code !== 'OutOfSpace') this.#retire(writable);
  }

  async #trimCurrent(): Promise<void> {
    this.#isTrimWanted = false;
    const writable = this.#current;
    if (writable === undefined) return;
    const { segment, handle, index } = writable;
    const { endOffset, count } = liveEnd(writable);
    try {
      await handle.truncate(endOffset);
    } catch (error) {
      this.#deps.logger.warn({ segment: segment.number, error }, 'could not give back the dead end of a segment');
      return;
    }
    segment.cutTo(endOffset, index.splice(count));
    writable.syncedEnd = Math.min(writable.syncedEnd, endOffset);
    if (count === 0) return this.#retire(writable);
    // durable before the footer stands where records were, or a crash in between would look like damage
    await this.#flush(writable);
    if (writable.failure === undefined) await this.#complete(writable);
  }

  /** Ends the segment with its footer, which is a cache: when it cannot be written, the next open makes it. */
  async #complete(writable: WritableSegment): Promise<void> {
    const { segment, handle, index } = writable;
    try {
      await handle.write([encodeFooter(segment, segment.endOffset, index)], segment.endOffset);
    } catch (error) {
      this.#deps.logger.warn({ segment: segment.number, error }, 'could not write the index of a segment');
    }
    this.#retire(writable);
  }

  #retire(writable: WritableSegment): void {
    if (this.#current === writable) this.#current = undefined;
    if (writable.segment.isComplete) return;
    writable.segment.isComplete = true;
    this.#deps.onComplete(writable.segment);
  }

  #forget(writable: WritableSegment): void {
    if (this.#dirty.delete(writable)) this.#deps.handles.release(writable.lease);
  }

  #startSync(): Promise<void> {
    const running = this.#syncDirty().finally(() => {
      this.#runningSync = undefined;
    });
    this.#runningSync = running;
    return running;
  }

  /** Rejects with the running sync: its failure is also about records that this caller may mean. */
  async #syncAfter(running: Promise<void>): Promise<void> {
    try {
      await running;
    } finally {
      this.#nextSync = undefined;
    }
    await this.#startSync();
  }

  async #syncDirty(): Promise<void> {
    const dirty = [...this.#dirty];
    await Promise.all(dirty.map((writable) => this.#syncOne(writable)));
    const failed = dirty.find((writable) => writable.failure !== undefined);
    for (const writable of dirty) {
      const isDone = writable !== this.#current && writable.syncedEnd >= writable.segment.endOffset;
      if (isDone || writable.failure !== undefined) this.#forget(writable);
    }
    if (failed?.failure !== undefined) throw failed.failure;
  }

  async #syncOne(writable: WritableSegment): Promise<void> {
    await writable.ahead;
    const { segment } = writable;
    const isOwed = writable.syncedEnd < segment.endOffset || segment.isComplete;
    if (writable.failure === undefined && isOwed) await this.#flush(writable);
  }

  /** Never rejects: a failure is kept with the segment, for the sync that must tell it. */
  async #flush(writable: WritableSegment): Promise<void> {
    const { segment, handle } = writable;
    const end = segment.endOffset;
    try {
      await handle.sync();
      writable.syncedEnd = end;
    } catch (error) {
      writable.failure = asSkerryError(error);
      this.#deps.logger.error({ segment: segment.number, error }, 'a sync failed; the segment takes no more records');
      this.#retire(writable);
    }
  }
}

/** Where the last live record of an open segment ends, and how many records that leaves. */
function liveEnd({ segment, index }: WritableSegment): { readonly endOffset: number; readonly count: number } {
  let { endOffset } = segment;
  let count = index.length;
  for (let last = index.at(-1); last !== undefined && segment.freed.has(last.offset); last = index[count - 1]) {
    endOffset = last.offset;
    count -= 1;
  }
  return { endOffset, count };
}

function encodeGroup(
  group: readonly Job[],
  start: number,
  salt: number,
): { readonly pieces: Uint8Array[]; readonly entries: IndexEntry[] } {
  let headerBytes = 0;
  for (const job of group) for (const record of job.records) headerBytes += record.headerLength;
  const headers = Buffer.allocUnsafeSlow(headerBytes);
  const pieces: Uint8Array[] = [];
  const entries: IndexEntry[] = [];
  let offset = start;
  let at = 0;
  for (const job of group) {
    for (const record of job.records) {
      const { headerLength, dataLength } = record;
      const header = headers.subarray(at, at + headerLength);
      encodeRecordHeader(header, record, offset, salt);
      at += headerLength;
      pieces.push(header, ...record.data);
      entries.push({ offset, headerLength, dataLength });
      offset += headerLength + dataLength;
    }
  }
  return { pieces, entries };
}
