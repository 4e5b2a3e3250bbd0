/** Buckets and their settings. */
import {
  SkerryError,
  type BucketInfo,
  type BucketSettingName,
  type Json,
  type ListPage,
  type MetaReader,
  type ObjectService,
  type Versioning,
} from '../contracts/index.ts';
import type { Committer } from './committer.ts';
import { bucketLeaf } from './digest.ts';
import { bucketKey, bucketTombstoneKey, digestKey, prefixEnd } from './keys.ts';
import { decodeRecord, type BucketRecord } from './records.ts';
import type { Txn } from './txn.ts';

export type BucketOperations = Pick<ObjectService, 'listBuckets' | 'createBucket' | 'getBucket' | 'putBucketSetting'>;

/** Under Object Lock it is on whatever was set: a bucket that came back after its removal may have lost the setting, never the lock. */
export function versioningOf(record: BucketRecord): Versioning {
  if (record.objectLock === true) return 'Enabled';
  const value = record.settings.versioning?.value;
  return value === 'Enabled' || value === 'Suspended' ? value : 'Off';
}

export const noSuchBucket = (bucket: string): SkerryError =>
  new SkerryError('NoSuchBucket', 'The specified bucket does not exist', { details: { bucket } });

/** The bucket as a decision sees it. */
export function bucketIn(txn: Txn, bucket: string): BucketRecord {
  const record = txn.record<BucketRecord>(bucketKey(bucket));
  if (!record) throw noSuchBucket(bucket);
  return record;
}

function bucketInfo(name: string, record: BucketRecord): BucketInfo {
  const settings: Partial<Record<BucketSettingName, Json>> = {};
  for (const [setting, register] of Object.entries(record.settings)) {
    if (register.value !== null) settings[setting as BucketSettingName] = register.value;
  }
  return Object.freeze({
    name,
    owner: record.owner,
    createdAtMs: record.createdAtMs,
    versioning: versioningOf(record),
    objectLock: record.objectLock === true,
    settings,
  });
}

/**
 * Parsed buckets by their stored bytes: a request reads the row (so no other process can leave it stale) but parses it only
 * when it changed.
 */
function createInfoCache(): (name: string, value: Uint8Array) => BucketInfo {
  const cache = new Map<string, { readonly value: Uint8Array; readonly info: BucketInfo }>();
  return (name, value) => {
    const known = cache.get(name);
    if (known && Buffer.compare(known.value, value) === 0) return known.info;
    const info = bucketInfo(name, decodeRecord<BucketRecord>(value));
    if (cache.size >= 1000) cache.clear();
    cache.set(name, { value, info });
    return info;
  };
}

export function createBuckets({
  reader,
  committer,
}: {
  readonly reader: MetaReader;
  readonly committer: Committer;
}): BucketOperations {
  const infoOf = createInfoCache();
  return {
    async getBucket(bucket) {
      const [value] = await reader.get([bucketKey(bucket)]);
      if (!value) throw noSuchBucket(bucket);
      return infoOf(bucket, value);
    },
    createBucket: ({ bucket, owner, objectLock, settings }) =>
      committer.commit({
        reads: { keys: [bucketKey(bucket), bucketTombstoneKey(bucket), digestKey(bucketLeaf(bucket))] },
        appended: [],
        decide({ txn, nowMs, author }) {
          const known = txn.record<BucketRecord>(bucketKey(bucket));
          if (known) refuseExisting(bucket, known, owner);
          author({ type: 'bucket.create', bucket, owner, createdAtMs: nowMs, ...(objectLock ? { objectLock } : {}) });
          for (const [name, value] of Object.entries(settings ?? {})) {
            author({ type: 'bucket.setting', bucket, name: name as BucketSettingName, value });
          }
          return bucketInfo(bucket, bucketIn(txn, bucket));
        },
      }),
    putBucketSetting: (bucket, name, value) =>
      committer.commit({
        reads: { keys: [bucketKey(bucket), digestKey(bucketLeaf(bucket))] },
        appended: [],
        decide({ txn, author }) {
          bucketIn(txn, bucket);
          if (name === 'versioning' && value !== 'Enabled' && value !== 'Suspended') {
            throw new SkerryError('InvalidArgument', 'versioning must be Enabled or Suspended');
          }
          author({ type: 'bucket.setting', bucket, name, value });
        },
      }),
    listBuckets: (input) => listBuckets(reader, infoOf, input),
  };
}

function refuseExisting(bucket: string, known: BucketRecord, owner: string): never {
  throw known.owner === owner
    ? new SkerryError('BucketAlreadyOwnedByYou', 'The bucket you tried to create already exists, and you own it', {
        details: { bucket },
      })
    : new SkerryError('BucketAlreadyExists', 'The requested bucket name is not available', { details: { bucket } });
}

async function listBuckets(
  reader: MetaReader,
  infoOf: (name: string, value: Uint8Array) => BucketInfo,
  { owner, prefix = '', after, limit }: Parameters<ObjectService['listBuckets']>[0],
): Promise<ListPage<BucketInfo>> {
  const start = Buffer.from(prefix);
  const to = prefixEnd(start);
  const entries: BucketInfo[] = [];
  const follow = after === undefined ? undefined : Buffer.from(`${after}\0`);
  let from: Buffer | undefined = follow && Buffer.compare(follow, start) > 0 ? follow : start;
  while (from && entries.length <= limit) {
    const rows = await reader.scan({ space: 'buckets', from, ...(to ? { to } : {}), limit: 1000 });
    for (const row of rows) {
      const info = infoOf(Buffer.from(row.key).toString('utf8'), row.value);
      if (owner === undefined || info.owner === owner) entries.push(info);
    }
    const last = rows.at(-1);
    from = rows.length === 1000 && last ? Buffer.concat([last.key, Buffer.of(0)]) : undefined;
  }
  const truncated = entries.length > limit;
  const page = entries.slice(0, limit);
  const next = page.at(-1)?.name;
  return { entries: page, commonPrefixes: [], truncated, ...(truncated && next !== undefined ? { next } : {}) };
}
