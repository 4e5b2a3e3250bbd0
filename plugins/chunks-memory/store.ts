/** A chunk-store that keeps copies of its records in a map. Locators count up and are never used twice. */
import { SkerryError } from '../../core/contracts/index.ts';
import type {
  ChunkRecord,
  ChunkStore,
  ChunkUsage,
  Locator,
  ReadOptions,
  RecordKind,
  StoredRecord,
} from '../../core/contracts/index.ts';
import type { Options } from './options.ts';

const RECORD_MAX_BYTES = 16 * 1024 * 1024;
const READ_NOW_MAX_BYTES = 64 * 1024;
const SCAN_BATCH = 1000;
const KINDS: ReadonlySet<RecordKind> = new Set<RecordKind>(['data', 'node', 'op']);
const LOCATOR_PATTERN = /^m([1-9][0-9]{0,15})$/u;

type Kept = Pick<ChunkRecord, 'kind' | 'hash'> & { readonly bytes: Uint8Array };

function copied(record: ChunkRecord): Kept {
  for (const piece of record.data) {
    if (!(piece instanceof Uint8Array)) throw new SkerryError('InvalidArgument', 'data must be pieces of bytes');
  }
  const length = record.data.reduce((sum, piece) => sum + piece.length, 0);
  if (length > RECORD_MAX_BYTES) {
    throw new SkerryError('InvalidArgument', `a record has at most ${RECORD_MAX_BYTES} bytes, not ${length}`);
  }
  if (!KINDS.has(record.kind) || record.hash.length === 0) {
    throw new SkerryError('InvalidArgument', 'a record needs a known kind and a hash');
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const piece of record.data) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return { kind: record.kind, hash: record.hash, bytes };
}

function countOf(locator: Locator): number {
  return Number(LOCATOR_PATTERN.exec(locator)?.[1] ?? 0);
}

export class MemoryChunkStore implements ChunkStore {
  readonly #capacityBytes: number;
  /** By count of the locator, so in order of appending. */
  readonly #records = new Map<number, Kept>();
  #state: 'new' | 'open' | 'closed' = 'new';
  #lastCount = 0;
  #liveBytes = 0;

  constructor(options: Options) {
    this.#capacityBytes = options.capacityBytes;
  }

  async open(): Promise<void> {
    this.#state = 'open';
  }

  async close(): Promise<void> {
    this.#state = 'closed';
    this.#records.clear();
    this.#liveBytes = 0;
  }

  async append(records: readonly ChunkRecord[]): Promise<readonly Locator[]> {
    this.#assertOpen();
    const kept = records.map(copied);
    const bytes = kept.reduce((sum, record) => sum + record.bytes.length, 0);
    if (this.#capacityBytes > 0 && this.#liveBytes + bytes > this.#capacityBytes) {
      throw new SkerryError('OutOfSpace', `the store holds at most ${this.#capacityBytes} bytes`);
    }
    this.#liveBytes += bytes;
    return kept.map((record) => {
      this.#lastCount += 1;
      this.#records.set(this.#lastCount, record);
      return `m${this.#lastCount}`;
    });
  }

  async sync(): Promise<void> {
    this.#assertOpen();
  }

  async read(locator: Locator, options: ReadOptions = {}): Promise<Uint8Array> {
    const { bytes } = this.#find(locator);
    const start = options.start ?? 0;
    const length = options.length ?? bytes.length - start;
    const isRange = Number.isSafeInteger(start) && Number.isSafeInteger(length) && start >= 0 && length >= 0;
    if (!isRange || start + length > bytes.length) {
      throw new SkerryError(
        'InvalidArgument',
        `range ${start}+${length} is not within the record's ${bytes.length} bytes`,
      );
    }
    if (options.signal?.aborted === true) {
      throw new SkerryError('Aborted', 'the read was aborted', { cause: options.signal.reason });
    }
    const { into } = options;
    if (into === undefined) return bytes.slice(start, start + length);
    if (into.length < length) {
      throw new SkerryError('InvalidArgument', `into has ${into.length} bytes, the range ${length}`);
    }
    into.set(bytes.subarray(start, start + length));
    return into.subarray(0, length);
  }

  readNow(locator: Locator): Uint8Array | undefined {
    const { bytes } = this.#find(locator);
    return bytes.length <= READ_NOW_MAX_BYTES ? bytes.slice() : undefined;
  }

  async free(locators: readonly Locator[]): Promise<void> {
    this.#assertOpen();
    for (const locator of locators) {
      const count = countOf(locator);
      this.#liveBytes -= this.#records.get(count)?.bytes.length ?? 0;
      this.#records.delete(count);
    }
  }

  async *scan(
    options: { readonly after?: Locator; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<readonly StoredRecord[], void, undefined> {
    this.#assertOpen();
    const after = options.after === undefined ? 0 : countOf(options.after);
    if (options.after !== undefined && after === 0) {
      throw new SkerryError('InvalidArgument', 'after is no locator of this store');
    }
    const counts = [...this.#records.keys()].filter((count) => count > after);
    for (let from = 0; from < counts.length; from += SCAN_BATCH) {
      this.#assertOpen();
      if (options.signal?.aborted === true) {
        throw new SkerryError('Aborted', 'the scan was aborted', { cause: options.signal.reason });
      }
      const batch = counts.slice(from, from + SCAN_BATCH).flatMap((count) => this.#stored(count));
      if (batch.length > 0) yield batch;
    }
  }

  async usage(): Promise<ChunkUsage> {
    this.#assertOpen();
    const used = { liveBytes: this.#liveBytes, deadBytes: 0 };
    return this.#capacityBytes === 0 ? used : { ...used, freeBytes: this.#capacityBytes - this.#liveBytes };
  }

  #stored(count: number): StoredRecord[] {
    const record = this.#records.get(count);
    if (record === undefined) return [];
    return [{ locator: `m${count}`, kind: record.kind, hash: record.hash, length: record.bytes.length }];
  }

  #find(locator: Locator): Kept {
    this.#assertOpen();
    const record = this.#records.get(countOf(locator));
    if (record === undefined) {
      throw new SkerryError('NotFound', 'no record has this locator', {
        details: { locator: String(locator).slice(0, 128) },
      });
    }
    return record;
  }

  #assertOpen(): void {
    if (this.#state !== 'open') throw new SkerryError('Closed', 'the chunk store is not open');
  }
}
