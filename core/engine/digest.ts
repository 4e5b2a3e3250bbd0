/**
 * The digest of a site's replicated state (rule 16), kept in the transaction of every change: 4,096 leaves, each the XOR of a
 * 128-bit hash of every entity in it (Bellare, Micciancio, "A New Paradigm for Collision-Free Hashing: Incrementality at
 * Reduced Cost", 1997: XOR finds damage and bugs, not an adversary who chooses entities). Equal vectors must give equal leaves.
 * Entities are live versions, versions that lost a conflict, buckets and registers; not removals, not what is local.
 */
import { hash } from 'node:crypto';
import type { MetaKey, VersionContent } from '../contracts/index.ts';
import { digestKey } from './keys.ts';
import type { BucketRecord, Register, VersionRecord } from './records.ts';
import type { Txn } from './txn.ts';

export const LEAVES = 4096;
const DIGEST_BYTES = 16;

/** 16 bytes. */
export type Digest = Uint8Array;

export const keyLeaf = (bucket: string, key: string): number => leafOf(`${bucket}\0${key}`);
/** The row that every change of a key writes. */
export const leafRow = (bucket: string, key: string): MetaKey => digestKey(keyLeaf(bucket, key));
export const bucketLeaf = (bucket: string): number => leafOf(`\0${bucket}`);
export const registerLeaf = (of: string, id: string): number => leafOf(`\0${of}\0${id}`);

/** FNV-1a over code units (Fowler, Noll, Vo), folded to 12 bits: only spread matters here. */
function leafOf(name: string): number {
  let sum = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) sum = Math.imul(sum ^ name.charCodeAt(i), 0x01000193);
  return (sum ^ (sum >>> 12) ^ (sum >>> 24)) & (LEAVES - 1);
}

/** `isLive` false: it lost the null-version register. */
export function versionDigest(bucket: string, key: string, version: VersionRecord, isLive: boolean): Digest {
  const { stamp, owner, modifiedAtMs, nullVersion, marker, content, settings } = version;
  return digestOf([
    isLive ? 'version' : 'lost',
    bucket,
    key,
    stamp,
    owner,
    modifiedAtMs,
    nullVersion === true,
    marker === true,
    content ? identityOf(content) : null,
    settings ? registersOf(settings) : [],
  ]);
}

const identityOf = ({ etag, size, manifest, partsManifest }: VersionContent): unknown => [
  etag,
  size,
  manifest.map(({ hash: chunk }) => chunk),
  partsManifest?.map(({ hash: chunk }) => chunk) ?? [],
];

/** A setting without a value is as one that was never set: what a removal left behind is forgotten at some time. */
export function bucketDigest(
  bucket: string,
  { stamp, owner, createdAtMs, objectLock, settings }: BucketRecord,
): Digest {
  const set = Object.fromEntries(Object.entries(settings).filter(([, { value }]) => value !== null));
  return digestOf(['bucket', bucket, stamp, owner, createdAtMs, objectLock === true, registersOf(set)]);
}

/** Nothing for a register without a value: that is the record of a removal. */
export function registerDigest(of: string, id: string, { value, stamp }: Register): Digest | undefined {
  return value === null ? undefined : digestOf(['register', of, id, stamp, value]);
}

function registersOf(registers: Readonly<Record<string, Register>>): unknown {
  return Object.keys(registers)
    .toSorted()
    .map((name) => [name, registers[name]?.stamp, registers[name]?.value]);
}

function digestOf(parts: readonly unknown[]): Digest {
  // hex: a third faster than asking for a buffer (Node 24)
  return Buffer.from(hash('sha256', JSON.stringify(parts), 'hex').slice(0, 2 * DIGEST_BYTES), 'hex');
}

export function xorDigests(a: Digest, b: Digest): Digest {
  const sum = Buffer.allocUnsafe(DIGEST_BYTES);
  for (let i = 0; i < DIGEST_BYTES; i++) sum[i] = (a[i] ?? 0) ^ (b[i] ?? 0);
  return sum;
}

export const isZero = (digest: Digest): boolean => digest.every((byte) => byte === 0);

/** The digest of one key while an op changes it: what is in it goes out, what is not comes in. */
export function toggled(sum: Digest | undefined, change: Digest): Digest {
  return sum ? xorDigests(sum, change) : change;
}

/** Adds what is not in a leaf, or takes out what is: the two are one. A leaf without entities has no row. */
export function toggleLeaf(txn: Txn, leaf: number, change: Digest): void {
  const row = digestKey(leaf);
  const known = txn.get(row);
  const next = toggled(known, change);
  txn.set(row, isZero(next) ? undefined : next);
}
