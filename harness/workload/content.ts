/** Bytes of a body, and their hash: small numbers of contents, so that sites and keys share chunks. */
import { createHash } from 'node:crypto';
import type { Body } from './steps.ts';

const cache = new Map<string, Uint8Array>();
const CACHE_MAX = 500;

/** Bodies of one content are prefixes of each other, so that they share chunks. */
export function bytesOf({ content, size }: Body): Uint8Array {
  const name = `${content}/${size}`;
  const known = cache.get(name);
  if (known !== undefined) return known;
  const bytes = new Uint8Array(size);
  let state = (content * 2654435761 + 1) >>> 0;
  for (let i = 0; i < size; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  if (cache.size >= CACHE_MAX) cache.clear();
  cache.set(name, bytes);
  return bytes;
}

export function sha256Of(pieces: Iterable<Uint8Array>): string {
  const hash = createHash('sha256');
  for (const piece of pieces) hash.update(piece);
  return hash.digest('hex');
}
