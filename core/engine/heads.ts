/** Head rows and the counters that follow them. */
import { counterKey, headKey } from './keys.ts';
import type { CounterRecord, HeadRecord } from './records.ts';
import type { Txn } from './txn.ts';

export const NO_COUNTS: CounterRecord = Object.freeze({ objects: 0, objectBytes: 0, versions: 0, versionBytes: 0 });

/** Replaces the head of a key (`undefined`: none is left) and keeps the bucket's counters true. */
export function setHead(
  txn: Txn,
  bucket: string,
  key: string,
  before: HeadRecord | undefined,
  next: HeadRecord | undefined,
): void {
  const row = headKey(bucket, key);
  if (next) txn.put(row, next);
  else txn.remove(row);
  const objects = visible(next) - visible(before);
  const bytes = size(next) - size(before);
  if (objects !== 0 || bytes !== 0) addCounts(txn, bucket, { ...NO_COUNTS, objects, objectBytes: bytes });
}

export function addVersions(txn: Txn, bucket: string, versions: number, versionBytes: number): void {
  addCounts(txn, bucket, { ...NO_COUNTS, versions, versionBytes });
}

const visible = (head: HeadRecord | undefined): number => (head && !head.marker ? 1 : 0);
const size = (head: HeadRecord | undefined): number => head?.content?.size ?? 0;

function addCounts(txn: Txn, bucket: string, delta: CounterRecord): void {
  const row = counterKey(bucket);
  const known = txn.record<CounterRecord>(row) ?? NO_COUNTS;
  const sum: CounterRecord = {
    objects: known.objects + delta.objects,
    objectBytes: known.objectBytes + delta.objectBytes,
    versions: known.versions + delta.versions,
    versionBytes: known.versionBytes + delta.versionBytes,
  };
  // No row is zero: so that a bucket that was emptied equals one that never held anything.
  if (Object.values(sum).every((value) => value === 0)) txn.remove(row);
  else txn.put(row, sum);
}
