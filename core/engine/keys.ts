/**
 * Row keys of the meta-store: byte strings whose order is the order that listings and scans need. Strings inside a key
 * that are not last are escaped as in FoundationDB's tuple layer (0x00 -> 0x00 0xFF, end 0x00), which keeps byte order.
 */
import type { ChunkHash, MetaKey, MetaSpace, Origin, Stamp } from '../contracts/index.ts';

const utf8 = (text: string): Buffer => Buffer.from(text, 'utf8');

function escaped(text: string): Buffer {
  const bytes = utf8(text);
  if (!bytes.includes(0)) return bytes;
  const out: number[] = [];
  for (const byte of bytes) {
    out.push(byte);
    if (byte === 0) out.push(0xff);
  }
  return Buffer.from(out);
}

const END = Buffer.of(0);

/** `last` stands as it is: text, or bytes that are not UTF-8. */
function tuple(parts: readonly string[], last: string | Buffer): Buffer {
  const isPlain = typeof last === 'string' && !parts.some((part) => part.includes('\0'));
  if (isPlain) return utf8(`${parts.join('\0')}\0${last}`);
  const pieces: Buffer[] = [];
  for (const part of parts) pieces.push(escaped(part), END);
  pieces.push(typeof last === 'string' ? utf8(last) : last);
  return Buffer.concat(pieces);
}

/** Complement of a stamp's bytes: newest first in key order. */
const descending = (stamp: Stamp): Buffer => complement(Buffer.from(stamp, 'latin1'));

/** The stamp of a complement; takes the bytes. */
const stampOf = (descended: Buffer): Stamp => complement(descended).toString('latin1');

function complement(bytes: Buffer): Buffer {
  for (let i = 0; i < bytes.length; i++) bytes[i] = 0xff - (bytes[i] ?? 0);
  return bytes;
}

const at = (space: MetaSpace, key: Uint8Array): MetaKey => ({ space, key });

export const clockKey: MetaKey = at('site', utf8('clock'));
/** Highest `seq` by origin that the oplog no longer holds. */
export const trimmedKey: MetaKey = at('site', utf8('trimmed'));
/** A snapshot of a peer that is being merged, and how far that is. */
export const mergingKey: MetaKey = at('site', utf8('merging'));
/** What a rebuild of the index could not bring back. */
export const lossesKey: MetaKey = at('site', utf8('losses'));
/** What each origin last reported of itself. */
export const watermarkKey = (origin: Origin): MetaKey => at('peers', tuple(['watermark'], origin));
export const watermarkPrefix = (): Buffer => tuple(['watermark'], '');
/** What a peer may still ask for. */
export const leaseKey = (peer: Origin): MetaKey => at('peers', tuple(['lease'], peer));
export const leasePrefix = (): Buffer => tuple(['lease'], '');
/** How far the log of ops next to the data goes. */
export const opLogKey: MetaKey = at('site', utf8('opLog'));
export const bucketKey = (bucket: string): MetaKey => at('buckets', utf8(bucket));
export const counterKey = (bucket: string): MetaKey => at('counters', utf8(bucket));
export const registerKey = (kind: string, id: string): MetaKey => at('registers', tuple([kind], id));

/** Bucket names hold no NUL, so the object key may follow raw and is the rest of the row key. */
export const headKey = (bucket: string, key: string): MetaKey => at('heads', utf8(`${bucket}\0${key}`));
export const headPrefix = (bucket: string): Buffer => utf8(`${bucket}\0`);
/** The object key of a `heads` row, as bytes. */
export const headObjectKey = (bucket: string, row: Uint8Array): Buffer =>
  Buffer.from(
    row.buffer,
    row.byteOffset + Buffer.byteLength(bucket) + 1,
    row.byteLength - Buffer.byteLength(bucket) - 1,
  );

/** Superseded versions: (bucket, key, stamp descending). */
export const versionKey = (bucket: string, key: string, stamp: Stamp): MetaKey =>
  at('versions', tuple([bucket, key], descending(stamp)));
export const versionPrefix = (bucket: string, key: string): Buffer => tuple([bucket, key], '');
export const versionBucketPrefix = (bucket: string): Buffer => tuple([bucket], '');
/** Splits a `versions` row key of a known bucket. */
export function parseVersionKey(bucket: string, row: Uint8Array): { readonly key: Buffer; readonly stamp: Stamp } {
  const { key, rest } = splitKey(bucket, row);
  return { key, stamp: stampOf(rest) };
}

/** Splits an `uploads` row key of a known bucket. */
export function parseUploadKey(bucket: string, row: Uint8Array): { readonly key: Buffer; readonly uploadId: string } {
  const { key, rest } = splitKey(bucket, row);
  return { key, uploadId: rest.toString('utf8') };
}

/** Copies the object key and what follows it out of a (bucket, key, rest) tuple. */
function splitKey(bucket: string, row: Uint8Array): { readonly key: Buffer; readonly rest: Buffer } {
  const bytes: number[] = [];
  let i = Buffer.byteLength(bucket) + 1;
  for (; i < row.length; i++) {
    const byte = row[i] ?? 0;
    if (byte === 0) {
      if (row[i + 1] !== 0xff) break;
      i++;
    }
    bytes.push(byte);
  }
  return { key: Buffer.from(bytes), rest: Buffer.from(row.subarray(i + 1)) };
}

/**
 * Where the rows of object keys from `key` on begin in (bucket, key, ...) tuples. Its `prefixEnd` is where those whose key
 * starts with `key` end.
 */
export const keyPosition = (bucket: string, key: string): Buffer => tuple([bucket], escaped(key));

/** Tombstone of one version (`target` its stamp) or of the null-version register (`target` null). */
export const tombstoneKey = (bucket: string, key: string, target: Stamp | null): MetaKey =>
  at('tombstones', tuple(['version', bucket, key], target === null ? NULL_TARGET : descending(target)));
/** Before every complement of a stamp. */
const NULL_TARGET = Buffer.from('null', 'latin1');
/** All tombstones of versions: (bucket, key, target), that of the null version first, then newest first as versions are. */
export const tombstonePrefix = (): Buffer => tuple(['version'], '');
export const tombstoneBucketPrefix = (bucket: string): Buffer => tuple(['version', bucket], '');
/** Splits a row key under `tombstonePrefix`. */
export function parseTombstoneKey(row: Uint8Array): {
  readonly bucket: string;
  readonly key: string;
  readonly target: Stamp | null;
} {
  const tail = row.subarray(tombstonePrefix().length);
  const bucket = bucketOf(tail);
  const { key, rest } = splitKey(bucket, tail);
  return { bucket, key: key.toString('utf8'), target: rest.equals(NULL_TARGET) ? null : stampOf(rest) };
}

/** The bucket of a row key that starts with one. */
export const bucketOf = (row: Uint8Array): string => Buffer.from(row.subarray(0, row.indexOf(0))).toString('utf8');

/** Versions that lost to one they had not seen: (bucket, key, stamp descending). */
export const conflictKey = (bucket: string, key: string, stamp: Stamp): MetaKey =>
  at('conflicts', tuple([bucket, key], descending(stamp)));
export const conflictBucketPrefix = (bucket: string): Buffer => tuple([bucket], '');
export const conflictPrefix = (bucket: string, key: string): Buffer => tuple([bucket, key], '');

export const bucketTombstoneKey = (bucket: string): MetaKey => at('tombstones', tuple(['bucket'], bucket));
export const bucketTombstonePrefix = (): Buffer => tuple(['bucket'], '');

export const oplogKey = (origin: Origin, seq: number): MetaKey => {
  const tail = Buffer.alloc(6);
  tail.writeUIntBE(seq, 0, 6);
  return at('oplog', tuple([origin], tail));
};
export const oplogPrefix = (origin: Origin): Buffer => tuple([origin], '');

/** A leaf of the digest by its number, 0 to 4,095. */
export const digestKey = (leaf: number): MetaKey => at('digest', Buffer.of(leaf >>> 8, leaf & 0xff));

export const chunkKey = (hash: ChunkHash): MetaKey => at('chunks', utf8(hash));
/** One row for each holder of a chunk; a chunk without any is garbage. */
export const refKey = (hash: ChunkHash, owner: string): MetaKey => at('refs', tuple([hash], owner));
export const refPrefix = (hash: ChunkHash): Buffer => tuple([hash], '');
/** The chunk that a `refs` row holds. */
export const refHash = (row: Uint8Array): ChunkHash => Buffer.from(row.subarray(0, row.indexOf(0))).toString('utf8');
export const refOwner = {
  version: (stamp: Stamp): string => `v${stamp}`,
  node: (hash: ChunkHash): string => `n${hash}`,
  part: (uploadId: string, number: number): string => `u${uploadId}/${number}`,
} as const;
/** Pending versions, oldest first: their bytes have to be fetched from a peer. */
export const fetchKey = (stamp: Stamp): MetaKey => at('queues', tuple(['fetch'], stamp));
export const fetchPrefix = (): Buffer => tuple(['fetch'], '');
/** Versions that lost a conflict, as this site has noted them. */
export const loserKey = (stamp: Stamp): MetaKey => at('queues', tuple(['loser'], stamp));
export const loserPrefix = (): Buffer => tuple(['loser'], '');
/** Chunks that lost a holder and may be garbage now. */
export const garbageKey = (hash: ChunkHash): MetaKey => at('queues', tuple(['garbage'], hash));
export const garbagePrefix = (): Buffer => tuple(['garbage'], '');

export const uploadKey = (bucket: string, key: string, uploadId: string): MetaKey =>
  at('uploads', tuple([bucket, key], uploadId));
export const uploadBucketPrefix = (bucket: string): Buffer => tuple([bucket], '');
/** What a completed upload answered; no bucket has an empty name. */
export const completedUploadKey = (uploadId: string): MetaKey => at('uploads', tuple(['', 'completed'], uploadId));
export const completedUploadPrefix = (): Buffer => tuple(['', 'completed'], '');
/** Uploads that are over and whose parts have still to be let go of. */
/** An op that was applied before what it had seen. */
export const earlyKey = (stamp: Stamp): MetaKey => at('queues', tuple(['early'], stamp));
export const earlyPrefix = (): Buffer => tuple(['early'], '');
export const endedUploadKey = (uploadId: string): MetaKey => at('queues', tuple(['endedUpload'], uploadId));
export const endedUploadPrefix = (): Buffer => tuple(['endedUpload'], '');
export const partKey = (uploadId: string, number: number): MetaKey => {
  const tail = Buffer.alloc(2);
  tail.writeUInt16BE(number);
  return at('parts', tuple([uploadId], tail));
};
export const partPrefix = (uploadId: string): Buffer => tuple([uploadId], '');

/**
 * Bounds of all rows whose tuple starts with the complete elements of `prefix` (one of the `...Prefix` functions). What follows
 * an element never starts with 0xFF, except where an escaped NUL goes on with another, longer element: that is not ours.
 */
export const tupleRange = (prefix: Uint8Array): { readonly from: Uint8Array; readonly to: Uint8Array } => ({
  from: prefix,
  to: Buffer.concat([prefix, Buffer.of(0xff)]),
});

/** The smallest byte string after everything that starts with `prefix`; `undefined` when there is none (all 0xFF). */
export function prefixEnd(prefix: Uint8Array): Buffer | undefined {
  let length = prefix.length;
  while (length > 0 && prefix[length - 1] === 0xff) length--;
  if (length === 0) return undefined;
  const end = Buffer.from(prefix.subarray(0, length));
  end[length - 1] = (end[length - 1] ?? 0) + 1;
  return end;
}

/** The smallest byte string after `key`. */
export const after = (key: Uint8Array): Buffer => Buffer.concat([key, END]);
