/**
 * What a site's chunk-store holds on its disk, over any number of boots. A crash loses, record by record and by chance, what
 * was not synced, and may bring back what was freed. Two makes: the memory plugin with the losses added here, and the
 * file plugin on the simulated disk, which loses by itself.
 */
import type { ChunkStore, Locator, PluginDeps } from '../../core/contracts/index.ts';
import { segmentName } from '../../plugins/chunks-fs/segment.ts';
import { FsChunkStore } from '../../plugins/chunks-fs/store.ts';
import { parseLocator } from '../../plugins/chunks-fs/locator.ts';
import { BootedChunkStore, lookedAt, type Volatile } from './booted-chunk-store.ts';
import { SimDisk } from './disk.ts';
import type { StoreBoot } from './meta-image.ts';
import type { Draw } from './random.ts';
import { RottingChunkStore } from './rotting-chunk-store.ts';

export type ChunkStoreMake = 'memory' | 'fs';

export interface ChunkImage {
  /** A store for one boot; its calls take virtual time and die with the boot. */
  boot(boot: StoreBoot, deps: PluginDeps): ChunkStore;
  /** Power off: unsynced records survive with this probability each. The running boot has ended. */
  crash(survival: number): void;
  /** A byte of this record's data changes where it lies. False for a record without data. */
  rot(locator: Locator, draw: Draw): boolean;
  /** As a backup has it; `undefined` for a make that cannot be copied. */
  copy(): ChunkImage | undefined;
  /** What is on the disk now, without virtual time: for checkers. Nothing can be changed through it. */
  inspect<T>(look: (store: ChunkStore) => Promise<T>): Promise<T>;
}

export async function createChunkImage(make: ChunkStoreMake, draw: Draw): Promise<ChunkImage> {
  if (make === 'fs') return new FsChunkImage(new SimDisk({ random: () => draw.unit() }));
  const store = new RottingChunkStore({ capacityBytes: 0 });
  await store.open();
  return new MemoryChunkImage(store, draw);
}

class MemoryChunkImage implements ChunkImage {
  readonly #store: RottingChunkStore;
  readonly #draw: Draw;
  readonly #volatile: Volatile = { unsynced: new Set(), doomed: new Set(), freed: new Set() };

  constructor(store: RottingChunkStore, draw: Draw) {
    this.#store = store;
    this.#draw = draw;
  }

  boot(boot: StoreBoot): ChunkStore {
    return new BootedChunkStore(this.#store, boot, this.#volatile);
  }

  crash(survival: number): void {
    const { unsynced, doomed, freed } = this.#volatile;
    const lost = [...unsynced, ...doomed].filter(() => !this.#draw.chance(survival));
    const gone = [...freed].filter(() => this.#draw.chance(survival));
    // the memory plugin frees before its promise resolves: nothing is to be waited for
    void this.#store.free([...lost, ...gone]);
    for (const set of [unsynced, doomed, freed]) set.clear();
  }

  rot(locator: Locator): boolean {
    this.#store.rot(locator);
    return true;
  }

  copy(): undefined {
    return undefined;
  }

  inspect<T>(look: (store: ChunkStore) => Promise<T>): Promise<T> {
    return look(lookedAt(this.#store, this.#volatile.freed));
  }
}

const DIRECTORY = 'chunks';

class FsChunkImage implements ChunkImage {
  readonly #disk: SimDisk;
  #deps: PluginDeps | undefined;
  #running: ChunkStore | undefined;

  constructor(disk: SimDisk) {
    this.#disk = disk;
  }

  copy(): ChunkImage {
    const copy = new FsChunkImage(this.#disk.durableCopy());
    copy.#deps = this.#deps && { ...this.#deps, files: copy.#disk };
    return copy;
  }

  boot(boot: StoreBoot, deps: PluginDeps): ChunkStore {
    this.#deps = { ...deps, files: this.#disk, dataDir: DIRECTORY };
    this.#running = this.#make();
    return new BootedChunkStore(this.#running, boot, undefined);
  }

  crash(survival: number): void {
    this.#running = undefined;
    this.#disk.crash(survival);
  }

  rot(locator: Locator, draw: Draw): boolean {
    const place = parseLocator(locator);
    if (place === undefined) throw new Error(`${locator} is no locator of this store`);
    const { segment, offset, headerLength, dataLength } = place;
    if (dataLength === 0) return false;
    const at = offset + headerLength + draw.below(dataLength);
    this.#disk.flip(`${DIRECTORY}/${segmentName(segment)}`, at, 1 << draw.below(8));
    return true;
  }

  async inspect<T>(look: (store: ChunkStore) => Promise<T>): Promise<T> {
    if (this.#running !== undefined) return look(lookedAt(this.#running));
    const store = this.#make();
    await store.open();
    try {
      return await look(lookedAt(store));
    } finally {
      await store.close();
    }
  }

  #make(): ChunkStore {
    if (this.#deps === undefined) throw new Error('the site was never started');
    const options = { segmentMaxBytes: 64 * 1024, openFilesMax: 4, syncAheadBytes: 64 * 1024, minFreeBytes: 0 };
    return new FsChunkStore(this.#deps, options);
  }
}
