/** Checksums in XML answers. In headers: object-headers.ts. */
import type { ObjectChecksum } from '../../core/contracts/index.ts';
import { element } from './xml.ts';

/** `<ChecksumCRC32>` for each. */
export function checksumElements(checksums: readonly ObjectChecksum[]): string {
  return checksums.map(({ algorithm, value }) => element(`Checksum${algorithm}`, value)).join('');
}
