/**
 * Buffers for reads, reused, and bounded for all readers together. A reader is never refused: when the budget is out it gets
 * the smallest size, outside the pool, so that slow clients cannot stop the others.
 */

export interface BufferPool {
  /** Size of the buffer that a reader should take now, bytes. */
  sizeNow(): number;
  /** True when a buffer may be taken just to read ahead. */
  mayReadAhead(): boolean;
  /** A buffer of at least `bytes`. */
  take(bytes: number): Uint8Array;
  /** The buffer must not be used afterwards. */
  give(buffer: Uint8Array): void;
  usedBytes(): number;
}

const KIB = 1024;
/** A buffer of each size stays aligned with all smaller ones. */
const LARGE_BYTES = 512 * KIB;
const SMALL_BYTES = 64 * KIB;
/** Share of the budget that may lie idle in the pool. */
const IDLE_SHARE = 4;
const IDLE_SMALL_MAX = 64;

export function createBufferPool(totalBytes: number): BufferPool {
  const idle: Uint8Array[] = [];
  const idleSmall: Uint8Array[] = [];
  let usedBytes = 0;
  return {
    sizeNow: () => (usedBytes + LARGE_BYTES <= totalBytes ? LARGE_BYTES : SMALL_BYTES),
    mayReadAhead: () => usedBytes + LARGE_BYTES <= totalBytes / 2,
    take(bytes) {
      const buffer =
        bytes > SMALL_BYTES
          ? (idle.pop() ?? new Uint8Array(LARGE_BYTES))
          : bytes > SMALL_BYTES / 2
            ? (idleSmall.pop() ?? new Uint8Array(SMALL_BYTES))
            : new Uint8Array(bytes);
      usedBytes += buffer.length;
      return buffer;
    },
    give(buffer) {
      usedBytes -= buffer.length;
      const isPooled = buffer.length === LARGE_BYTES && (idle.length + 1) * LARGE_BYTES <= totalBytes / IDLE_SHARE;
      if (isPooled) idle.push(buffer);
      if (buffer.length === SMALL_BYTES && idleSmall.length < IDLE_SMALL_MAX) idleSmall.push(buffer);
    },
    usedBytes: () => usedBytes,
  };
}
