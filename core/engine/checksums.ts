/** S3's checksums of a body: names, verification, and the checksum of a whole from the checksums of its parts. */
import { SkerryError } from '../contracts/index.ts';
import type { BodySource, ChecksumAlgorithm, HashAlgorithm, ObjectChecksum } from '../contracts/index.ts';

const HASHES: Readonly<Record<ChecksumAlgorithm, HashAlgorithm>> = {
  CRC32: 'crc32',
  CRC32C: 'crc32c',
  CRC64NVME: 'crc64nvme',
  SHA1: 'sha1',
  SHA256: 'sha256',
  MD5: 'md5',
};

export type Digests = Readonly<Partial<Record<HashAlgorithm, Uint8Array>>>;

export const hashOf = (algorithm: ChecksumAlgorithm): HashAlgorithm => HASHES[algorithm];

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
export const toHex = (bytes: Uint8Array): string => asBuffer(bytes).toString('hex');
export const toBase64 = (bytes: Uint8Array): string => asBuffer(bytes).toString('base64');

/** Everything that has to be computed over the whole body. */
export function wantedHashes(body: BodySource): ReadonlySet<HashAlgorithm> {
  const wanted = new Set<HashAlgorithm>(['md5']);
  if (body.sha256 !== undefined) wanted.add('sha256');
  if (body.checksum !== undefined) wanted.add(HASHES[body.checksum.algorithm]);
  return wanted;
}

export function digestOf(digests: Digests, algorithm: HashAlgorithm): Uint8Array {
  const digest = digests[algorithm];
  if (digest === undefined) throw new SkerryError('Internal', `no ${algorithm} digest was computed`);
  return digest;
}

function mismatch(which: 'sha256' | 'md5' | 'checksum', expected: string | undefined, computed: string): SkerryError {
  const what = expected === undefined ? 'is missing' : 'does not match the bytes received';
  return new SkerryError('ChecksumMismatch', `the ${which} of the body ${what}`, {
    details: { which, computed, ...(expected === undefined ? {} : { expected }) },
  });
}

/** Compares what the client said of the body with what came. Call it after the last byte: trailers are read here. */
export function verifyBody(body: BodySource, digests: Digests): readonly ObjectChecksum[] {
  if (body.sha256 !== undefined) {
    const hex = toHex(digestOf(digests, 'sha256'));
    if (hex !== body.sha256.toLowerCase()) throw mismatch('sha256', body.sha256, hex);
  }
  if (body.md5 !== undefined) {
    const base64 = toBase64(digestOf(digests, 'md5'));
    if (base64 !== body.md5) throw mismatch('md5', body.md5, base64);
  }
  const { checksum } = body;
  if (checksum === undefined) return [];
  const value = toBase64(digestOf(digests, HASHES[checksum.algorithm]));
  if (checksum.expected !== undefined && checksum.expected !== value) {
    throw mismatch('checksum', checksum.expected, value);
  }
  if (checksum.trailer !== undefined) {
    const sent = checksum.trailer();
    if (sent !== value) throw mismatch('checksum', sent, value);
  }
  return [{ algorithm: checksum.algorithm, type: 'FULL_OBJECT', value }];
}
