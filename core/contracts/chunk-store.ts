/**
 * Chunk-store: append, read, free. It keeps byte strings under locators that it chooses itself and knows nothing of
 * objects, references or dedup; the engine keeps hash -> locator in the meta-store, so the liveness rule exists once.
 *
 * Ownership: appended bytes must not change until `append` resolves; the store keeps no reference afterwards. Bytes that
 * `read` returns belong to the caller (they are the caller's own buffer when `into` is given).
 * Before `open` and after `close`: every method rejects with SkerryError `Closed`. A call already running settles first.
 * Failures: `Io`, `OutOfSpace`, `Corrupt` (stored bytes are damaged; details name the locator), `NotFound`, `Aborted`.
 */
import type { ChunkHash } from './model.ts';
import type { Lifecycle } from './lifecycle.ts';

/** Opaque to everybody but the store that made it; ASCII, at most 128 characters; stable over restarts. */
export type Locator = string & { readonly __brand?: 'Locator' };

/**
 * `data`: bytes of an object; `node`: a manifest node or parts table; `op`: an encoded op, so that the meta-store can be rebuilt
 * from the chunk-store alone (rule 17).
 */
export type RecordKind = 'data' | 'node' | 'op';

export interface ChunkRecord {
  readonly kind: RecordKind;
  readonly hash: ChunkHash;
  /** Pieces in order; together 0 to 16 MiB. */
  readonly data: readonly Uint8Array[];
}

export interface StoredRecord {
  readonly locator: Locator;
  readonly kind: RecordKind;
  readonly hash: ChunkHash;
  /** Bytes of data. */
  readonly length: number;
}

export interface ReadOptions {
  /** First byte, default 0. */
  readonly start?: number;
  /** Bytes to read, default to the end. `start + length` past the record's end is `InvalidArgument`. */
  readonly length?: number;
  /** Buffer of at least `length` bytes to fill; the result is a view of its beginning. */
  readonly into?: Uint8Array;
  readonly signal?: AbortSignal;
}

export interface ChunkUsage {
  /** Bytes of records that were appended and not freed, headers included. */
  readonly liveBytes: number;
  /** Bytes of freed records that still occupy space. */
  readonly deadBytes: number;
  /** Bytes that the store may still take, if it knows. */
  readonly freeBytes?: number;
}

export interface ChunkStore extends Lifecycle {
  /**
   * Locators in the order of `records`. All or none: when it rejects, none of the records is stored and what space they
   * took is given back. Readable at once, durable only after a later `sync`. May be called concurrently. Not idempotent: appending twice stores twice.
   */
  append(records: readonly ChunkRecord[]): Promise<readonly Locator[]>;
  /**
   * Everything whose `append` resolved before this call is durable when it resolves. A rejection means that none of the
   * unsynced records may be assumed durable; they stay unsynced for ever (the store moves on to new space), and the
   * engine fails the writes that relied on them. Concurrent calls share one sync.
   */
  sync(): Promise<void>;
  /**
   * Bytes of one record. Checks integrity of everything it returns: damaged bytes reject with `Corrupt`, never come back
   * silently. `NotFound` for a locator that was freed or never existed. Repeatable.
   */
  read(locator: Locator, options?: ReadOptions): Promise<Uint8Array>;
  /**
   * Synchronous `read` of a whole small record (at most 64 KiB) when the store can answer without waiting, else
   * `undefined` and the caller uses `read`. Same checks and errors, thrown. The store may leave it out.
   */
  readNow?(locator: Locator): Uint8Array | undefined;
  /**
   * The records are not needed any more. Space is given back at once or later; reading them afterwards gives `NotFound` or
   * the old bytes, never other bytes. Unknown and already freed locators are ignored. Not necessarily durable: a crash may bring
   * freed records back in `scan`, where the engine frees them again.
   */
  free(locators: readonly Locator[]): Promise<void>;
  /**
   * Every record, whole, in an order that is stable for one store state; for fsck, rebuild and garbage collection. `after`
   * resumes behind a locator. Records appended while scanning may or may not appear. Damaged records are reported to
   * `onDamage` and skipped; `kind` where that can still be told for certain. Yields batches of 1 to 1,000.
   */
  scan(options?: {
    readonly after?: Locator;
    readonly onDamage?: (locator: Locator, reason: string, kind?: RecordKind) => void;
    readonly signal?: AbortSignal;
  }): AsyncIterable<readonly StoredRecord[]>;
  /**
   * Live records that keep the space of freed ones from being given back: those of areas of which at least `deadShareMin` (above 0,
   * at most 1) is dead. Whoever owns liveness appends them anew, moves what names them, and frees them; then the space comes
   * back. Damaged records are left out, and so are ops. Each is given once, also while the areas change. Yields batches of
   * 1 to 1,000. A store that gives space back at once leaves the method out.
   */
  sparse?(options: {
    readonly deadShareMin: number;
    readonly signal?: AbortSignal;
  }): AsyncIterable<readonly StoredRecord[]>;
  usage(): Promise<ChunkUsage>;
}

/** Declared abilities of a chunk-store plugin. */
export interface ChunkStoreSupports {
  /** Survives a restart. */
  readonly durable: boolean;
  /** Several processes may open the same data at once. */
  readonly shared: boolean;
}
