/**
 * The CRC of a whole from the CRCs of its parts, without their bytes: as zlib's `crc32_combine` (Mark Adler), for every width
 * and reflected polynomial. All three have all ones as initial value and final mask, which cancel out.
 */
import { SkerryError } from '../contracts/index.ts';
import type { ChecksumAlgorithm } from '../contracts/index.ts';

interface Crc {
  readonly bits: number;
  /** Reflected. */
  readonly polynomial: bigint;
}

const CRCS: Readonly<Partial<Record<ChecksumAlgorithm, Crc>>> = {
  CRC32: { bits: 32, polynomial: 0xedb88320n },
  CRC32C: { bits: 32, polynomial: 0x82f63b78n },
  CRC64NVME: { bits: 64, polynomial: 0x9a6c9329ac4bc9b5n },
};

/** True for checksums of a whole that follow from those of its parts. */
export function isCombinable(algorithm: ChecksumAlgorithm): boolean {
  return CRCS[algorithm] !== undefined;
}

export interface PartChecksum {
  /** Big-endian. */
  readonly digest: Uint8Array;
  /** Bytes of the part. */
  readonly size: number;
}

/** Big-endian digest of the parts one after another; at least one part. */
export function combineCrcs(algorithm: ChecksumAlgorithm, parts: readonly PartChecksum[]): Uint8Array {
  const crc = CRCS[algorithm];
  if (crc === undefined)
    throw new SkerryError('InvalidArgument', `${algorithm} of a whole does not follow from its parts`);
  // parts of one upload mostly have one size
  const shifts = new Map<number, bigint>();
  let whole = 0n;
  for (const { digest, size } of parts) {
    const shift = shifts.get(size) ?? powerOfX(crc, BigInt(size) * 8n);
    shifts.set(size, shift);
    whole = multiply(crc, shift, whole) ^ toNumber(digest);
  }
  return Buffer.from(whole.toString(16).padStart(crc.bits / 4, '0'), 'hex');
}

const toNumber = (digest: Uint8Array): bigint => BigInt(`0x${Buffer.from(digest).toString('hex')}`);

/** x^exponent modulo the polynomial; in reflected form the highest bit is x^0. */
function powerOfX(crc: Crc, exponent: bigint): bigint {
  let result = 1n << BigInt(crc.bits - 1);
  let square = 1n << BigInt(crc.bits - 2);
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = multiply(crc, square, result);
    square = multiply(crc, square, square);
  }
  return result;
}

/** a * b modulo the polynomial. */
function multiply({ bits, polynomial }: Crc, a: bigint, b: bigint): bigint {
  let product = 0n;
  let shifted = b;
  for (let bit = 1n << BigInt(bits - 1); bit > 0n && shifted > 0n; bit >>= 1n) {
    if ((a & bit) !== 0n) product ^= shifted;
    shifted = (shifted & 1n) === 1n ? (shifted >> 1n) ^ polynomial : shifted >> 1n;
  }
  return product;
}
