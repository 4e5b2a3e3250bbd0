/** The memory plugin, some of whose records are damaged: as every chunk-store has to, it notices and says so. */
import {
  SkerryError,
  type ChunkStore,
  type Locator,
  type ReadOptions,
  type StoredRecord,
} from '../../core/contracts/index.ts';
import { MemoryChunkStore } from '../../plugins/chunks-memory/store.ts';

export class RottingChunkStore extends MemoryChunkStore {
  readonly #rotten = new Set<Locator>();

  rot(locator: Locator): void {
    this.#rotten.add(locator);
  }

  override async read(locator: Locator, options?: ReadOptions): Promise<Uint8Array> {
    this.#requireGood(locator);
    return super.read(locator, options);
  }

  override readNow(locator: Locator): Uint8Array | undefined {
    this.#requireGood(locator);
    return super.readNow(locator);
  }

  override async free(locators: readonly Locator[]): Promise<void> {
    for (const locator of locators) this.#rotten.delete(locator);
    return super.free(locators);
  }

  override async *scan(
    options: Parameters<ChunkStore['scan']>[0] = {},
  ): AsyncGenerator<readonly StoredRecord[], void, undefined> {
    for await (const batch of super.scan(options)) {
      for (const { locator, kind } of batch)
        if (this.#rotten.has(locator)) options.onDamage?.(locator, 'injected: a byte changed', kind);
      const good = batch.filter(({ locator }) => !this.#rotten.has(locator));
      if (good.length > 0) yield good;
    }
  }

  #requireGood(locator: Locator): void {
    if (this.#rotten.has(locator))
      throw new SkerryError('Corrupt', 'injected: a byte of the record changed', { details: { locator } });
  }
}
