/** Versions of a key inside a transaction. */
import { versionKey } from './keys.ts';
import type { HeadRecord, VersionRecord } from './records.ts';
import type { Txn } from './txn.ts';

/** The key's null version, wherever it is. */
export function findNull(
  txn: Txn,
  bucket: string,
  key: string,
  head: HeadRecord | undefined,
): VersionRecord | undefined {
  if (!head) return undefined;
  if (head.nullVersion) return head;
  return head.nullStamp === undefined ? undefined : txn.record<VersionRecord>(versionKey(bucket, key, head.nullStamp));
}

/** One version of a key by stamp, wherever it is. */
export function findVersion(
  txn: Txn,
  bucket: string,
  key: string,
  head: HeadRecord | undefined,
  stamp: string,
): VersionRecord | undefined {
  if (!head) return undefined;
  return head.stamp === stamp ? head : txn.record<VersionRecord>(versionKey(bucket, key, stamp));
}
