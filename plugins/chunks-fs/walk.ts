/** Reads a segment from end to end, record by record, over what is damaged. */
import type { FileHandle } from '../../core/contracts/index.ts';
import {
  ALIGN_BYTES,
  BLOCK_BYTES,
  blocksMatch,
  claimedHeaderLength,
  parseRecordHeader,
  RECORD_HEADER_MAX_BYTES,
  RECORD_MAGIC,
} from './format.ts';
import type { RecordHeader } from './format.ts';

const WINDOW_BYTES = 1024 * 1024;

export type Step =
  /** A record with a good header; `isIntact` says the same of all its data. */
  | { readonly type: 'record'; readonly header: RecordHeader; readonly isIntact: boolean }
  /** Bytes that are no record, up to the next one or to the end. */
  | { readonly type: 'gap'; readonly offset: number; readonly endOffset: number };

export interface WalkRange {
  readonly start: number;
  readonly end: number;
  readonly salt: number;
}

/** A sliding view of a file: one read a megabyte. */
class Window {
  readonly #handle: FileHandle;
  readonly #end: number;
  readonly #buffer = Buffer.allocUnsafeSlow(WINDOW_BYTES);
  #offset = 0;
  #length = 0;

  constructor(handle: FileHandle, end: number) {
    this.#handle = handle;
    this.#end = end;
  }

  /** Bytes from `offset`, fewer than `length` at the end only. Valid until the next call. */
  async view(offset: number, length: number): Promise<Buffer> {
    const wanted = Math.max(0, Math.min(length, this.#end - offset));
    if (offset < this.#offset || offset + wanted > this.#offset + this.#length) await this.#load(offset);
    const from = offset - this.#offset;
    return this.#buffer.subarray(from, Math.min(from + wanted, this.#length));
  }

  async #load(offset: number): Promise<void> {
    this.#offset = offset;
    this.#length = 0;
    const wanted = Math.max(0, Math.min(WINDOW_BYTES, this.#end - offset));
    while (this.#length < wanted) {
      const read = await this.#handle.read(this.#buffer.subarray(this.#length, wanted), offset + this.#length);
      if (read === 0) return;
      this.#length += read;
    }
  }
}

async function headerAt(window: Window, offset: number, salt: number): Promise<RecordHeader | undefined> {
  const bytes = await window.view(offset, RECORD_HEADER_MAX_BYTES);
  return claimedHeaderLength(bytes) === undefined ? undefined : parseRecordHeader(bytes, offset, salt);
}

async function isDataIntact(window: Window, header: RecordHeader): Promise<boolean> {
  const dataOffset = header.offset + header.headerLength;
  for (let block = 0; block < header.blockCrcs.length; block += 1) {
    const at = block * BLOCK_BYTES;
    const length = Math.min(BLOCK_BYTES, header.dataLength - at);
    const bytes = await window.view(dataOffset + at, length);
    if (bytes.length !== length || !blocksMatch(bytes, header.blockCrcs, block)) return false;
  }
  return true;
}

/** Offset of the next good record header behind `offset`, or `range.end`. */
async function nextRecord(window: Window, offset: number, range: WalkRange): Promise<number> {
  let at = offset + ALIGN_BYTES;
  while (at < range.end) {
    const bytes = await window.view(at, WINDOW_BYTES / 2);
    const found = bytes.indexOf(RECORD_MAGIC);
    if (found === -1) {
      // a magic may lie across the edge of the view
      at += Math.max(ALIGN_BYTES, bytes.length - RECORD_MAGIC.length);
      continue;
    }
    const candidate = at + found;
    if (candidate % ALIGN_BYTES === 0 && (await headerAt(window, candidate, range.salt)) !== undefined)
      return candidate;
    at = candidate + 1;
  }
  return range.end;
}

/** Steps in order of offset that cover the range without hole or overlap. */
export async function* walk(handle: FileHandle, range: WalkRange): AsyncGenerator<Step, void, undefined> {
  const window = new Window(handle, range.end);
  let offset = range.start;
  while (offset < range.end) {
    const header = await headerAt(window, offset, range.salt);
    if (header === undefined) {
      const endOffset = await nextRecord(window, offset, range);
      yield { type: 'gap', offset, endOffset };
      offset = endOffset;
      continue;
    }
    yield { type: 'record', header, isIntact: await isDataIntact(window, header) };
    offset += header.headerLength + header.dataLength;
  }
}
