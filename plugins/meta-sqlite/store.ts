/**
 * The meta-store over one SQLite file: one connection for transactions and single reads, a pool of readers for snapshots.
 * A transaction begins and ends within one call, so single reads never see an open one; and a connection that reads what it
 * wrote itself keeps its page cache, while one beside it would have to drop its own at every commit.
 */
import { join } from 'node:path';

import {
  requireMetaKeys,
  requireMetaRange,
  requireMetaReads,
  requireMetaWrites,
  SkerryError,
  type FileHandle,
  type FileSystem,
  type Logger,
  type MetaCheckReport,
  type MetaDecide,
  type MetaKey,
  type MetaRange,
  type MetaReads,
  type MetaRow,
  type MetaSnapshot,
  type MetaStore,
  type MetaWrite,
  type PluginDeps,
} from '../../core/contracts/index.ts';
import { Checkpointer } from './checkpointer.ts';
import type { Options } from './options.ts';
import { SnapshotPool } from './snapshots.ts';
import { Connection } from './sqlite-adapter.ts';
import { DatabaseThread } from './thread-adapter.ts';

interface Opened {
  readonly connection: Connection;
  readonly snapshots: SnapshotPool;
  readonly checkpointer: Checkpointer;
  readonly thread: DatabaseThread;
  /** For syncing alone. Closed after the last connection: closing any handle of the file drops the locks of them all. */
  readonly file: FileHandle;
}

/** What snapshots cache, each: they read forward, once. */
const SNAPSHOT_CACHE_BYTES = 4 * 1024 * 1024;

export class SqliteMetaStore implements MetaStore {
  readonly #files: FileSystem;
  readonly #logger: Logger;
  readonly #directory: string;
  readonly #options: Options;
  readonly #checks = new Set<Promise<unknown>>();
  #opening: Promise<Opened> | undefined;
  #opened: Opened | undefined;
  #closing: Promise<void> | undefined;

  constructor({ files, logger, dataDir }: PluginDeps, options: Options) {
    this.#files = files;
    this.#logger = logger;
    this.#directory = dataDir;
    this.#options = options;
  }

  get #path(): string {
    return join(this.#directory, this.#options.fileName);
  }

  async open(): Promise<void> {
    if (this.#closing !== undefined) throw new SkerryError('Closed', 'the meta-store was closed');
    if (this.#opening !== undefined) throw new SkerryError('InvalidArgument', 'the meta-store was opened before');
    this.#opening = this.#openAll();
    const opened = await this.#opening;
    if (this.#closing === undefined) this.#opened = opened;
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#closeAll());
  }

  async get(keys: readonly MetaKey[]): Promise<readonly (Uint8Array | undefined)[]> {
    const { connection } = this.#requireOpen();
    requireMetaKeys(keys);
    const values: (Uint8Array | undefined)[] = [];
    if (keys.length === 1) connection.readKeys(keys, values);
    else readTogether(connection, keys, values);
    return values;
  }

  async scan(range: MetaRange): Promise<readonly MetaRow[]> {
    const { connection } = this.#requireOpen();
    requireMetaRange(range);
    return connection.readRange(range);
  }

  async transact<T>(reads: MetaReads, decide: MetaDecide<T>): Promise<T> {
    const { connection, checkpointer } = this.#requireOpen();
    requireMetaReads(reads);
    connection.beginWrite();
    try {
      const { writes, result } = decideWithin(connection, reads, decide);
      requireMetaWrites(writes);
      if (writes.length === 0) {
        connection.rollback();
        return result;
      }
      const logBytes = connection.write(writes);
      connection.commit();
      checkpointer.wrote(logBytes);
      return result;
    } catch (error) {
      connection.rollback();
      throw error;
    }
  }

  async snapshot(): Promise<MetaSnapshot> {
    return this.#requireOpen().snapshots.take();
  }

  /** On a thread and connection of its own: it reads everything and would hold up both the caller and the log. */
  async check(signal?: AbortSignal): Promise<MetaCheckReport> {
    this.#requireOpen();
    if (signal?.aborted === true) throw aborted();
    const running = this.#checkOnThread();
    this.#checks.add(running);

    void running.catch(() => undefined).then(() => this.#checks.delete(running));
    return await orAborted(running, signal);
  }

  async #checkOnThread(): Promise<MetaCheckReport> {
    const thread = new DatabaseThread(this.#path, this.#options);
    try {
      return await thread.run('check');
    } finally {
      await thread.stop();
    }
  }

  async #openAll(): Promise<Opened> {
    await this.#files.mkdir(this.#directory, { permissions: 0o700 });
    const connection = Connection.openWriter(this.#path, this.#options);
    let file: FileHandle;
    try {
      file = await this.#files.open(this.#path, 'read');
      // The names of a new database and its log must survive a power cut as well as their contents.
      await this.#files.syncDirectory(this.#directory);
    } catch (error) {
      connection.close();
      throw error;
    }
    const thread = new DatabaseThread(this.#path, this.#options);
    const checkpointer = new Checkpointer({
      pass: () => thread.run('checkpoint'),
      sync: () => file.sync(),
      finish: () => connection.checkpoint(),
      logger: this.#logger,
      checkpointBytes: this.#options.checkpointBytes,
    });
    const forSnapshots = { ...this.#options, cacheBytes: SNAPSHOT_CACHE_BYTES };
    const snapshots = new SnapshotPool(() => Connection.openReader(this.#path, forSnapshots));
    return { connection, snapshots, checkpointer, thread, file };
  }

  /** Ours last: the connection that closes last copies the log back and removes it. */
  async #closeAll(): Promise<void> {
    this.#opened = undefined;
    const opened = await this.#opening?.catch(() => undefined);
    await Promise.allSettled(this.#checks);
    if (opened === undefined) return;
    const { connection, snapshots, checkpointer, thread, file } = opened;
    const failures: unknown[] = [];
    const steps = [
      () => checkpointer.close(),
      () => thread.stop(),
      () => snapshots.close(),
      () => connection.close(),
      () => file.close(),
    ];
    for (const step of steps) await Promise.try(step).catch((error: unknown) => failures.push(error));
    if (failures.length === 1) throw failures[0];
    if (failures.length > 1)
      throw new SkerryError('Io', 'meta-sqlite: closing failed', { cause: new AggregateError(failures) });
  }

  #requireOpen(): Opened {
    if (this.#opened === undefined) throw new SkerryError('Closed', 'the meta-store is not open');
    return this.#opened;
  }
}

function readTogether(connection: Connection, keys: readonly MetaKey[], values: (Uint8Array | undefined)[]): void {
  connection.beginRead();
  try {
    connection.readKeys(keys, values);
  } finally {
    connection.rollback();
  }
}

/** Reads what was declared and asks; again as long as the decision needs more. */
function decideWithin<T>(
  connection: Connection,
  reads: MetaReads,
  decide: MetaDecide<T>,
): { readonly writes: readonly MetaWrite[]; readonly result: T } {
  const values: (Uint8Array | undefined)[] = [];
  const rows: (readonly MetaRow[])[] = [];
  for (let wanted = reads; ;) {
    if (wanted.keys !== undefined) connection.readKeys(wanted.keys, values);
    if (wanted.ranges !== undefined) for (const range of wanted.ranges) rows.push(connection.readRange(range));
    const decision = decide({ values, rows });
    if (decision.kind === 'write') return decision;
    wanted = decision.reads;
    requireMetaReads(wanted);
  }
}

function aborted(): SkerryError {
  return new SkerryError('Aborted', 'the check was aborted');
}

/** SQLite cannot be interrupted from here: the thread finishes by itself, and `close` waits for it. */
async function orAborted<T>(running: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await running;
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(aborted());
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([running, promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
