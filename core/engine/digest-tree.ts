/** Reading the digest: leaves as commits have kept them, entities as they are, and the count that checks the one by the other. */
import { hash } from 'node:crypto';
import type { MetaReader, MetaStore, Stamp, VersionVector } from '../contracts/index.ts';
import { readVector } from './clock-row.ts';
import { readEntities, type CutEntity } from './cut-entities.ts';
import {
  LEAVES,
  bucketDigest,
  bucketLeaf,
  isZero,
  keyLeaf,
  registerDigest,
  registerLeaf,
  toggled,
  versionDigest,
  type Digest,
} from './digest.ts';
import { bucketKey } from './keys.ts';

/** Where an entity is in the digest. Versions of one key, live or lost, share a leaf. */
export type EntityPath =
  | { readonly kind: 'version'; readonly bucket: string; readonly key: string; readonly stamp: Stamp }
  | { readonly kind: 'bucket'; readonly bucket: string }
  /** `of`: `principal`, `policy`, `member`. */
  | { readonly kind: 'register'; readonly of: string; readonly id: string };

export interface EntityDigest {
  readonly path: EntityPath;
  readonly leaf: number;
  /** Of the put, the creation, the register's value. */
  readonly stamp: Stamp;
  /** Hex. */
  readonly digest: string;
}

/** Leaves that hold something, by number. */
export type DigestLeaves = ReadonlyMap<number, string>;

/** The leaves as commits have kept them, hex. */
export async function digestLeaves(reader: MetaReader): Promise<DigestLeaves> {
  const rows = await reader.scan({ space: 'digest', limit: LEAVES });
  return new Map(rows.map(({ key, value }) => [Buffer.from(key).readUInt16BE(0), Buffer.from(value).toString('hex')]));
}

/** One value for all: SHA-256 over the leaves, hex. */
export function rootOf(leaves: DigestLeaves): string {
  const sorted = [...leaves].toSorted(([a], [b]) => a - b);
  return hash('sha256', sorted.map(([leaf, digest]) => `${leaf}:${digest}\n`).join(''), 'hex');
}

export async function digestRoot(reader: MetaReader): Promise<string> {
  return rootOf(await digestLeaves(reader));
}

/** What a site has seen and the digest of what it made of it, of one moment. */
export async function digestAtVector(
  metaStore: Pick<MetaStore, 'snapshot'>,
): Promise<{ readonly vector: VersionVector; readonly digest: string }> {
  await using cut = await metaStore.snapshot();
  return { vector: await readVector(cut), digest: await digestRoot(cut) };
}

/** Entities of these leaves (all, if not given), by a scan of the whole state. The reader must be a snapshot. */
export async function* digestEntities(reader: MetaReader, leaves?: ReadonlySet<number>): AsyncGenerator<EntityDigest> {
  for await (const entity of readEntities(reader)) {
    const found = await digestOf(reader, entity);
    if (found && (!leaves || leaves.has(found.leaf))) yield found;
  }
}

/** `undefined` for what the digest does not cover. The reader must be the snapshot that the entity is of. */
export async function digestOf(reader: MetaReader, entity: CutEntity): Promise<EntityDigest | undefined> {
  const isCovered = entity.kind !== 'bucket' || (await exists(reader, entity.bucket));
  return isCovered ? entityDigest(entity) : undefined;
}

/** What is remembered of a bucket that was removed is no entity. */
async function exists(reader: MetaReader, bucket: string): Promise<boolean> {
  const [row] = await reader.get([bucketKey(bucket)]);
  return row !== undefined;
}

/** The leaves as they must be, counted from the entities. The reader must be a snapshot. */
export async function recount(reader: MetaReader): Promise<DigestLeaves> {
  const sums = new Map<number, Digest>();
  for await (const { leaf, digest } of digestEntities(reader)) {
    sums.set(leaf, toggled(sums.get(leaf), Buffer.from(digest, 'hex')));
  }
  const counted = [...sums].filter(([, digest]) => !isZero(digest));
  return new Map(counted.map(([leaf, digest]) => [leaf, Buffer.from(digest).toString('hex')]));
}

function entityDigest(entity: CutEntity): EntityDigest | undefined {
  switch (entity.kind) {
    case 'version': {
      const { bucket, key, version, live } = entity;
      const { stamp } = version;
      const digest = versionDigest(bucket, key, version, live);
      return found({ kind: 'version', bucket, key, stamp }, stamp, digest);
    }
    case 'bucket': {
      const { bucket, record } = entity;
      return found({ kind: 'bucket', bucket }, record.stamp, bucketDigest(bucket, record));
    }
    case 'register': {
      const { of, id, register } = entity;
      const digest = registerDigest(of, id, register);
      return digest && found({ kind: 'register', of, id }, register.stamp, digest);
    }
    case 'tombstone':
      return undefined;
  }
}

/** The leaf that an entity is in. */
export function leafOfPath(path: EntityPath): number {
  switch (path.kind) {
    case 'version':
      return keyLeaf(path.bucket, path.key);
    case 'bucket':
      return bucketLeaf(path.bucket);
    case 'register':
      return registerLeaf(path.of, path.id);
  }
}

const found = (path: EntityPath, stamp: Stamp, digest: Digest): EntityDigest => ({
  path,
  leaf: leafOfPath(path),
  stamp,
  digest: Buffer.from(digest).toString('hex'),
});
