/**
 * Chunks that running writes rely on and that no row refers to yet. Garbage collection asks `has` in the turn in which it
 * decides, and leaves a pinned chunk alone.
 */
import type { ChunkHash } from '../contracts/index.ts';

export interface Pins {
  /** Counted: as many `unpin` as `pin`. */
  pin(hash: ChunkHash): void;
  unpin(hash: ChunkHash): void;
  has(hash: ChunkHash): boolean;
}

export function createPins(): Pins {
  const counts = new Map<ChunkHash, number>();
  return {
    pin: (hash) => {
      counts.set(hash, (counts.get(hash) ?? 0) + 1);
    },
    unpin: (hash) => {
      const count = counts.get(hash);
      if (count === undefined) throw new RangeError(`unpin of a chunk that is not pinned: ${hash}`);
      if (count === 1) counts.delete(hash);
      else counts.set(hash, count - 1);
    },
    has: (hash) => counts.has(hash),
  };
}
