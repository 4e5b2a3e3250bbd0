/**
 * Broken chunk-stores, each with one fault over a correct one. The kit must fail every one of them: a rule that no mutant
 * proves is not a rule.
 */
import { SkerryError } from '../../../core/contracts/index.ts';
import type {
  ChunkRecord,
  ChunkStore,
  ChunkUsage,
  Locator,
  ReadOptions,
  StoredRecord,
} from '../../../core/contracts/index.ts';

type ScanOptions = NonNullable<Parameters<ChunkStore['scan']>[0]>;
type SparseOptions = Parameters<NonNullable<ChunkStore['sparse']>>[0];

/** A chunk-store that passes every call on; mutants override one. */
class Passing implements ChunkStore {
  protected readonly inner: ChunkStore;

  constructor(inner: ChunkStore) {
    this.inner = inner;
  }
  open(): Promise<void> {
    return this.inner.open();
  }
  close(): Promise<void> {
    return this.inner.close();
  }
  append(records: readonly ChunkRecord[]): Promise<readonly Locator[]> {
    return this.inner.append(records);
  }
  sync(): Promise<void> {
    return this.inner.sync();
  }
  read(locator: Locator, options?: ReadOptions): Promise<Uint8Array> {
    return this.inner.read(locator, options);
  }
  readNow(locator: Locator): Uint8Array | undefined {
    return this.inner.readNow?.(locator);
  }
  free(locators: readonly Locator[]): Promise<void> {
    return this.inner.free(locators);
  }
  scan(options?: ScanOptions): AsyncIterable<readonly StoredRecord[]> {
    return this.inner.scan(options);
  }
  sparse(options: SparseOptions): AsyncIterable<readonly StoredRecord[]> {
    return this.inner.sparse?.(options) ?? mapped(this.inner.scan(), () => []);
  }
  usage(): Promise<ChunkUsage> {
    return this.inner.usage();
  }
}

/** A scan with each batch replaced; an empty replacement is yielded too. */
async function* mapped(
  batches: AsyncIterable<readonly StoredRecord[]>,
  change: (batch: readonly StoredRecord[]) => readonly StoredRecord[],
): AsyncGenerator<readonly StoredRecord[]> {
  for await (const batch of batches) yield change(batch);
}

class ReversedLocators extends Passing {
  override async append(records: readonly ChunkRecord[]): Promise<readonly Locator[]> {
    return [...(await super.append(records))].reverse();
  }
}

class AppendsOneByOne extends Passing {
  override async append(records: readonly ChunkRecord[]): Promise<readonly Locator[]> {
    const locators: Locator[] = [];
    for (const record of records) locators.push(...(await super.append([record])));
    return locators;
  }
}

class DeduplicatesByContent extends Passing {
  readonly #known = new Map<string, Locator>();

  override async append(records: readonly ChunkRecord[]): Promise<readonly Locator[]> {
    const locators = await super.append(records);
    return locators.map((locator, index) => {
      const content = Buffer.concat(records[index]?.data ?? []).toString('base64');
      const known = this.#known.get(content) ?? locator;
      this.#known.set(content, known);
      return known;
    });
  }
}

class LastPieceOnly extends Passing {
  override append(records: readonly ChunkRecord[]): Promise<readonly Locator[]> {
    return super.append(records.map((record) => ({ ...record, data: record.data.slice(-1) })));
  }
}

class KeepsReferences extends Passing {
  readonly #data = new Map<Locator, readonly Uint8Array[]>();

  override async append(records: readonly ChunkRecord[]): Promise<readonly Locator[]> {
    const locators = await super.append(records);
    for (const [index, locator] of locators.entries()) this.#data.set(locator, records[index]?.data ?? []);
    return locators;
  }
  override async read(locator: Locator, options: ReadOptions = {}): Promise<Uint8Array> {
    const bytes = await super.read(locator, options);
    const kept = Buffer.concat(this.#data.get(locator) ?? []);
    bytes.set(kept.subarray(options.start ?? 0, (options.start ?? 0) + bytes.length));
    return bytes;
  }
}

class SharesReadBuffer extends Passing {
  readonly #cache = new Map<Locator, Uint8Array>();

  override async read(locator: Locator, options: ReadOptions = {}): Promise<Uint8Array> {
    if (Object.keys(options).length > 0) return super.read(locator, options);
    const bytes = this.#cache.get(locator) ?? (await super.read(locator));
    this.#cache.set(locator, bytes);
    return bytes;
  }
}

class IgnoresInto extends Passing {
  override read(locator: Locator, { into: _into, ...options }: ReadOptions = {}): Promise<Uint8Array> {
    return super.read(locator, options);
  }
}

class WritesBehindInto extends Passing {
  override async read(locator: Locator, options: ReadOptions = {}): Promise<Uint8Array> {
    const bytes = await super.read(locator, options);
    options.into?.fill(0, bytes.length);
    return bytes;
  }
}

class ClampsRanges extends Passing {
  override async read(locator: Locator, options: ReadOptions = {}): Promise<Uint8Array> {
    const whole = await super.read(locator);
    const start = Math.min(whole.length, options.start ?? 0);
    const length = Math.min(whole.length - start, options.length ?? Infinity);
    return super.read(locator, { ...options, start, length });
  }
}

class EmptyForUnknown extends Passing {
  override async read(locator: Locator, options?: ReadOptions): Promise<Uint8Array> {
    try {
      return await super.read(locator, options);
    } catch (error) {
      if (error instanceof SkerryError && error.code === 'NotFound') return new Uint8Array(0);
      throw error;
    }
  }
}

class IgnoresSignals extends Passing {
  override read(locator: Locator, { signal: _signal, ...options }: ReadOptions = {}): Promise<Uint8Array> {
    return super.read(locator, options);
  }
}

class ReadNowServesOneByteLess extends Passing {
  override readNow(locator: Locator): Uint8Array | undefined {
    return super.readNow(locator)?.slice(0, -1);
  }
}

class ReadNowHidesNotFound extends Passing {
  override readNow(locator: Locator): Uint8Array | undefined {
    try {
      return super.readNow(locator);
    } catch {
      return undefined;
    }
  }
}

class ReusesFreedLocators extends Passing {
  readonly #given = new Map<Locator, Locator>();
  readonly #spare: Locator[] = [];

  override async append(records: readonly ChunkRecord[]): Promise<readonly Locator[]> {
    return (await super.append(records)).map((locator) => {
      const name = this.#spare.pop() ?? locator;
      this.#given.set(name, locator);
      return name;
    });
  }
  override read(locator: Locator, options?: ReadOptions): Promise<Uint8Array> {
    return super.read(this.#given.get(locator) ?? locator, options);
  }
  override readNow(locator: Locator): Uint8Array | undefined {
    return super.readNow(this.#given.get(locator) ?? locator);
  }
  override async free(locators: readonly Locator[]): Promise<void> {
    const known = locators.filter((locator) => this.#given.has(locator));
    await super.free(known.map((locator) => this.#given.get(locator) ?? locator));
    this.#spare.push(...known);
  }
}

class FreesTheNeighbour extends Passing {
  #last: Locator = '';

  override async append(records: readonly ChunkRecord[]): Promise<readonly Locator[]> {
    const locators = await super.append(records);
    this.#last = locators.at(-1) ?? this.#last;
    return locators;
  }
  override free(locators: readonly Locator[]): Promise<void> {
    return super.free([...locators, this.#last]);
  }
}

class RefusesUnknownFrees extends Passing {
  override async free(locators: readonly Locator[]): Promise<void> {
    for (const locator of locators) await super.read(locator);
    await super.free(locators);
  }
}

class CountsFreesTwice extends Passing {
  #freedTwice = 0;
  readonly #freed = new Set<Locator>();

  override async free(locators: readonly Locator[]): Promise<void> {
    for (const locator of locators) {
      if (this.#freed.has(locator)) this.#freedTwice += 100;
      this.#freed.add(locator);
    }
    await super.free(locators);
  }
  override async usage(): Promise<ChunkUsage> {
    const usage = await super.usage();
    return { ...usage, liveBytes: usage.liveBytes - this.#freedTwice };
  }
}

class UsageForgetsFrees extends Passing {
  #peakBytes = 0;

  override async usage(): Promise<ChunkUsage> {
    const usage = await super.usage();
    this.#peakBytes = Math.max(this.#peakBytes, usage.liveBytes);
    return { ...usage, liveBytes: this.#peakBytes };
  }
}

class ScanForgetsKinds extends Passing {
  override scan(options?: ScanOptions): AsyncIterable<readonly StoredRecord[]> {
    return mapped(super.scan(options), (batch) => batch.map((record) => ({ ...record, kind: 'data' })));
  }
}

class ScanSkipsTheLast extends Passing {
  override scan(options?: ScanOptions): AsyncIterable<readonly StoredRecord[]> {
    return mapped(super.scan(options), (batch) => (batch.length > 1 ? batch.slice(0, -1) : batch));
  }
}

class ScanStartsOver extends Passing {
  override scan({ after: _after, ...options }: ScanOptions = {}): AsyncIterable<readonly StoredRecord[]> {
    return super.scan(options);
  }
}

class ScanInOneBatch extends Passing {
  override async *scan(options?: ScanOptions): AsyncGenerator<readonly StoredRecord[]> {
    const all: StoredRecord[] = [];
    for await (const batch of super.scan(options)) all.push(...batch);
    if (all.length > 0) yield all;
  }
}

class ScanCannotBeAborted extends Passing {
  override scan({ signal: _signal, ...options }: ScanOptions = {}): AsyncIterable<readonly StoredRecord[]> {
    return super.scan(options);
  }
}

class SparseNamesAll extends Passing {
  override sparse(options: SparseOptions): AsyncIterable<readonly StoredRecord[]> {
    return options.signal?.aborted === true ? super.sparse(options) : super.scan();
  }
}

class SparseNamesNothing extends Passing {
  override sparse(options: SparseOptions): AsyncIterable<readonly StoredRecord[]> {
    return options.deadShareMin === 0.5 ? super.sparse({ ...options, deadShareMin: 1 }) : super.sparse(options);
  }
}

class SparseNamesTwice extends Passing {
  override async *sparse(options: SparseOptions): AsyncGenerator<readonly StoredRecord[]> {
    for await (const batch of super.sparse(options)) {
      yield batch;
      yield batch;
    }
  }
}

class SparseTakesAnyShare extends Passing {
  override sparse(options: SparseOptions): AsyncIterable<readonly StoredRecord[]> {
    return super.sparse({ ...options, deadShareMin: Math.min(1, Math.max(0.01, options.deadShareMin || 0.5)) });
  }
}

class SparseCannotBeAborted extends Passing {
  override sparse({ deadShareMin }: SparseOptions): AsyncIterable<readonly StoredRecord[]> {
    return super.sparse({ deadShareMin });
  }
}

class AnswersAfterClose extends Passing {
  readonly #copies = new Map<Locator, Uint8Array>();
  #isClosed = false;

  override async close(): Promise<void> {
    this.#isClosed = true;
    await super.close();
  }
  override async read(locator: Locator, options?: ReadOptions): Promise<Uint8Array> {
    if (this.#isClosed) return this.#copies.get(locator) ?? new Uint8Array(0);
    return super.read(locator, options);
  }
}

/** For stores that are durable: the first record does not survive a close. */
class LosesTheFirstRecord extends Passing {
  #first: Locator | undefined;
  #isClosed = false;

  override async append(records: readonly ChunkRecord[]): Promise<readonly Locator[]> {
    const locators = await super.append(records);
    this.#first ??= locators[0];
    return locators;
  }
  override async close(): Promise<void> {
    const lost = this.#isClosed ? undefined : this.#first;
    this.#isClosed = true;
    if (lost !== undefined) await super.free([lost]);
    await super.close();
  }
}

/** By name; each wraps a correct store. */
export const CHUNK_STORE_MUTANTS = {
  ReversedLocators,
  AppendsOneByOne,
  DeduplicatesByContent,
  LastPieceOnly,
  KeepsReferences,
  SharesReadBuffer,
  IgnoresInto,
  WritesBehindInto,
  ClampsRanges,
  EmptyForUnknown,
  IgnoresSignals,
  ReadNowServesOneByteLess,
  ReadNowHidesNotFound,
  ReusesFreedLocators,
  FreesTheNeighbour,
  RefusesUnknownFrees,
  CountsFreesTwice,
  UsageForgetsFrees,
  ScanForgetsKinds,
  ScanSkipsTheLast,
  ScanStartsOver,
  ScanInOneBatch,
  ScanCannotBeAborted,
  SparseNamesAll,
  SparseNamesNothing,
  SparseNamesTwice,
  SparseTakesAnyShare,
  SparseCannotBeAborted,
  AnswersAfterClose,
  LosesTheFirstRecord,
} as const satisfies Readonly<Record<string, new (inner: ChunkStore) => ChunkStore>>;
