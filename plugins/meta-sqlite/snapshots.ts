/** Snapshots: each an open read transaction on a connection of its own; connections go back to a small pool. */
import {
  requireMetaKeys,
  requireMetaRange,
  SkerryError,
  type MetaKey,
  type MetaRange,
  type MetaRow,
  type MetaSnapshot,
} from '../../core/contracts/index.ts';
import type { Connection } from './sqlite-adapter.ts';

/** Connections kept for the next snapshot; opening one costs 0.2 ms. */
const MAX_IDLE = 4;

/** Any read pins the state that a deferred transaction sees; this is the smallest. */
const FIRST_ROW: MetaRange = { space: 'site', limit: 1 };

export class SnapshotPool {
  readonly #connect: () => Connection;
  readonly #idle: Connection[] = [];
  readonly #open = new Set<SqliteSnapshot>();

  constructor(connect: () => Connection) {
    this.#connect = connect;
  }

  take(): MetaSnapshot {
    const connection = this.#idle.pop() ?? this.#connect();
    try {
      connection.beginRead();
      connection.readRange(FIRST_ROW);
    } catch (error) {
      connection.close();
      throw error;
    }
    const snapshot = new SqliteSnapshot(connection, () => this.#giveBack(snapshot, connection));
    this.#open.add(snapshot);
    return snapshot;
  }

  /** Ends open snapshots (their methods reject with `Closed` from then on) and closes every connection. */
  close(): void {
    for (const snapshot of this.#open) snapshot.end();
    for (const connection of this.#idle.splice(0)) connection.close();
  }

  #giveBack(snapshot: SqliteSnapshot, connection: Connection): void {
    this.#open.delete(snapshot);
    connection.rollback();
    if (this.#idle.length < MAX_IDLE) this.#idle.push(connection);
    else connection.close();
  }
}

class SqliteSnapshot implements MetaSnapshot {
  #connection: Connection | undefined;
  readonly #giveBack: () => void;

  constructor(connection: Connection, giveBack: () => void) {
    this.#connection = connection;
    this.#giveBack = giveBack;
  }

  async get(keys: readonly MetaKey[]): Promise<readonly (Uint8Array | undefined)[]> {
    const connection = this.#requireOpen();
    requireMetaKeys(keys);
    const values: (Uint8Array | undefined)[] = [];
    connection.readKeys(keys, values);
    return values;
  }

  async scan(range: MetaRange): Promise<readonly MetaRow[]> {
    const connection = this.#requireOpen();
    requireMetaRange(range);
    return connection.readRange(range);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.end();
  }

  end(): void {
    if (this.#connection === undefined) return;
    this.#connection = undefined;
    this.#giveBack();
  }

  #requireOpen(): Connection {
    if (this.#connection === undefined) throw new SkerryError('Closed', 'the snapshot was disposed of');
    return this.#connection;
  }
}
