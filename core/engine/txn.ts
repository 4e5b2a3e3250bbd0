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

/** A key as a string: a character each byte. */
function textOf(key: Uint8Array): string {
  return (Buffer.isBuffer(key) ? key : Buffer.from(key.buffer, key.byteOffset, key.byteLength)).toString('latin1');
}

const nameOfRange = ({ space, from, to, limit, reverse }: MetaRange): string =>
  [space, reverse ? 'r' : 'f', limit, from ? textOf(from) : '-', to ? textOf(to) : '-'].join('|');

/** Values by space and key. */
class Rows<V> {
  readonly #spaces = new Map<MetaSpace, Map<string, V>>();

  /** All rows of a space by the text of their key. */
  of(space: MetaSpace): Map<string, V> {
    let rows = this.#spaces.get(space);
    if (rows === undefined) this.#spaces.set(space, (rows = new Map<string, V>()));
    return rows;
  }

  *all(): Generator<V> {
    for (const rows of this.#spaces.values()) yield* rows.values();
  }
}

/** Thrown through a decision when it reads what nobody declared. */
export class ReadNeeded extends Error {
  readonly reads: MetaReads;
  constructor(reads: MetaReads) {
    super('undeclared read');
    this.reads = reads;
  }
}

/** A row as the store has it, and its record once somebody asked for that. */
interface Stored {
  readonly value: Uint8Array | undefined;
  record: object | undefined;
}

/** A row as this transaction leaves it: one that is rewritten by every intent of a group is encoded once, at the end. */
interface Staged {
  readonly space: MetaSpace;
  readonly key: Uint8Array;
  value: Uint8Array | undefined;
  record: object | undefined;
}

interface Undo {
  readonly space: MetaSpace;
  readonly text: string;
  readonly previous: Staged | undefined;
}

function valueOf(staged: Staged): Uint8Array | undefined {
  if (staged.value === undefined && staged.record !== undefined) staged.value = encodeRecord(staged.record);
  return staged.value;
}

export class Txn {
  readonly #stored: Rows<Stored>;
  readonly #ranges: ReadonlyMap<string, readonly MetaRow[]>;
  readonly #writes = new Rows<Staged>();
  /** What each write replaced, newest last; lets `nested` take its writes back. */
  readonly #undo: Undo[] = [];

  constructor(keys: readonly MetaKey[], ranges: readonly MetaRange[], read: MetaReadResult) {
    this.#stored = storedRows(keys, read);
    this.#ranges = new Map(read.rows.map((rows, i) => [nameOfRange(ranges[i] as MetaRange), rows]));
  }

  get({ space, key }: MetaKey): Uint8Array | undefined {
    const text = textOf(key);
    const staged = this.#writes.of(space).get(text);
    return staged === undefined ? this.#read(space, key, text).value : valueOf(staged);
  }

  /** The same object each time, so it must not be changed. */
  record<T>({ space, key }: MetaKey): T | undefined {
    const text = textOf(key);
    const row = this.#writes.of(space).get(text) ?? this.#read(space, key, text);
    if (row.record === undefined && row.value !== undefined) row.record = decodeRecord<object>(row.value);
    return row.record as T | undefined;
  }

  set({ space, key }: MetaKey, value: Uint8Array | undefined): void {
    this.#stage({ space, key, value, record: undefined });
  }

  /** The record must not be changed afterwards. */
  put({ space, key }: MetaKey, record: object): void {
    this.#stage({ space, key, value: undefined, record });
  }

  remove(key: MetaKey): void {
    this.set(key, undefined);
  }

  /**
   * First rows of a range (or last, with `reverse`), this transaction's own writes included. Reads as many rows more than
   * `limit` as this transaction has removed from the space, so that removals cannot make it come up short.
   */
  scan(range: MetaRange): readonly MetaRow[] {
    const own = new Map([...this.#writes.of(range.space)].filter(([, write]) => inRange(write.key, range)));
    let removed = 0;
    for (const write of own.values()) if (valueOf(write) === undefined) removed++;
    const wanted = removed === 0 ? range : { ...range, limit: range.limit + removed };
    const stored = this.#ranges.get(nameOfRange(wanted));
    if (!stored) throw new ReadNeeded({ ranges: [wanted] });
    if (own.size === 0) return stored;
    const rows = stored.filter((row) => !own.has(textOf(row.key)));
    for (const write of own.values()) {
      const value = valueOf(write);
      if (value !== undefined) rows.push({ key: write.key, value });
    }
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
        const { space, text, previous } = this.#undo.pop() as Undo;
        if (previous) this.#writes.of(space).set(text, previous);
        else this.#writes.of(space).delete(text);
      }
      throw error;
    }
  }

  writes(): readonly MetaWrite[] {
    return [...this.#writes.all()].map((staged) => ({ space: staged.space, key: staged.key, value: valueOf(staged) }));
  }

  #read(space: MetaSpace, key: Uint8Array, text: string): Stored {
    const stored = this.#stored.of(space).get(text);
    if (stored === undefined) throw new ReadNeeded({ keys: [{ space, key }] });
    return stored;
  }

  #stage(staged: Staged): void {
    const text = textOf(staged.key);
    const writes = this.#writes.of(staged.space);
    this.#undo.push({ space: staged.space, text, previous: writes.get(text) });
    writes.set(text, staged);
  }
}

function storedRows(keys: readonly MetaKey[], read: MetaReadResult): Rows<Stored> {
  const stored = new Rows<Stored>();
  read.values.forEach((value, i) => {
    const { space, key } = keys[i] as MetaKey;
    stored.of(space).set(textOf(key), { value, record: undefined });
  });
  return stored;
}

function inRange(key: Uint8Array, range: MetaRange): boolean {
  return (!range.from || Buffer.compare(key, range.from) >= 0) && (!range.to || Buffer.compare(key, range.to) < 0);
}

/** The signal by which a decision asks for more reads; whoever catches errors inside a decision must rethrow it. */
export function isReadNeeded(error: unknown): error is ReadNeeded {
  return error instanceof ReadNeeded;
}

/** What several decisions of one transaction ask for, as one signal: each would cost a round of its own. */
export function allNeeded(signals: readonly ReadNeeded[]): ReadNeeded {
  return new ReadNeeded({
    keys: signals.flatMap(({ reads }) => reads.keys ?? []),
    ranges: signals.flatMap(({ reads }) => reads.ranges ?? []),
  });
}

/**
 * For a transaction of many decisions, one after another: one that reads what nobody declared is taken back and does not stop those
 * behind it, if only so that they tell what they need; then all of it is asked for at once.
 */
export function decideTogether(txn: Txn): { decide(body: () => void): void; end(): void } {
  const needed: ReadNeeded[] = [];
  return {
    decide(body) {
      try {
        txn.nested(body);
      } catch (error) {
        if (!isReadNeeded(error)) throw error;
        needed.push(error);
      }
    },
    end() {
      if (needed.length > 0) throw allNeeded(needed);
    },
  };
}

/** Runs `body` as one atomic transaction of the store. `body` is pure and may run several times. Its throw refuses. */
export function transact<T>(store: MetaStore, declared: MetaReads, body: (txn: Txn) => T): Promise<T> {
  const keys: MetaKey[] = [...(declared.keys ?? [])];
  const ranges: MetaRange[] = [...(declared.ranges ?? [])];
  return store.transact<T>(declared, (read) => {
    // A store that starts over after a conflict hands back the declared reads alone.
    keys.length = read.values.length;
    ranges.length = read.rows.length;
    const txn = new Txn(keys, ranges, read);
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
