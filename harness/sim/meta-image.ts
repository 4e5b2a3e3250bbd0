/**
 * What a site's meta-store holds on its disk, over any number of boots. Each boot sees it through a store of its own, whose calls
 * take virtual time and die with the boot; a commit happens at one moment, whole, before its caller learns of it.
 */
import {
  META_SPACES,
  SkerryError,
  type MetaDecide,
  type MetaDecision,
  type MetaKey,
  type MetaRange,
  type MetaReader,
  type MetaReads,
  type MetaStore,
  type MetaWrite,
} from '../../core/contracts/index.ts';
import { MemoryMetaStore } from '../../plugins/meta-memory/store.ts';
import type { Lane } from './lane.ts';
import type { Draw } from './random.ts';
import type { DiskFaults } from './disk-faults.ts';

/** What surrounds one boot's stores. */
export interface StoreBoot {
  readonly lane: Lane;
  readonly draw: Draw;
  readonly faults: DiskFaults;
}

export type OnCommit = (writes: readonly MetaWrite[]) => Promise<void>;

const COPY_ROWS = 10_000;
const READ_MS = { beforeMs: 0.05, afterMs: 0.1 };
/** How often the store decides once for nothing before it decides for good, as one does that meets a competing writer. */
const REDECIDE = 0.2;

export type MetaStoreMake = 'memory' | 'sqlite';

/** Where the rows lie. */
export interface MetaDisk {
  readonly store: MetaStore;
  /** For the next boot: opened anew from what was committed, where that is another thing than going on. */
  reopen(): Promise<void>;
}

/** Makes those that are not in memory. */
export interface MetaShelf {
  create(): Promise<MetaDisk>;
}

export class MetaImage {
  readonly #make: MetaStoreMake;
  readonly #shelf: MetaShelf;
  readonly #disk: MetaDisk;
  readonly #onCommit: OnCommit;
  #isUsed = false;

  private constructor(make: MetaStoreMake, shelf: MetaShelf, disk: MetaDisk, onCommit: OnCommit) {
    this.#make = make;
    this.#shelf = shelf;
    this.#disk = disk;
    this.#onCommit = onCommit;
  }

  /** An empty one. */
  static async create(make: MetaStoreMake, shelf: MetaShelf, onCommit: OnCommit): Promise<MetaImage> {
    const disk = make === 'sqlite' ? await shelf.create() : await memoryDisk();
    return new MetaImage(make, shelf, disk, onCommit);
  }

  /** What is on the disk now, without virtual time: for checkers. */
  get reader(): MetaReader {
    return this.#disk.store;
  }

  /** A copy, as a backup takes it; what is committed to it is told to `onCommit`. */
  async copy(onCommit: OnCommit): Promise<MetaImage> {
    const copied = await MetaImage.create(this.#make, this.#shelf, onCommit);
    for (const space of META_SPACES) {
      const rows = await this.#disk.store.scan({ space, limit: COPY_ROWS });
      if (rows.length === COPY_ROWS) throw new Error(`${space} has too many rows to be copied at once`);
      const writes = rows.map(({ key, value }) => ({ space, key, value }));
      await copied.#disk.store.transact({}, () => ({ kind: 'write', writes, result: undefined }));
    }
    return copied;
  }

  async boot(boot: StoreBoot): Promise<MetaStore> {
    if (this.#isUsed) await this.#disk.reopen();
    this.#isUsed = true;
    return new BootedMetaStore(this.#disk.store, boot, this.#onCommit);
  }
}

async function memoryDisk(): Promise<MetaDisk> {
  const store = new MemoryMetaStore();
  await store.open();
  return { store, reopen: async () => {} };
}

const DRY_RUN = Symbol('dry run');

class BootedMetaStore implements MetaStore {
  readonly #store: MetaStore;
  readonly #boot: StoreBoot;
  readonly #onCommit: OnCommit;

  constructor(store: MetaStore, boot: StoreBoot, onCommit: OnCommit) {
    this.#store = store;
    this.#boot = boot;
    this.#onCommit = onCommit;
  }

  async open(): Promise<void> {}
  async close(): Promise<void> {}

  get(keys: readonly MetaKey[]): Promise<readonly (Uint8Array | undefined)[]> {
    return this.#boot.lane.io('meta-get', READ_MS, () => this.#store.get(keys));
  }

  scan(range: MetaRange): ReturnType<MetaStore['scan']> {
    return this.#boot.lane.io('meta-scan', READ_MS, () => this.#store.scan(range));
  }

  async transact<T>(reads: MetaReads, decide: MetaDecide<T>): Promise<T> {
    const { lane, draw, faults } = this.#boot;
    if (draw.chance(REDECIDE)) await lane.io('meta-decide', READ_MS, () => this.#decideForNothing(reads, decide));
    const slow = faults.slowness();
    const delays = { beforeMs: slow * draw.between(0.1, 1), afterMs: slow * draw.between(0.1, 2) };
    return lane.io('meta-commit', delays, () => this.#commit(reads, decide));
  }

  snapshot(): ReturnType<MetaStore['snapshot']> {
    return this.#boot.lane.io('meta-snapshot', READ_MS, () => this.#store.snapshot());
  }

  check(signal?: AbortSignal): ReturnType<MetaStore['check']> {
    return this.#boot.lane.io('meta-check', READ_MS, () => this.#store.check(signal));
  }

  async #decideForNothing<T>(reads: MetaReads, decide: MetaDecide<T>): Promise<void> {
    const dry: MetaDecide<T> = (read) => {
      const decision = decide(read);
      // eslint-disable-next-line typescript/only-throw-error -- a refusal of its own, seen by nobody else
      if (decision.kind === 'write') throw DRY_RUN;
      return decision;
    };
    try {
      await this.#store.transact(reads, dry);
    } catch {
      // what the decision refuses it refuses again when it counts
    }
  }

  async #commit<T>(reads: MetaReads, decide: MetaDecide<T>): Promise<T> {
    const { lane, faults } = this.#boot;
    faults.reach('meta-commit-begins', lane);
    if (!lane.alive) throw crashed();
    if (faults.metaFails()) throw new SkerryError('OutOfSpace', 'injected: no space for the commit');
    let last: MetaDecision<T> | undefined;
    const result = await this.#store.transact<T>(reads, (read) => (last = decide(read)));
    if (last?.kind === 'write') await this.#onCommit(last.writes);
    faults.reach('meta-commit-done', lane);
    return result;
  }
}

/** Ends the work of a call whose boot ended under it; its caller is gone and never sees this. */
export function crashed(): SkerryError {
  return new SkerryError('Closed', 'the site crashed');
}
