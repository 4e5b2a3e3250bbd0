/**
 * Bytes of a segment file, as docs/data-format/chunks-fs.md has them. All integers little-endian. Encoders and parsers are
 * pure; a parser answers `undefined` for anything that is not exactly what an encoder made.
 */
import { crc32 } from 'node:zlib';
import type { ChunkHash, RecordKind } from '../../core/contracts/index.ts';

export const FORMAT_VERSION = 1;
export const SEGMENT_HEADER_BYTES = 32;
export const TRAILER_BYTES = 40;
export const INDEX_ENTRY_BYTES = 12;
/** Data is checked in blocks of this many bytes; the last block of a record may be shorter. */
export const BLOCK_BYTES = 64 * 1024;
export const RECORD_DATA_MAX_BYTES = 16 * 1024 * 1024;
/** Records begin at multiples of this, so that a search for the next one after damage is quick. */
export const ALIGN_BYTES = 8;
/** Offsets are 32 bits. */
export const SEGMENT_MAX_BYTES = 2 ** 32 - 1;

const SEGMENT_MAGIC = Buffer.from('SKERSEG1', 'latin1');
const TRAILER_MAGIC = Buffer.from('SKEREND1', 'latin1');
export const RECORD_MAGIC = Buffer.from('SKR1', 'latin1');
const RECORD_MAGIC_NUMBER = RECORD_MAGIC.readUInt32LE(0);
const RECORD_FIXED_BYTES = 20;
const CRC_BYTES = 4;
const HASH_TEXT_MAX_BYTES = 255;
export const RECORD_HEADER_MAX_BYTES =
  RECORD_FIXED_BYTES + HASH_TEXT_MAX_BYTES + 4 * (RECORD_DATA_MAX_BYTES / BLOCK_BYTES) + CRC_BYTES + ALIGN_BYTES;

const KINDS: readonly RecordKind[] = ['data', 'node', 'op'];
const HASH_TEXT = 0;
const HASH_SHA256 = 1;
const SHA256_PATTERN = /^sha256:[0-9a-f]{64}$/u;

export interface SegmentHeader {
  readonly number: number;
  /** Random; seeds the CRC of every record header here, so that no bytes from elsewhere pass for a record. */
  readonly salt: number;
}

export interface Trailer extends SegmentHeader {
  readonly indexOffset: number;
  readonly recordCount: number;
  /** Sum of the records' bytes, headers included. */
  readonly recordBytes: number;
  readonly indexCrc: number;
}

export interface IndexEntry {
  readonly offset: number;
  readonly headerLength: number;
  readonly dataLength: number;
}

export interface RecordHeader extends IndexEntry {
  readonly kind: RecordKind;
  readonly hash: ChunkHash;
  /** CRC32 of each block of data. */
  readonly blockCrcs: readonly number[];
}

export function encodeSegmentHeader(header: SegmentHeader): Buffer {
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
  SEGMENT_MAGIC.copy(bytes, 0);
  bytes.writeUInt16LE(FORMAT_VERSION, 8);
  bytes.writeUInt16LE(SEGMENT_HEADER_BYTES, 10);
  bytes.writeUInt32LE(BLOCK_BYTES, 12);
  bytes.writeUIntLE(header.number, 16, 6);
  bytes.writeUInt32LE(header.salt, 24);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 28)), 28);
  return bytes;
}

export function parseSegmentHeader(bytes: Buffer): SegmentHeader | undefined {
  if (bytes.length < SEGMENT_HEADER_BYTES || !bytes.subarray(0, 8).equals(SEGMENT_MAGIC)) return undefined;
  if (bytes.readUInt16LE(8) !== FORMAT_VERSION || bytes.readUInt32LE(12) !== BLOCK_BYTES) return undefined;
  if (bytes.readUInt32LE(28) !== crc32(bytes.subarray(0, 28))) return undefined;
  return { number: bytes.readUIntLE(16, 6), salt: bytes.readUInt32LE(24) };
}

/** Index of a segment followed by its trailer. */
export function encodeFooter(header: SegmentHeader, indexOffset: number, entries: readonly IndexEntry[]): Buffer {
  const indexBytes = entries.length * INDEX_ENTRY_BYTES;
  const bytes = Buffer.alloc(indexBytes + TRAILER_BYTES);
  let recordBytes = 0;
  for (const [position, entry] of entries.entries()) {
    const at = position * INDEX_ENTRY_BYTES;
    bytes.writeUInt32LE(entry.offset, at);
    bytes.writeUInt32LE(entry.headerLength, at + 4);
    bytes.writeUInt32LE(entry.dataLength, at + 8);
    recordBytes += entry.headerLength + entry.dataLength;
  }
  const trailer = bytes.subarray(indexBytes);
  TRAILER_MAGIC.copy(trailer, 0);
  trailer.writeUIntLE(header.number, 8, 6);
  trailer.writeUInt16LE(FORMAT_VERSION, 14);
  trailer.writeUInt32LE(header.salt, 16);
  trailer.writeUInt32LE(indexOffset, 20);
  trailer.writeUInt32LE(entries.length, 24);
  trailer.writeUInt32LE(recordBytes, 28);
  trailer.writeUInt32LE(crc32(bytes.subarray(0, indexBytes)), 32);
  trailer.writeUInt32LE(crc32(trailer.subarray(0, 36)), 36);
  return bytes;
}

/** `bytes`: the last TRAILER_BYTES of a file of `fileSize` bytes. */
export function parseTrailer(bytes: Buffer, fileSize: number): Trailer | undefined {
  if (bytes.length !== TRAILER_BYTES || !bytes.subarray(0, 8).equals(TRAILER_MAGIC)) return undefined;
  if (bytes.readUInt16LE(14) !== FORMAT_VERSION || bytes.readUInt32LE(36) !== crc32(bytes.subarray(0, 36))) {
    return undefined;
  }
  const trailer = {
    number: bytes.readUIntLE(8, 6),
    salt: bytes.readUInt32LE(16),
    indexOffset: bytes.readUInt32LE(20),
    recordCount: bytes.readUInt32LE(24),
    recordBytes: bytes.readUInt32LE(28),
    indexCrc: bytes.readUInt32LE(32),
  };
  const isWhole = trailer.indexOffset + trailer.recordCount * INDEX_ENTRY_BYTES + TRAILER_BYTES === fileSize;
  return isWhole ? trailer : undefined;
}

/** `undefined` when the bytes are not the index that `trailer` describes. */
export function parseIndex(bytes: Buffer, trailer: Trailer): IndexEntry[] | undefined {
  if (bytes.length !== trailer.recordCount * INDEX_ENTRY_BYTES || crc32(bytes) !== trailer.indexCrc) return undefined;
  return Array.from({ length: trailer.recordCount }, (_, position) => ({
    offset: bytes.readUInt32LE(position * INDEX_ENTRY_BYTES),
    headerLength: bytes.readUInt32LE(position * INDEX_ENTRY_BYTES + 4),
    dataLength: bytes.readUInt32LE(position * INDEX_ENTRY_BYTES + 8),
  }));
}

interface StoredHash {
  readonly algorithm: number;
  readonly bytes: Buffer;
}

function encodeHash(hash: ChunkHash): StoredHash | undefined {
  if (SHA256_PATTERN.test(hash)) return { algorithm: HASH_SHA256, bytes: Buffer.from(hash.slice(7), 'hex') };
  const text = Buffer.from(hash, 'utf8');
  return text.length > 0 && text.length <= HASH_TEXT_MAX_BYTES ? { algorithm: HASH_TEXT, bytes: text } : undefined;
}

function decodeHash(algorithm: number, bytes: Buffer): ChunkHash | undefined {
  if (algorithm === HASH_SHA256 && bytes.length === 32) return `sha256:${bytes.toString('hex')}`;
  return algorithm === HASH_TEXT && bytes.length > 0 ? bytes.toString('utf8') : undefined;
}

/** CRC32 of each block of the pieces' concatenation. */
export function blockCrcsOf(pieces: readonly Uint8Array[]): number[] {
  const crcs: number[] = [];
  let crc = 0;
  let filled = 0;
  for (const piece of pieces) {
    for (let at = 0; at < piece.length;) {
      const take = Math.min(BLOCK_BYTES - filled, piece.length - at);
      crc = crc32(take === piece.length ? piece : piece.subarray(at, at + take), crc);
      at += take;
      filled += take;
      if (filled === BLOCK_BYTES) {
        crcs.push(crc);
        crc = 0;
        filled = 0;
      }
    }
  }
  if (filled > 0) crcs.push(crc);
  return crcs;
}

/** A record ready for writing but for its place: what does not depend on the segment is computed once. */
export interface PreparedRecord {
  readonly kindCode: number;
  readonly hash: StoredHash;
  readonly data: readonly Uint8Array[];
  readonly dataLength: number;
  readonly headerLength: number;
  readonly blockCrcs: readonly number[];
}

/** `undefined` when kind or hash cannot be stored. */
export function prepareRecord(
  kind: RecordKind,
  hash: ChunkHash,
  data: readonly Uint8Array[],
): PreparedRecord | undefined {
  const kindCode = KINDS.indexOf(kind) + 1;
  const stored = encodeHash(hash);
  if (kindCode === 0 || stored === undefined) return undefined;
  const blockCrcs = blockCrcsOf(data);
  const dataLength = data.reduce((sum, piece) => sum + piece.length, 0);
  const unpadded = RECORD_FIXED_BYTES + stored.bytes.length + 4 * blockCrcs.length + CRC_BYTES;
  const padding = (ALIGN_BYTES - ((unpadded + dataLength) % ALIGN_BYTES)) % ALIGN_BYTES;
  return { kindCode, hash: stored, data, dataLength, headerLength: unpadded + padding, blockCrcs };
}

/** Fills `into`, which must have the record's `headerLength` bytes. */
export function encodeRecordHeader(into: Buffer, record: PreparedRecord, offset: number, salt: number): void {
  into.writeUInt32LE(RECORD_MAGIC_NUMBER, 0);
  into.writeUInt16LE(record.headerLength, 4);
  into[6] = record.kindCode;
  into[7] = 0;
  into.writeUInt32LE(record.dataLength, 8);
  into.writeUInt32LE(offset, 12);
  into[16] = record.hash.algorithm;
  into[17] = record.hash.bytes.length;
  into.writeUInt16LE(0, 18);
  into.set(record.hash.bytes, RECORD_FIXED_BYTES);
  let at = RECORD_FIXED_BYTES + record.hash.bytes.length;
  for (const crc of record.blockCrcs) at = into.writeUInt32LE(crc, at);
  const crcAt = record.headerLength - CRC_BYTES;
  into.fill(0, at, crcAt);
  into.writeUInt32LE(crc32(into.subarray(0, crcAt), salt), crcAt);
}

/** Header length that the first bytes of a record claim, unchecked; `undefined` when they are no record's. */
export function claimedHeaderLength(bytes: Buffer): number | undefined {
  if (bytes.length < RECORD_FIXED_BYTES || bytes.readUInt32LE(0) !== RECORD_MAGIC_NUMBER) return undefined;
  const length = bytes.readUInt16LE(4);
  return length > RECORD_FIXED_BYTES && length <= RECORD_HEADER_MAX_BYTES ? length : undefined;
}

/** `bytes` begin with the header of the record at `offset`. */
export function parseRecordHeader(bytes: Buffer, offset: number, salt: number): RecordHeader | undefined {
  const headerLength = claimedHeaderLength(bytes);
  if (headerLength === undefined || bytes.length < headerLength) return undefined;
  const crcAt = headerLength - CRC_BYTES;
  if (crc32(bytes.subarray(0, crcAt), salt) !== bytes.readUInt32LE(crcAt)) return undefined;
  const dataLength = bytes.readUInt32LE(8);
  const blockCount = Math.ceil(dataLength / BLOCK_BYTES);
  const crcsAt = RECORD_FIXED_BYTES + (bytes[17] ?? 0);
  const kind = KINDS[(bytes[6] ?? 0) - 1];
  if (bytes.readUInt32LE(12) !== offset || bytes[7] !== 0 || kind === undefined) return undefined;
  if (dataLength > RECORD_DATA_MAX_BYTES || crcsAt + 4 * blockCount > crcAt) return undefined;
  const hash = decodeHash(bytes[16] ?? HASH_TEXT, bytes.subarray(RECORD_FIXED_BYTES, crcsAt));
  if (hash === undefined) return undefined;
  const blockCrcs: number[] = [];
  for (let block = 0; block < blockCount; block += 1) blockCrcs.push(bytes.readUInt32LE(crcsAt + 4 * block));
  return { offset, headerLength, dataLength, kind, hash, blockCrcs };
}

/** Whether `bytes`, which begin at block `firstBlock`, are what was stored. They end at a block's or the data's end. */
export function blocksMatch(bytes: Uint8Array, blockCrcs: readonly number[], firstBlock: number): boolean {
  if (bytes.length <= BLOCK_BYTES) return bytes.length === 0 || crc32(bytes) === blockCrcs[firstBlock];
  for (let at = 0, block = firstBlock; at < bytes.length; at += BLOCK_BYTES, block += 1) {
    if (crc32(bytes.subarray(at, at + BLOCK_BYTES)) !== blockCrcs[block]) return false;
  }
  return true;
}
