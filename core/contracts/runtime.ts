/**
 * The outside world as ports. Core and plugins get these injected and touch no global clock, timer, random source,
 * network or file system; the simulator injects its own.
 */

export interface Clock {
  /** Wall time, Unix milliseconds; may jump either way. */
  wallMs(): number;
  /** Monotonic milliseconds since an arbitrary point; never goes back. Fractions allowed. */
  monotonicMs(): number;
}

export interface Timer {
  /** Idempotent. After it returns the callback does not run. */
  cancel(): void;
}

export interface Timers {
  /** Run `callback` once, no earlier than `delayMs` from now. Does not keep the process alive when `unref` is true. */
  after(delayMs: number, callback: () => void, options?: { readonly unref?: boolean }): Timer;
  /** Resolve after `delayMs`; reject with SkerryError `Aborted` when `signal` aborts first. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
  /** Run `callback` once all I/O callbacks now ready have run (one turn of the event loop). */
  soon(callback: () => void): void;
}

export interface Random {
  /** Cryptographically strong bytes (in the simulator: seeded). The caller owns the result. */
  bytes(length: number): Uint8Array;
  /** Uniform in [0, 1). For jitter, never for secrets. */
  unit(): number;
  /** `bytes` lower-case hex digits times two. */
  hex(bytes: number): string;
}

/** An open file. All positions and lengths are bytes. Methods reject with SkerryError `Closed` after `close`. */
export interface FileHandle {
  /** Read up to `into.length` bytes at `position`; resolves to the count, 0 at end of file. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** The same, blocking: for small reads that are probably cached (measured 5-7 us cheaper). */
  readSync(into: Uint8Array, position: number): number;
  /** Write all of `pieces` one after another at `position`. Not durable until `sync`. Rejects `OutOfSpace` or `Io`. */
  write(pieces: readonly Uint8Array[], position: number): Promise<void>;
  /** Blocking `write`. */
  writeSync(pieces: readonly Uint8Array[], position: number): void;
  /** fdatasync: everything written so far, and the size, is durable when it resolves. A failed sync poisons the handle's data: the caller must not assume any of it is durable. */
  sync(): Promise<void>;
  /** Blocking `sync`. */
  syncSync(): void;
  size(): Promise<number>;
  truncate(length: number): Promise<void>;
  /** Idempotent. */
  close(): Promise<void>;
}

export type OpenMode =
  | 'read'
  /** Read and write, must exist. */
  | 'update'
  /** Read and write, must not exist (O_EXCL); rejects `AlreadyExists`. */
  | 'create';

export interface FileStat {
  readonly size: number;
  readonly isDirectory: boolean;
  readonly modifiedAtMs: number;
}

/** Paths are absolute or relative to the process; names inside are chosen by the caller, never derived from user input. */
export interface FileSystem {
  /** Rejects `NotFound`, `AlreadyExists`, `AccessDenied`, `OutOfSpace`, `Io`. */
  open(path: string, mode: OpenMode, options?: { readonly permissions?: number }): Promise<FileHandle>;
  /** Whole file; `undefined` when it does not exist. */
  readFile(path: string): Promise<Uint8Array | undefined>;
  /** Write to a temporary name, sync, rename over `path`, sync the directory: afterwards either old or new is there. */
  writeFileAtomic(path: string, data: Uint8Array, options?: { readonly permissions?: number }): Promise<void>;
  /** Recursive; existing is fine. Parents are synced. */
  mkdir(path: string, options?: { readonly permissions?: number }): Promise<void>;
  /** Names only, byte order; `[]` when the directory does not exist. */
  list(path: string): Promise<readonly string[]>;
  stat(path: string): Promise<FileStat | undefined>;
  rename(from: string, to: string): Promise<void>;
  /** No error when absent. */
  remove(path: string): Promise<void>;
  /** fsync of the directory: names created, renamed and removed in it are durable when it resolves. */
  syncDirectory(path: string): Promise<void>;
  /** Bytes free and in all on the volume of `path`. */
  space(path: string): Promise<{ readonly freeBytes: number; readonly totalBytes: number }>;
}

/** Fields never hold secrets; the logger also redacts well-known names. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: object): Logger;
}

export type HashAlgorithm = 'md5' | 'sha1' | 'sha256' | 'crc32' | 'crc32c' | 'crc64nvme';

/** Incremental hashes of one byte stream, all algorithms fed together. */
export interface HashSession {
  /**
   * Bytes must stay unchanged until the promise resolves (they may be read on another thread); back-pressure: await it
   * before the next call or bound the number in flight. Order of calls is the order of bytes.
   */
  update(bytes: Uint8Array): Promise<void> | void;
  /** Ends the session. Digest bytes by algorithm, big-endian for CRCs. */
  digest(): Promise<Readonly<Partial<Record<HashAlgorithm, Uint8Array>>>>;
  /** Ends the session without a digest. Idempotent. */
  abandon(): void;
}

export interface Hashing {
  /** One-shot, synchronous: for bodies up to about 64 KiB. */
  hash(algorithm: HashAlgorithm, bytes: Uint8Array): Uint8Array;
  /** One-shot that may run on a worker thread; `bytes` must stay unchanged until it resolves. */
  hashAsync(algorithm: HashAlgorithm, bytes: Uint8Array): Promise<Uint8Array>;
  session(algorithms: readonly HashAlgorithm[], options?: { readonly expectedBytes?: number }): HashSession;
}

/** Everything of the outside world that a plugin's `create` may be given. */
export interface Runtime {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly files: FileSystem;
  readonly hashing: Hashing;
  readonly logger: Logger;
}
