/**
 * A transaction as the engine's decisions see it: reads answer from what the store read, overlaid with what this
 * transaction wrote. A read that was not declared makes the store fetch it and decide again, in the same transaction.
 */
import type {
  MetaKey,
  MetaRange,
  MetaReadResult,
  MetaReads,
  MetaRow,
  MetaSpace,
  MetaStore,
  MetaWrite,
} from '../contracts/index.ts';
import { decodeRecord, encodeRecord } from './records.ts';

const nameOf = (space: MetaSpace, key: Uint8Array): string =>
  `${space}/${Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')}`;

const nameOfRange = (range: MetaRange): string =>
  [
    range.space,
    range.reverse ? 'r' : 'f',
    range.limit,
    range.from ? nameOf('site', range.from) : '-',
    range.to ? nameOf('site', range.to) : '-',
  ].join('|');

/** Thrown through a decision when it reads what nobody declared; never leaves this file. */
class ReadNeeded extends Error {
  readonly reads: MetaReads;
  constructor(reads: MetaReads) {
    super('undeclared read');
    this.reads = reads;
  }
}

interface Staged extends MetaWrite {
  readonly name: string;
}

interface Undo {
  readonly name: string;
  readonly previous: Staged | undefined;
}

export class Txn {
  readonly #values: ReadonlyMap<string, Uint8Array | undefined>;
  readonly #ranges: ReadonlyMap<string, readonly MetaRow[]>;
  readonly #writes = new Map<string, Staged>();
  /** What each write replaced, newest last; lets `nested` take its writes back. */
  readonly #undo: Undo[] = [];

  constructor(values: ReadonlyMap<string, Uint8Array | undefined>, ranges: ReadonlyMap<string, readonly MetaRow[]>) {
    this.#values = values;
    this.#ranges = ranges;
  }

  get({ space, key }: MetaKey): Uint8Array | undefined {
    const name = nameOf(space, key);
    const staged = this.#writes.get(name);
    if (staged) return staged.value;
    const value = this.#values.get(name);
    if (value === undefined && !this.#values.has(name)) throw new ReadNeeded({ keys: [{ space, key }] });
    return value;
  }

  record<T>(key: MetaKey): T | undefined {
    const value = this.get(key);
    return value === undefined ? undefined : decodeRecord<T>(value);
  }

  set({ space, key }: MetaKey, value: Uint8Array | undefined): void {
    const name = nameOf(space, key);
    this.#undo.push({ name, previous: this.#writes.get(name) });
    this.#writes.set(name, { name, space, key, value });
  }

  put(key: MetaKey, record: object): void {
    this.set(key, encodeRecord(record));
  }

  remove(key: MetaKey): void {
    this.set(key, undefined);
  }

  /**
   * First rows of a range (or last, with `reverse`), this transaction's own writes included. Reads as many rows more than
   * `limit` as this transaction has removed from the space, so that removals cannot make it come up short.
   */
  scan(range: MetaRange): readonly MetaRow[] {
    const own = [...this.#writes.values()].filter((write) => write.space === range.space && inRange(write.key, range));
    const removed = own.reduce((count, write) => count + (write.value === undefined ? 1 : 0), 0);
    const wanted = removed === 0 ? range : { ...range, limit: range.limit + removed };
    const stored = this.#ranges.get(nameOfRange(wanted));
    if (!stored) throw new ReadNeeded({ ranges: [wanted] });
    if (own.length === 0) return stored;
    const hidden = new Set(own.map((write) => write.name));
    const rows = stored.filter((row) => !hidden.has(nameOf(range.space, row.key)));
    for (const write of own) if (write.value !== undefined) rows.push({ key: write.key, value: write.value });
    rows.sort((a, b) => Buffer.compare(a.key, b.key) * (range.reverse ? -1 : 1));
    return rows.slice(0, range.limit);
  }

  /** Runs `body`; when it throws, what it wrote is taken back and the error goes on. */
  nested<T>(body: () => T): T {
    const mark = this.#undo.length;
    try {
      return body();
    } catch (error) {
      while (this.#undo.length > mark) {
        const { name, previous } = this.#undo.pop() as Undo;
        if (previous) this.#writes.set(name, previous);
        else this.#writes.delete(name);
      }
      throw error;
    }
  }

  writes(): readonly MetaWrite[] {
    return [...this.#writes.values()];
  }
}

function inRange(key: Uint8Array, range: MetaRange): boolean {
  return (!range.from || Buffer.compare(key, range.from) >= 0) && (!range.to || Buffer.compare(key, range.to) < 0);
}

/** True for the signal by which a decision asks for more reads; whoever catches errors inside a decision must rethrow it. */
export function isReadNeeded(error: unknown): boolean {
  return error instanceof ReadNeeded;
}

/** Runs `body` as one atomic transaction of the store. `body` is pure and may run several times. Its throw refuses. */
export function transact<T>(store: MetaStore, declared: MetaReads, body: (txn: Txn) => T): Promise<T> {
  const keys: MetaKey[] = [...(declared.keys ?? [])];
  const ranges: MetaRange[] = [...(declared.ranges ?? [])];
  return store.transact<T>(declared, (read) => {
    // A store that starts over after a conflict hands back the declared reads alone.
    keys.length = read.values.length;
    ranges.length = read.rows.length;
    const txn = new Txn(valuesByName(keys, read), rangesByName(ranges, read));
    try {
      const result = body(txn);
      return { kind: 'write', writes: txn.writes(), result };
    } catch (error) {
      if (!(error instanceof ReadNeeded)) throw error;
      keys.push(...(error.reads.keys ?? []));
      ranges.push(...(error.reads.ranges ?? []));
      return { kind: 'need', reads: error.reads };
    }
  });
}

function valuesByName(keys: readonly MetaKey[], read: MetaReadResult): Map<string, Uint8Array | undefined> {
  return new Map(
    read.values.map((value, i) => {
      const key = keys[i] as MetaKey;
      return [nameOf(key.space, key.key), value];
    }),
  );
}

function rangesByName(ranges: readonly MetaRange[], read: MetaReadResult): Map<string, readonly MetaRow[]> {
  return new Map(read.rows.map((rows, i) => [nameOfRange(ranges[i] as MetaRange), rows]));
}
