/** The parts that a completion names: found, checked, and what follows from them for the whole. */
import { SkerryError } from '../contracts/index.ts';
import type {
  ChecksumAlgorithm,
  CompletedPart,
  CompleteUploadInput,
  Hashing,
  ObjectChecksum,
} from '../contracts/index.ts';
import { hashOf, toBase64, toHex } from './checksums.ts';
import { combineCrcs, isCombinable } from './crc-combine.ts';
import { partKey } from './keys.ts';
import { decodeRecord, type PartRecord, type UploadRecord } from './records.ts';
import { checkPartNumber, type MultipartDeps } from './uploads.ts';

export interface UploadedPart extends PartRecord {
  readonly number: number;
}

const PART_MIN_BYTES = 5 * 1024 * 1024;
const READ_BATCH = 1000;

/** Rejects `InvalidPart`, `InvalidPartOrder`, `EntityTooSmall`. */
export async function loadParts(
  deps: MultipartDeps,
  { uploadId, parts }: CompleteUploadInput,
): Promise<readonly UploadedPart[]> {
  checkOrder(parts);
  const loaded: UploadedPart[] = [];
  for (let at = 0; at < parts.length; at += READ_BATCH) {
    const batch = parts.slice(at, at + READ_BATCH);
    const rows = await deps.reader.get(batch.map(({ number }) => partKey(uploadId, number)));
    for (const [i, wanted] of batch.entries()) loaded.push(checkPart(wanted, rows[i]));
  }
  checkSizes(loaded, deps.partMinBytes ?? PART_MIN_BYTES);
  return loaded;
}

function checkOrder(parts: readonly CompletedPart[]): void {
  if (parts.length === 0) throw new SkerryError('InvalidPart', 'You must specify at least one part');
  parts.forEach(({ number }, i) => {
    checkPartNumber(number);
    if (number > (parts[i - 1]?.number ?? 0)) return;
    throw new SkerryError(
      'InvalidPartOrder',
      'The list of parts was not in ascending order. The parts list must be specified in order by part number.',
      {
        details: { number },
      },
    );
  });
}

function checkPart(wanted: CompletedPart, row: Uint8Array | undefined): UploadedPart {
  const part = row === undefined ? undefined : decodeRecord<PartRecord>(row);
  const isSame = part !== undefined && part.etag === wanted.etag && hasChecksums(part, wanted);
  if (isSame) return { number: wanted.number, ...part };
  throw new SkerryError(
    'InvalidPart',
    "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.",
    { details: { number: wanted.number, etag: wanted.etag } },
  );
}

/** What the client says must be true; a checksum that the part was uploaded without says nothing. */
function hasChecksums({ checksums }: PartRecord, wanted: CompletedPart): boolean {
  return checksums.every(({ algorithm, value }) => (wanted.checksums?.[algorithm] ?? value) === value);
}

function checkSizes(parts: readonly UploadedPart[], minBytes: number): void {
  const small = parts.slice(0, -1).find(({ size }) => size < minBytes);
  if (small === undefined) return;
  const { number, size, etag } = small;
  throw new SkerryError('EntityTooSmall', 'Your proposed upload is smaller than the minimum allowed size', {
    details: { number, size, etag, minSize: minBytes },
  });
}

/** Hex MD5 of the parts' MD5 digests, and how many there are. */
export function objectEtag(hashing: Hashing, parts: readonly UploadedPart[]): string {
  const digests = Buffer.concat(parts.map(({ etag }) => Buffer.from(etag, 'hex')));
  return `${toHex(hashing.hash('md5', digests))}-${parts.length}`;
}

/** The type that an upload gets when its creator names none. */
export function defaultChecksumType(algorithm: ChecksumAlgorithm): ObjectChecksum['type'] {
  return algorithm === 'CRC64NVME' ? 'FULL_OBJECT' : 'COMPOSITE';
}

/** Refuses what cannot be computed: the SHA of a whole does not follow from its parts, and CRC64NVME has no composite. */
export function checkChecksumType(
  algorithm: ChecksumAlgorithm | undefined,
  type: ObjectChecksum['type'] | undefined,
): void {
  if (type === undefined) return;
  if (algorithm === undefined) throw new SkerryError('InvalidArgument', 'a checksum type needs a checksum algorithm');
  const isPossible = type === 'FULL_OBJECT' ? isCombinable(algorithm) : algorithm !== 'CRC64NVME';
  if (!isPossible)
    throw new SkerryError(
      'InvalidArgument',
      `The ${type} checksum type cannot be used with the ${algorithm} checksum algorithm.`,
    );
}

/** The checksum of the completed object, if its parts carry one; compared with what the client expects. */
export function objectChecksum(
  hashing: Hashing,
  upload: Pick<UploadRecord, 'checksumAlgorithm' | 'checksumType'>,
  { checksum: expected }: Pick<CompleteUploadInput, 'checksum'>,
  parts: readonly UploadedPart[],
): ObjectChecksum | undefined {
  const algorithm = upload.checksumAlgorithm ?? expected?.algorithm;
  if (algorithm === undefined) return undefined;
  const type = upload.checksumType ?? expected?.type ?? defaultChecksumType(algorithm);
  checkChecksumType(algorithm, type);
  const isOther = expected !== undefined && (expected.algorithm !== algorithm || (expected.type ?? type) !== type);
  if (isOther)
    throw new SkerryError('InvalidArgument', `This upload has a ${type} checksum of type ${algorithm}`, {
      details: { reason: 'ChecksumTypeMismatch' },
    });
  const value = combine(hashing, algorithm, type, parts);
  // with or without the number of parts: clients send both
  if (expected !== undefined && expected.expected !== value && `${expected.expected}-${parts.length}` !== value) {
    throw new SkerryError('ChecksumMismatch', 'The checksum of the parts does not match the checksum that was given', {
      details: { which: 'checksum', expected: expected.expected, computed: value },
    });
  }
  return { algorithm, type, value };
}

function combine(
  hashing: Hashing,
  algorithm: ChecksumAlgorithm,
  type: ObjectChecksum['type'],
  parts: readonly UploadedPart[],
): string {
  const digests = parts.map(({ number, size, checksums }) => {
    const value = checksums.find((checksum) => checksum.algorithm === algorithm)?.value;
    if (value !== undefined) return { digest: Buffer.from(value, 'base64'), size };
    throw new SkerryError('InvalidArgument', `part ${number} was uploaded without a ${algorithm} checksum`, {
      details: { number },
    });
  });
  if (type === 'FULL_OBJECT') return toBase64(combineCrcs(algorithm, digests));
  const all = Buffer.concat(digests.map(({ digest }) => digest));
  return `${toBase64(hashing.hash(hashOf(algorithm), all))}-${parts.length}`;
}
