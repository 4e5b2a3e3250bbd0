/**
 * Meta-stores of simulated sites in real SQLite files, below one temporary directory a run. Everything that a site asks of one
 * happens within the call, so a run with them depends on its seed alone; the thread that copies logs back is never due. A boot
 * opens a copy of database and write-ahead log as the one before left them: what a power cut leaves, recovered by SQLite itself.
 */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Options } from '../../plugins/meta-sqlite/options.ts';
import { SqliteMetaStore } from '../../plugins/meta-sqlite/store.ts';
import { SimClock } from './clock.ts';
import { SimDisk } from './disk.ts';
import { Lane } from './lane.ts';
import type { MetaDisk, MetaShelf } from './meta-image.ts';
import { Draw } from './random.ts';
import { simRuntime, type LogLine } from './runtime.ts';
import type { Scheduler } from './scheduler.ts';

const FILE = 'meta.sqlite';
const SITE = 'meta-sqlite';
const MIB = 1024 * 1024;
/** No sync: what the process wrote is what a copy of the files has. */
const OPTIONS: Options = {
  fileName: FILE,
  synchronous: 'off',
  cacheBytes: MIB,
  busyTimeoutMs: 0,
  checkpointBytes: 4096 * MIB,
  maxBytes: 0,
};

export class SqliteShelf implements MetaShelf {
  /** Times that a store was opened anew from the files of an earlier boot. */
  reopened = 0;
  readonly #opened: SqliteMetaStore[] = [];
  readonly #scheduler: Scheduler;
  readonly #log: (line: LogLine) => void;
  #root: string | undefined;

  constructor(scheduler: Scheduler, log: (line: LogLine) => void) {
    this.#scheduler = scheduler;
    this.#log = log;
  }

  async create(): Promise<MetaDisk> {
    return SqliteDisk.create(this);
  }

  /** A directory of its own for one boot's files. */
  directory(): string {
    const root = (this.#root ??= mkdtempSync(join(tmpdir(), 'skerry-sim-')));
    const directory = join(root, String(this.#opened.length));
    mkdirSync(directory);
    return directory;
  }

  async open(directory: string): Promise<SqliteMetaStore> {
    // the plugin asks its file port for syncs alone; they answer within the turn
    const files = new SimDisk({ random: () => 0 });
    await files.mkdir(directory);
    await files.open(join(directory, FILE), 'create');
    const runtime = simRuntime({
      lane: new Lane(SITE, this.#scheduler),
      clock: new SimClock(() => this.#scheduler.nowMs, { offsetMs: 0, driftPpm: 0 }),
      draw: new Draw(0, SITE),
      files,
      log: this.#log,
    });
    const store = new SqliteMetaStore({ ...runtime, siteId: SITE, dataDir: directory }, OPTIONS);
    this.#opened.push(store);
    await store.open();
    return store;
  }

  /** Ends all stores, those of boots long dead too, and removes their files. */
  async close(): Promise<void> {
    for (const store of this.#opened.splice(0)) await store.close();
    if (this.#root !== undefined) rmSync(this.#root, { recursive: true });
    this.#root = undefined;
  }
}

class SqliteDisk implements MetaDisk {
  readonly #shelf: SqliteShelf;
  #directory: string;
  #store: SqliteMetaStore;

  private constructor(shelf: SqliteShelf, directory: string, store: SqliteMetaStore) {
    this.#shelf = shelf;
    this.#directory = directory;
    this.#store = store;
  }

  static async create(shelf: SqliteShelf): Promise<SqliteDisk> {
    const directory = shelf.directory();
    return new SqliteDisk(shelf, directory, await shelf.open(directory));
  }

  get store(): SqliteMetaStore {
    return this.#store;
  }

  /** The store of the boot that ended stays as it is: nobody told it that the power went. */
  async reopen(): Promise<void> {
    const directory = this.#shelf.directory();
    for (const name of [FILE, `${FILE}-wal`]) copyFileSync(join(this.#directory, name), join(directory, name));
    this.#directory = directory;
    this.#store = await this.#shelf.open(directory);
    this.#shelf.reopened++;
  }
}
