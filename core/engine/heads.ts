/** Head rows and the counters that follow them. */
import { contentChanged } from './bucket-state.ts';
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

/** Counts versions that lost the null-version register. */
export function addLosers(txn: Txn, bucket: string, losers: number): void {
  addCounts(txn, bucket, { ...NO_COUNTS, losers });
}

/** A bucket without any content has no row: so that one that was emptied equals one that never held anything. */
export function addCounts(txn: Txn, bucket: string, delta: CounterRecord): void {
  const row = counterKey(bucket);
  const known = txn.record<CounterRecord>(row);
  const sum = addUp(known ?? NO_COUNTS, delta);
  const isEmpty = Object.values(sum).every((value) => value === 0);
  if (isEmpty) txn.remove(row);
  else txn.put(row, sum);
  if (isEmpty === (known !== undefined)) contentChanged(txn, bucket);
}

export function addUp(known: CounterRecord, delta: CounterRecord): CounterRecord {
  const losers = (known.losers ?? 0) + (delta.losers ?? 0);
  return {
    objects: known.objects + delta.objects,
    objectBytes: known.objectBytes + delta.objectBytes,
    versions: known.versions + delta.versions,
    versionBytes: known.versionBytes + delta.versionBytes,
    ...(losers === 0 ? {} : { losers }),
  };
}
