/** A chunk-store as one boot sees it: calls take virtual time, fail as the plan says, and die with the boot. */
import {
  SkerryError,
  type ChunkRecord,
  type ChunkStore,
  type ChunkUsage,
  type Locator,
  type ReadOptions,
  type StoredRecord,
} from '../../core/contracts/index.ts';
import { crashed, type StoreBoot } from './meta-image.ts';

type SparseOptions = Parameters<NonNullable<ChunkStore['sparse']>>[0];

/** Records whose fate a crash decides. */
export interface Volatile {
  /** Appended since the last good sync began. */
  readonly unsynced: Set<Locator>;
  /** Appended before a sync that failed: nothing makes them durable any more. */
  readonly doomed: Set<Locator>;
  /** Freed, and not yet for good. */
  freed: Set<Locator>;
}

export class BootedChunkStore implements ChunkStore {
  readonly #store: ChunkStore;
  readonly #boot: StoreBoot;
  /** Kept here for a store that does not lose by itself. */
  readonly #volatile: Volatile | undefined;

  constructor(store: ChunkStore, boot: StoreBoot, volatile: Volatile | undefined) {
    this.#store = store;
    this.#boot = boot;
    this.#volatile = volatile;
  }

  async open(): Promise<void> {
    if (this.#volatile === undefined) await this.#io('chunk-open', 1, () => this.#store.open());
  }

  async close(): Promise<void> {
    if (this.#volatile === undefined) return this.#io('chunk-close', 1, () => this.#store.close());
    await this.sync();
  }

  append(records: readonly ChunkRecord[]): Promise<readonly Locator[]> {
    return this.#io('append', 1, async () => {
      if (this.#boot.faults.appendFails()) throw new SkerryError('OutOfSpace', 'injected: no space for the records');
      const locators = await this.#store.append(records);
      for (const locator of locators) this.#volatile?.unsynced.add(locator);
      this.#reach('append-done');
      return locators;
    });
  }

  /** Only what was there when it was called becomes durable: nothing more is promised. */
  sync(): Promise<void> {
    const owed = [...(this.#volatile?.unsynced ?? [])];
    return this.#io('sync', 4, async () => {
      if (!this.#reach('sync-begins')) throw crashed();
      if (this.#boot.faults.syncFails()) this.#failSync();
      else await this.#sync(owed);
      this.#reach('sync-done');
    });
  }

  read(locator: Locator, options?: ReadOptions): Promise<Uint8Array> {
    return this.#io('read', 0.5, () => {
      this.#requireKept(locator);
      return this.#store.read(locator, options);
    });
  }

  readNow(locator: Locator): Uint8Array | undefined {
    this.#requireKept(locator);
    return this.#store.readNow?.(locator);
  }

  free(locators: readonly Locator[]): Promise<void> {
    return this.#io('free', 0.5, async () => {
      if (!this.#reach('free-begins')) throw crashed();
      if (this.#volatile === undefined) return this.#store.free(locators);
      for (const locator of locators) this.#volatile.freed.add(locator);
    });
  }

  async *scan(options?: Parameters<ChunkStore['scan']>[0]): AsyncGenerator<readonly StoredRecord[], void, undefined> {
    const batches = await this.#io('scan', 2, () => Array.fromAsync(this.#store.scan(options)));
    for (const batch of batches) {
      const kept = batch.filter(({ locator }) => this.#volatile?.freed.has(locator) !== true);
      if (kept.length > 0) yield kept;
    }
  }

  async *sparse(options: SparseOptions): AsyncGenerator<readonly StoredRecord[], void, undefined> {
    yield* await this.#io('scan', 2, () => Array.fromAsync(this.#store.sparse?.(options) ?? []));
  }

  usage(): Promise<ChunkUsage> {
    return this.#io('usage', 0.2, () => this.#store.usage());
  }

  async #sync(owed: readonly Locator[]): Promise<void> {
    await this.#store.sync();
    if (this.#volatile === undefined) return;
    for (const locator of owed) this.#volatile.unsynced.delete(locator);
    const { freed } = this.#volatile;
    this.#volatile.freed = new Set();
    await this.#store.free([...freed]);
  }

  #failSync(): never {
    for (const locator of this.#volatile?.unsynced ?? []) this.#volatile?.doomed.add(locator);
    this.#volatile?.unsynced.clear();
    throw new SkerryError('Io', 'injected: the sync failed');
  }

  #requireKept(locator: Locator): void {
    if (this.#volatile?.freed.has(locator) === true) throw new SkerryError('NotFound', 'no record has this locator');
  }

  /** False: the site crashed here. */
  #reach(point: Parameters<StoreBoot['faults']['reach']>[0]): boolean {
    this.#boot.faults.reach(point, this.#boot.lane);
    return this.#boot.lane.alive;
  }

  #io<T>(label: string, aboutMs: number, work: () => Promise<T>): Promise<T> {
    const { lane, draw, faults } = this.#boot;
    const slow = faults.slowness();
    const delays = {
      beforeMs: slow * aboutMs * draw.between(0.1, 1),
      afterMs: slow * aboutMs * draw.between(0.05, 0.5),
    };
    return lane.io(label, delays, work);
  }
}

/** A store to look at: what is freed or appended through it changes nothing. `freed` is hidden. */
export function lookedAt(store: ChunkStore, freed: ReadonlySet<Locator> = new Set()): ChunkStore {
  return {
    open: async () => {},
    close: async () => {},
    sync: async () => {},
    free: async () => {},
    append: async () => {
      throw new SkerryError('NotSupported', 'this store is only looked at');
    },
    read: (locator, options) => store.read(locator, options),
    usage: () => store.usage(),
    async *scan(options) {
      for await (const batch of store.scan(options)) {
        const kept = batch.filter(({ locator }) => !freed.has(locator));
        if (kept.length > 0) yield kept;
      }
    },
  };
}
