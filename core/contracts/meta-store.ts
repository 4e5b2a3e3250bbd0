/**
 * Meta-store: an ordered key-value store with one atomic primitive. It holds every record of a site (versions, oplog,
 * vector, settings, queues) and knows nothing of what they mean.
 *
 * Keys are byte strings ordered by unsigned byte (memcmp; a prefix sorts first), 1 to 4,096 bytes. Values are byte
 * strings of 0 to 1 MiB, typically JSON of a few hundred bytes. A key lives in a space; spaces are independent key ranges.
 *
 * Ownership: the caller must not change bytes it has passed until the call settles, and the store keeps no reference to
 * them afterwards; bytes that the store returns belong to the caller and never change under it.
 * Before `open` and after `close`: every method rejects with SkerryError `Closed`. A call already running settles first.
 * Failures: `Io`, `OutOfSpace`, `Corrupt`, `Unavailable` (retryable), `Aborted` (signal), and `InvalidArgument` for a key,
 * value, limit or space outside these bounds (checked by meta-arguments.ts before anything is done; nothing is written).
 */
import type { Lifecycle } from './lifecycle.ts';

/** Every space that core uses; a store creates them all when it opens. Adding one needs no migration. */
export const META_SPACES = [
  'site',
  'buckets',
  'heads',
  'versions',
  'tombstones',
  'conflicts',
  'registers',
  'oplog',
  'vector',
  'chunks',
  'refs',
  'uploads',
  'parts',
  'queues',
  'digest',
  'peers',
  'counters',
] as const;
export type MetaSpace = (typeof META_SPACES)[number];

export interface MetaKey {
  readonly space: MetaSpace;
  readonly key: Uint8Array;
}

/** A bounded key range, `from` inclusive, `to` exclusive; an absent bound is open. */
export interface MetaRange {
  readonly space: MetaSpace;
  readonly from?: Uint8Array;
  readonly to?: Uint8Array;
  /** At most this many rows, 1 to 10,000. */
  readonly limit: number;
  /** Rows from the end of the range, descending. */
  readonly reverse?: boolean;
}

export interface MetaRow {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

export interface MetaReader {
  /**
   * Values in the order of `keys`; `undefined` where there is none. All from one consistent state: the state of some
   * commit no older than the last one that resolved before the call. Repeatable: reads change nothing.
   */
  get(keys: readonly MetaKey[]): Promise<readonly (Uint8Array | undefined)[]>;
  /** Rows of one range, in key order (or reverse). Consistent like `get`. `[]` when nothing is there. */
  scan(range: MetaRange): Promise<readonly MetaRow[]>;
}

/** What a transaction has to know before it decides. */
export interface MetaReads {
  readonly keys?: readonly MetaKey[];
  readonly ranges?: readonly MetaRange[];
}

/** A row to set, or (`value` undefined) to remove. Removing an absent row is fine. Later writes of one key win. */
export interface MetaWrite {
  readonly space: MetaSpace;
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
}

/** Values in the order of the declared reads. Accumulates over "need" rounds: earlier reads keep their index. */
export interface MetaReadResult {
  readonly values: readonly (Uint8Array | undefined)[];
  readonly rows: readonly (readonly MetaRow[])[];
}

export type MetaDecision<T> =
  /** Apply these writes atomically and durably, then resolve with `result`. No writes is fine. */
  | { readonly kind: 'write'; readonly writes: readonly MetaWrite[]; readonly result: T }
  /** Read these as well (appended to what was read) and decide again, in the same transaction. */
  | { readonly kind: 'need'; readonly reads: MetaReads };

/**
 * Pure and synchronous: the store may call it again with fresh values when somebody else changed what was read. Throwing
 * refuses: nothing is written and `transact` rejects with exactly the thrown value.
 */
export type MetaDecide<T> = (read: MetaReadResult) => MetaDecision<T>;

export interface MetaSnapshot extends MetaReader {
  /** Idempotent. Snapshots do not block writers, and writers do not change them. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface MetaCheckReport {
  readonly ok: boolean;
  /** One sentence a problem. */
  readonly problems: readonly string[];
  /** Rows by space. */
  readonly rows: Readonly<Partial<Record<MetaSpace, number>>>;
}

export interface MetaStore extends MetaReader, Lifecycle {
  /**
   * The one atomic primitive: read, decide, write. Serializable: as if all `transact` calls ran one after another.
   * When it resolves the writes are durable (as far as the store's durability setting says) and every later read sees
   * them. When it rejects nothing was written, except with `Io` or `Unavailable` after the commit was sent, when the
   * outcome is unknown until the store is reopened; a failed durability step must never be reported as success.
   */
  transact<T>(reads: MetaReads, decide: MetaDecide<T>): Promise<T>;
  /** A consistent cut to iterate; sees exactly the commits that resolved before the call, and none that begins after it. */
  snapshot(): Promise<MetaSnapshot>;
  /** Full integrity check of the store's own structure. Reads everything; slow. */
  check(signal?: AbortSignal): Promise<MetaCheckReport>;
}

/** Declared abilities of a meta-store plugin. */
export interface MetaStoreSupports {
  /** Survives a restart. */
  readonly durable: boolean;
  /** Several processes may open the same data at once. */
  readonly shared: boolean;
}
