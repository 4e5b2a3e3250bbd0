/** Version vectors (Almeida et al., "Dotted Version Vectors", 2012): what a site has applied, by origin. */
import type { Dot, Origin, VersionVector } from '../contracts/index.ts';

export const EMPTY_VECTOR: VersionVector = Object.freeze({});

export function seqOf(vector: VersionVector, origin: Origin): number {
  return vector[origin] ?? 0;
}

/** Has a site with this vector applied the op with this dot? */
export function coversDot(vector: VersionVector, dot: Dot): boolean {
  return seqOf(vector, dot.origin) >= dot.seq;
}

/** Has `vector` everything that `other` has? */
export function coversVector(vector: VersionVector, other: VersionVector): boolean {
  for (const origin in other) if (seqOf(vector, origin) < seqOf(other, origin)) return false;
  return true;
}

/** Least upper bound. */
export function joinVectors(a: VersionVector, b: VersionVector): VersionVector {
  const joined: Record<Origin, number> = { ...a };
  for (const origin in b) joined[origin] = Math.max(seqOf(a, origin), seqOf(b, origin));
  return joined;
}

/** Greatest lower bound: what both have. */
export function meetVectors(a: VersionVector, b: VersionVector): VersionVector {
  const met: Record<Origin, number> = {};
  for (const origin in a) {
    const seq = Math.min(seqOf(a, origin), seqOf(b, origin));
    if (seq > 0) met[origin] = seq;
  }
  return met;
}

/** `vector` with one more op of the dot's origin. Vectors are dense: the dot must be the next one. */
export function advanceVector(vector: VersionVector, dot: Dot): VersionVector {
  const expected = seqOf(vector, dot.origin) + 1;
  if (dot.seq !== expected) throw new RangeError(`vector gap: ${dot.origin} is at ${expected - 1}, got ${dot.seq}`);
  return { ...vector, [dot.origin]: dot.seq };
}
