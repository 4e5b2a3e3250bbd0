/** Checksums in responses: as headers and as XML elements. */
import type { ObjectChecksum } from '../../core/contracts/index.ts';
import { element } from './xml.ts';

/** `x-amz-checksum-crc32: ...` for each, and their type. */
export function checksumHeaders(checksums: readonly ObjectChecksum[]): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {};
  for (const { algorithm, type, value } of checksums) {
    headers[`x-amz-checksum-${algorithm.toLowerCase()}`] = value;
    headers['x-amz-checksum-type'] = type;
  }
  return headers;
}

/** `<ChecksumCRC32>` for each. */
export function checksumElements(checksums: readonly ObjectChecksum[]): string {
  return checksums.map(({ algorithm, value }) => element(`Checksum${algorithm}`, value)).join('');
}
