/**
 * The list of a segment's dead records, in a small file beside it. A cache: it is written when the store closes; without it
 * freed records come back in a scan, and whoever owns liveness frees them again.
 */
import { crc32 } from 'node:zlib';
import type { FileSystem } from '../../core/contracts/index.ts';
import type { Segment } from './segment.ts';

const MAGIC = Buffer.from('SKERDEA1', 'latin1');
const HEADER_BYTES = 32;

export function deadListPath(segment: { readonly path: string }): string {
  return `${segment.path}.dead`;
}

export async function saveDeadList(files: FileSystem, segment: Segment): Promise<void> {
  const offsets = Uint32Array.from(segment.freed).sort();
  const bytes = Buffer.alloc(HEADER_BYTES + 4 * offsets.length);
  MAGIC.copy(bytes, 0);
  bytes.writeUInt32LE(segment.salt, 8);
  bytes.writeUInt32LE(offsets.length, 12);
  bytes.writeUIntLE(segment.deadBytes, 16, 6);
  for (const [position, offset] of offsets.entries()) bytes.writeUInt32LE(offset, HEADER_BYTES + 4 * position);
  bytes.writeUInt32LE(crc32(bytes.subarray(HEADER_BYTES), crc32(bytes.subarray(0, 28))), 28);
  await files.writeFileAtomic(deadListPath(segment), bytes);
  segment.isDeadListStale = false;
}

/** Marks what the list says, if there is one that belongs to this very segment. */
export async function loadDeadList(files: FileSystem, segment: Segment): Promise<void> {
  const found = await files.readFile(deadListPath(segment));
  if (found === undefined || found.length < HEADER_BYTES) return;
  const bytes = Buffer.from(found.buffer, found.byteOffset, found.length);
  const isWhole =
    bytes.subarray(0, 8).equals(MAGIC) &&
    bytes.readUInt32LE(8) === segment.salt &&
    bytes.length === HEADER_BYTES + 4 * bytes.readUInt32LE(12) &&
    bytes.readUInt32LE(28) === crc32(bytes.subarray(HEADER_BYTES), crc32(bytes.subarray(0, 28)));
  if (!isWhole) return;
  for (let at = HEADER_BYTES; at < bytes.length; at += 4) segment.freed.add(bytes.readUInt32LE(at));
  segment.deadBytes = bytes.readUIntLE(16, 6);
}
