/** Plain in-memory ports for engine tests: no bounds, no faults, but they count what the engine did. */
import { SkerryError } from '../../core/contracts/index.ts';
import type {
  ChunkRecord,
  ChunkStore,
  Locator,
  Logger,
  MetaDecide,
  MetaKey,
  MetaRange,
  MetaReads,
  MetaRow,
  MetaSnapshot,
  MetaStore,
  ReadOptions,
} from '../../core/contracts/index.ts';

export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLogger,
};

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

export class FakeMetaStore implements MetaStore {
  /** Keys as latin1 text, whose code-unit order is byte order. */
  readonly #spaces = new Map<string, Map<string, Uint8Array>>();
  #sorted = new Map<string, string[]>();
  scans = 0;
  scannedRows = 0;
  gets = 0;

  async open(): Promise<void> {}
  async close(): Promise<void> {}

  set({ space, key }: MetaKey, value: Uint8Array | undefined): void {
    const rows = this.#spaces.get(space) ?? new Map<string, Uint8Array>();
    this.#spaces.set(space, rows);
    this.#sorted.delete(space);
    if (value === undefined) rows.delete(text(key));
    else rows.set(text(key), value);
  }

  async get(keys: readonly MetaKey[]): Promise<readonly (Uint8Array | undefined)[]> {
    this.gets += 1;
    return this.#get(keys);
  }

  async scan(range: MetaRange): Promise<readonly MetaRow[]> {
    this.scans += 1;
    const rows = this.#scan(range);
    this.scannedRows += rows.length;
    return rows;
  }

  async transact<T>(reads: MetaReads, decide: MetaDecide<T>): Promise<T> {
    const keys = [...(reads.keys ?? [])];
    const ranges = [...(reads.ranges ?? [])];
    for (;;) {
      const decision = decide({ values: this.#get(keys), rows: ranges.map((range) => this.#scan(range)) });
      if (decision.kind === 'need') {
        keys.push(...(decision.reads.keys ?? []));
        ranges.push(...(decision.reads.ranges ?? []));
        continue;
      }
      for (const { space, key, value } of decision.writes) this.set({ space, key }, value);
      return decision.result;
    }
  }

  rowCount(space: string): number {
    return this.#spaces.get(space)?.size ?? 0;
  }

  async snapshot(): Promise<MetaSnapshot> {
    const copy = new FakeMetaStore();
    for (const [space, rows] of this.#spaces) copy.#spaces.set(space, new Map(rows));
    return {
      get: (keys) => this.#counted(copy.get(keys), () => (this.gets += 1)),
      scan: async (range) => {
        const rows = await this.#counted(copy.scan(range), () => (this.scans += 1));
        this.scannedRows += rows.length;
        return rows;
      },
      [Symbol.asyncDispose]: async () => {},
    };
  }

  #counted<T>(result: Promise<T>, count: () => void): Promise<T> {
    count();
    return result;
  }

  async check(): Promise<{ ok: boolean; problems: string[]; rows: object }> {
    return { ok: true, problems: [], rows: {} };
  }

  #get(keys: readonly MetaKey[]): readonly (Uint8Array | undefined)[] {
    return keys.map(({ space, key }) => this.#spaces.get(space)?.get(text(key)));
  }

  #scan({ space, from, to, limit, reverse }: MetaRange): readonly MetaRow[] {
    const rows = this.#spaces.get(space) ?? new Map<string, Uint8Array>();
    const sorted = this.#sorted.get(space) ?? [...rows.keys()].sort();
    this.#sorted.set(space, sorted);
    const first = from === undefined ? 0 : lowerBound(sorted, text(from));
    const end = to === undefined ? sorted.length : Math.max(first, lowerBound(sorted, text(to)));
    const keys =
      reverse === true
        ? sorted.slice(Math.max(first, end - limit), end).reverse()
        : sorted.slice(first, Math.min(end, first + limit));
    return keys.map((key) => ({ key: Buffer.from(key, 'latin1'), value: rows.get(key) as Uint8Array }));
  }
}

function lowerBound(sorted: readonly string[], wanted: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as string) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

export class FakeChunkStore implements ChunkStore {
  readonly records = new Map<Locator, ChunkRecord>();
  appends = 0;
  reads = 0;
  readBytes = 0;
  freed = 0;
  syncs = 0;
  /** Thrown by the next append. */
  failAppend: Error | undefined;
  /** Awaited before an append or a read goes on. */
  gate: Promise<void> | undefined;
  #last = 0;

  async open(): Promise<void> {}
  async close(): Promise<void> {}

  async append(records: readonly ChunkRecord[]): Promise<readonly Locator[]> {
    await this.gate;
    const failure = this.failAppend;
    if (failure !== undefined) throw failure;
    return records.map((record) => {
      this.appends += 1;
      this.#last += 1;
      const locator = `L${this.#last}`;
      this.records.set(locator, { ...record, data: [Uint8Array.from(Buffer.concat(record.data))] });
      return locator;
    });
  }

  async sync(): Promise<void> {
    this.syncs += 1;
  }

  async read(locator: Locator, options: ReadOptions = {}): Promise<Uint8Array> {
    await this.gate;
    options.signal?.throwIfAborted();
    const record = this.records.get(locator);
    if (record === undefined) throw new SkerryError('NotFound', `no record at ${locator}`);
    const data = record.data[0] as Uint8Array;
    const start = options.start ?? 0;
    const length = options.length ?? data.length - start;
    if (start + length > data.length) throw new SkerryError('InvalidArgument', 'past the end');
    this.reads += 1;
    this.readBytes += length;
    const bytes = data.subarray(start, start + length);
    if (options.into === undefined) return Uint8Array.from(bytes);
    options.into.set(bytes);
    return options.into.subarray(0, length);
  }

  readNow(locator: Locator): Uint8Array | undefined {
    const data = this.records.get(locator)?.data[0];
    return data === undefined || data.length > 65_536 ? undefined : Uint8Array.from(data);
  }

  async free(locators: readonly Locator[]): Promise<void> {
    for (const locator of locators) if (this.records.delete(locator)) this.freed += 1;
  }

  async *scan(): AsyncGenerator<never> {}

  async usage(): Promise<{ liveBytes: number; deadBytes: number }> {
    return { liveBytes: 0, deadBytes: 0 };
  }
}
