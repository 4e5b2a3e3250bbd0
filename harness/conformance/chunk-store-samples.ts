/** Records that the chunk-store kit stores, and how a test gets a store. */
import assert from 'node:assert/strict';
import type { ChunkRecord, ChunkStore, RecordKind } from '../../core/contracts/index.ts';
import type { Fixture } from './runner.ts';

export type WithStore = (
  title: string,
  body: (store: ChunkStore, fixture: Fixture<ChunkStore>) => Promise<void>,
) => void;

const HASH = `sha256:${'0123456789abcdef'.repeat(4)}`;

/** `length` bytes that differ by seed and by position. */
export function sampleBytes(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = Math.imul(seed + 1, 0x9e3779b1);
  for (let at = 0; at < length; at += 1) {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + at;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

/** As deepEqual, without its difference of a hundred thousand lines. */
export function sameBytes(actual: Uint8Array | undefined, expected: Uint8Array | undefined): void {
  assert.ok(actual !== undefined && expected !== undefined, 'no bytes at all');
  assert.equal(actual.length, expected.length, `${actual.length} bytes instead of ${expected.length}`);
  if (Buffer.compare(actual, expected) === 0) return;
  const at = actual.findIndex((byte, index) => byte !== expected[index]);
  assert.fail(`byte ${at} of ${actual.length} differs`);
}

export function sampleRecord(bytes: Uint8Array, kind: RecordKind = 'data', hash = HASH): ChunkRecord {
  return { kind, hash, data: [bytes] };
}
