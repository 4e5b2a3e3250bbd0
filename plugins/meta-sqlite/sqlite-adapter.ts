/**
 * One SQLite connection that speaks spaces, keys and rows. The only file that knows SQL. Everything here is synchronous:
 * a transaction begins and ends within one call, so no other code of this process can run inside it.
 */
import { DatabaseSync, type StatementSync } from 'node:sqlite';

import {
  META_SPACES,
  SkerryError,
  type MetaKey,
  type MetaRange,
  type MetaRow,
  type MetaSpace,
  type MetaWrite,
} from '../../core/contracts/index.ts';
import { toSkerryError } from './errors.ts';
import type { Options } from './options.ts';

/** Written into the file's header; `file` and the sqlite3 shell show it. The letters "Skry". */
const APPLICATION_ID = 0x536b7279;
/** Layout of the tables. A file of a newer one is refused; an older one would be migrated here. */
const SCHEMA_VERSION = 1;
export const PAGE_BYTES = 4096;

/** Below every key, for an absent `from`: the shortest key is one byte, and the lowest byte is 0. */
const LOWEST = new Uint8Array(1);
/** Above every key, for an absent `to`: one byte longer than the longest key, all ones. */
const HIGHEST = new Uint8Array(4097).fill(0xff);

type Row = readonly [key: Uint8Array, value: Uint8Array];

/** Statements of one space, prepared at first use and kept as long as the connection. */
class SpaceStatements {
  readonly #db: DatabaseSync;
  readonly #table: string;
  #get: StatementSync | undefined;
  #put: StatementSync | undefined;
  #remove: StatementSync | undefined;
  #ascending: StatementSync | undefined;
  #descending: StatementSync | undefined;

  constructor(db: DatabaseSync, space: MetaSpace) {
    this.#db = db;
    this.#table = `"${space}"`;
  }

  get get(): StatementSync {
    return (this.#get ??= this.#prepare(`SELECT v FROM ${this.#table} WHERE k = ?`));
  }

  /** Upsert, not REPLACE: measured a third cheaper on rows that exist. */
  get put(): StatementSync {
    const sql = `INSERT INTO ${this.#table} (k, v) VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v`;
    return (this.#put ??= this.#prepare(sql));
  }

  get remove(): StatementSync {
    return (this.#remove ??= this.#prepare(`DELETE FROM ${this.#table} WHERE k = ?`));
  }

  get ascending(): StatementSync {
    return (this.#ascending ??= this.#prepareScan('ASC'));
  }

  get descending(): StatementSync {
    return (this.#descending ??= this.#prepareScan('DESC'));
  }

  #prepareScan(order: 'ASC' | 'DESC'): StatementSync {
    return this.#prepare(`SELECT k, v FROM ${this.#table} WHERE k >= ? AND k < ? ORDER BY k ${order} LIMIT ?`);
  }

  #prepare(sql: string): StatementSync {
    const statement = this.#db.prepare(sql);
    statement.setReturnArrays(true);
    return statement;
  }
}

export interface CheckpointResult {
  /** Frames in the write-ahead log, and how many of them are back in the database. */
  readonly logFrames: number;
  readonly doneFrames: number;
}

export class Connection {
  readonly #db: DatabaseSync;
  readonly #spaces: ReadonlyMap<MetaSpace, SpaceStatements>;
  readonly #begin: StatementSync;
  readonly #beginImmediate: StatementSync;
  readonly #commit: StatementSync;
  readonly #rollback: StatementSync;

  private constructor(db: DatabaseSync) {
    this.#db = db;
    this.#spaces = new Map(META_SPACES.map((space) => [space, new SpaceStatements(db, space)]));
    this.#begin = db.prepare('BEGIN');
    this.#beginImmediate = db.prepare('BEGIN IMMEDIATE');
    this.#commit = db.prepare('COMMIT');
    this.#rollback = db.prepare('ROLLBACK');
  }

  /** Opens or creates the file, checks whose it is, and creates the tables that are missing. */
  static openWriter(path: string, options: Options): Connection {
    return Connection.#open(path, { timeout: options.busyTimeoutMs }, (db) => {
      db.exec(`PRAGMA page_size = ${PAGE_BYTES}`);
      requireWal(db, path);
      configure(db, options);
      if (options.maxBytes > 0) db.exec(`PRAGMA max_page_count = ${Math.ceil(options.maxBytes / PAGE_BYTES)}`);
      migrate(db, path);
    });
  }

  /** For a file that a writer has opened: sees every commit that resolved before a read begins. */
  static openReader(path: string, options: Options): Connection {
    return Connection.#open(path, { timeout: options.busyTimeoutMs, readOnly: true }, (db) => configure(db, options));
  }

  static #open(path: string, settings: { timeout: number; readOnly?: boolean }, prepare: (db: DatabaseSync) => void) {
    let db: DatabaseSync | undefined;
    try {
      db = new DatabaseSync(path, settings);
      prepare(db);
      return new Connection(db);
    } catch (error) {
      if (db?.isOpen === true) db.close();
      throw toSkerryError(error, `opening ${path}`);
    }
  }

  /** Deferred: the state is pinned by the first read after it. */
  beginRead(): void {
    attempt('begin', () => this.#begin.run());
  }

  /** Takes the write lock, waiting for it up to `busyTimeoutMs`. */
  beginWrite(): void {
    attempt('begin', () => this.#beginImmediate.run());
  }

  /** Durable when it returns. When it throws the transaction is still to be rolled back. */
  commit(): void {
    attempt('commit', () => this.#commit.run());
  }

  /** Ends the open transaction, if SQLite has not ended it itself after an error. */
  rollback(): void {
    if (this.#db.isTransaction) attempt('rollback', () => this.#rollback.run());
  }

  /** Appends to `values`; a single key needs no transaction around it to be consistent. */
  readKeys(keys: readonly MetaKey[], values: (Uint8Array | undefined)[]): void {
    try {
      for (const { space, key } of keys) {
        const row = this.#statements(space).get.get(key) as readonly Uint8Array[] | undefined;
        values.push(row?.[0]);
      }
    } catch (error) {
      throw toSkerryError(error, 'get');
    }
  }

  readRange({ space, from, to, limit, reverse }: MetaRange): MetaRow[] {
    const statements = this.#statements(space);
    const statement = reverse === true ? statements.descending : statements.ascending;
    const low = from === undefined || from.length === 0 ? LOWEST : from;
    if (to !== undefined && to.length === 0) return [];
    try {
      const found = statement.all(low, to ?? HIGHEST, limit) as unknown as readonly Row[];
      return found.map(([key, value]) => ({ key, value }));
    } catch (error) {
      throw toSkerryError(error, 'scan');
    }
  }

  /** Inside a write transaction. Returns about how many bytes this adds to the write-ahead log, rather too many. */
  write(writes: readonly MetaWrite[]): number {
    let logBytes = 0;
    try {
      for (const { space, key, value } of writes) {
        const statements = this.#statements(space);
        if (value === undefined) statements.remove.run(key);
        else statements.put.run(key, value);
        logBytes += PAGE_BYTES + (value?.length ?? 0);
      }
    } catch (error) {
      throw toSkerryError(error, 'write');
    }
    return logBytes;
  }

  /** Copies what it can from the log into the database without waiting for anybody. */
  checkpoint(): CheckpointResult {
    return attempt('checkpoint', () => runCheckpoint(this.#db));
  }

  close(): void {
    attempt('close', () => this.#db.close());
  }

  #statements(space: MetaSpace): SpaceStatements {
    const statements = this.#spaces.get(space);
    if (statements === undefined) throw new SkerryError('Internal', `no table for ${space}`);
    return statements;
  }
}

function attempt<T>(doing: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw toSkerryError(error, doing);
  }
}

/** The log is copied back off the commit path (checkpointer.ts), never by the commit that happens to fill it. */
export function configure(db: DatabaseSync, { synchronous, cacheBytes }: Options): void {
  db.exec(`PRAGMA synchronous = ${synchronous}; PRAGMA wal_autocheckpoint = 0;`);
  db.exec(`PRAGMA cache_size = ${-Math.ceil(cacheBytes / 1024)}; PRAGMA temp_store = memory;`);
}

export function runCheckpoint(db: DatabaseSync): CheckpointResult {
  const row = db.prepare('PRAGMA wal_checkpoint(PASSIVE)').get() as { log: number; checkpointed: number };
  return { logFrames: Math.max(row.log, 0), doneFrames: Math.max(row.checkpointed, 0) };
}

function requireWal(db: DatabaseSync, path: string): void {
  const mode = pragma(db, 'journal_mode = WAL');
  if (mode !== 'wal') {
    throw new SkerryError(
      'NotSupported',
      `${path}: the file system cannot hold a write-ahead log (mode is ${String(mode)})`,
    );
  }
}

/** In one transaction, so that two processes that open a new file at once both find it whole. */
function migrate(db: DatabaseSync, path: string): void {
  db.exec('BEGIN IMMEDIATE');
  try {
    requireOurs(db, path);
    for (const space of META_SPACES) {
      db.exec(`CREATE TABLE IF NOT EXISTS "${space}" (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID`);
    }
    db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${SCHEMA_VERSION};`);
    db.exec('COMMIT');
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

function requireOurs(db: DatabaseSync, path: string): void {
  const tables = db.prepare('SELECT count(*) AS n FROM sqlite_schema').get() as { n: number };
  const isNew = tables.n === 0 && pragma(db, 'user_version') === 0;
  if (!isNew && pragma(db, 'application_id') !== APPLICATION_ID) {
    throw new SkerryError('InvalidConfig', `${path} is an SQLite file of another program`);
  }
  const version = Number(pragma(db, 'user_version'));
  if (version > SCHEMA_VERSION) {
    throw new SkerryError(
      'NotSupported',
      `${path} was written by a newer Skerry: its layout is version ${version}, this one knows up to ${SCHEMA_VERSION}`,
      { details: { found: version, known: SCHEMA_VERSION } },
    );
  }
}

function pragma(db: DatabaseSync, text: string): unknown {
  const row = db.prepare(`PRAGMA ${text}`).get();
  return row === undefined ? undefined : Object.values(row)[0];
}
