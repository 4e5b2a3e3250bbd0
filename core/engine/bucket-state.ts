/**
 * Which buckets exist (rules 8 and 9). A removal undoes what it has seen. A bucket exists while a creation, a setting or
 * content (a live version, a version that lost a conflict) is there that no removal has seen. One without is kept in its
 * tombstone, so that it can come back as it was: owner, creation and settings. What a later creation has seen stays gone.
 *
 * Creations and settings carry two facts, each true for ever once it is: `removed`, a removal has seen it, and `seen`, a
 * later creation has. Everything else follows from them, so that the order of arrival makes no difference.
 */
import type { BucketSettingName, Json, Op, VersionVector } from '../contracts/index.ts';
import { bucketDigest, bucketLeaf, toggleLeaf } from './digest.ts';
import { bucketKey, bucketTombstoneKey, counterKey } from './keys.ts';
import type {
  BucketCreation,
  BucketRecord,
  BucketSetting,
  BucketSettings,
  BucketTombstone,
  Register,
  Removal,
} from './records.ts';
import { stampDot } from './stamp.ts';
import type { Txn } from './txn.ts';
import { coversDot } from './vector.ts';

interface BucketFacts {
  readonly creations: readonly BucketCreation[];
  readonly settings: BucketSettings;
}

/** The bucket, also one that was removed; `undefined` when nothing is known of it. */
export function knownBucket(txn: Txn, bucket: string): BucketRecord | undefined {
  return txn.record<BucketRecord>(bucketKey(bucket)) ?? txn.record<BucketTombstone>(bucketTombstoneKey(bucket))?.bucket;
}

/** Writes a bucket back: as a bucket if it exists, else as a tombstone. */
export function saveBucket(txn: Txn, bucket: string, record: BucketRecord): void {
  const removal = removalOf(record);
  const before = txn.record<BucketRecord>(bucketKey(bucket));
  if (before) toggleLeaf(txn, bucketLeaf(bucket), bucketDigest(bucket, before));
  if (!removal || isUsed(record) || txn.get(counterKey(bucket)) !== undefined) {
    txn.remove(bucketTombstoneKey(bucket));
    txn.put(bucketKey(bucket), record);
    toggleLeaf(txn, bucketLeaf(bucket), bucketDigest(bucket, record));
  } else {
    txn.remove(bucketKey(bucket));
    txn.put(bucketTombstoneKey(bucket), { ...removal, bucket: record } satisfies BucketTombstone);
  }
}

/** Nothing is known of the bucket any more. */
export function forgetBucket(txn: Txn, bucket: string): void {
  const before = txn.record<BucketRecord>(bucketKey(bucket));
  if (before) toggleLeaf(txn, bucketLeaf(bucket), bucketDigest(bucket, before));
  txn.remove(bucketKey(bucket));
  txn.remove(bucketTombstoneKey(bucket));
}

/** A bucket got its first content or lost its last: it may exist now, or no more. */
export function contentChanged(txn: Txn, bucket: string): void {
  const known = knownBucket(txn, bucket);
  if (known && removalOf(known)) saveBucket(txn, bucket, known);
}

export function created(
  known: BucketRecord | undefined,
  op: Op,
  creation: Omit<BucketCreation, 'stamp'>,
): BucketRecord {
  const { creations, settings } = factsOf(known);
  const mark = <T extends { readonly stamp: string; readonly seen?: true }>(fact: T): T =>
    isSeen(op.deps, fact) ? { ...fact, seen: true } : fact;
  return recordOf({
    creations: [...creations.map(mark), { ...creation, stamp: op.stamp }],
    settings: mapSettings(settings, mark),
  });
}

export function removed(known: BucketRecord, op: Op): BucketRecord {
  const { creations, settings } = factsOf(known);
  const { stamp, deps } = op;
  return recordOf({
    creations: creations.map((creation) =>
      isSeen(deps, creation) && !(creation.removed && creation.removed.stamp > stamp)
        ? { ...creation, removed: { stamp, deps } }
        : creation,
    ),
    settings: mapSettings(settings, (setting) => (isSeen(deps, setting) ? { ...setting, removed: true } : setting)),
  });
}

export function withSetting(known: BucketRecord, name: BucketSettingName, { value, stamp }: Register): BucketRecord {
  const { creations, settings } = factsOf(known);
  const current = settings[name];
  if (current && current.stamp > stamp) return known;
  return recordOf({ creations, settings: { ...settings, [name]: { value, stamp } } });
}

/** What two sites know of a bucket, each with the vector that it covers: a creation that one covers and lacks is over there. */
export function mergedBucket(
  mine: BucketRecord | undefined,
  own: VersionVector,
  theirs: BucketRecord | undefined,
  other: VersionVector,
): BucketRecord | undefined {
  const [a, b] = [factsOf(mine), factsOf(theirs)];
  const creations = [
    ...a.creations.flatMap((creation) => {
      const twin = b.creations.find(({ stamp }) => stamp === creation.stamp);
      return twin ? [sameCreation(creation, twin)] : isSeen(other, creation) ? [] : [creation];
    }),
    ...b.creations.filter((one) => !isSeen(own, one) && !a.creations.some(({ stamp }) => stamp === one.stamp)),
  ];
  if (creations.length === 0) return undefined;
  const settings: Partial<Record<BucketSettingName, BucketSetting>> = { ...a.settings };
  for (const [name, setting] of Object.entries(b.settings) as [BucketSettingName, BucketSetting][]) {
    const known = settings[name];
    if (!known || known.stamp < setting.stamp) settings[name] = setting;
    else if (known.stamp === setting.stamp) settings[name] = sameSetting(known, setting);
  }
  return recordOf({ creations, settings });
}

function sameCreation(a: BucketCreation, b: BucketCreation): BucketCreation {
  const last = a.removed && b.removed && a.removed.stamp < b.removed.stamp ? b.removed : (a.removed ?? b.removed);
  return { ...a, ...(last ? { removed: last } : {}), ...(a.seen || b.seen ? { seen: true as const } : {}) };
}

function sameSetting(a: BucketSetting, b: BucketSetting): BucketSetting {
  const { past: _, ...rest } = a;
  const value = a.past ?? b.past ?? (a.value === null ? b.value : a.value);
  const removed = a.removed || b.removed ? { removed: true as const } : {};
  return { ...rest, value, ...removed, ...(a.seen || b.seen ? { seen: true as const } : {}) };
}

const isSeen = (deps: VersionVector, { stamp }: { readonly stamp: string }): boolean =>
  coversDot(deps, stampDot(stamp));

/** The removal that ended the bucket; `undefined` while a creation is left. */
function removalOf({ creations }: BucketRecord): Removal | undefined {
  let last: Removal | undefined;
  for (const { removed: removal } of creations ?? []) {
    if (!removal) return undefined;
    if (!last || removal.stamp > last.stamp) last = removal;
  }
  return last;
}

/** Somebody set something that no removal has seen; clearing a setting counts too, or a bucket would end by it. */
const isUsed = ({ settings }: BucketRecord): boolean => Object.values(settings).some((setting) => !setting.removed);

function factsOf(record: BucketRecord | undefined): BucketFacts {
  if (!record) return { creations: [], settings: {} };
  const { owner, createdAtMs, stamp, objectLock, settings } = record;
  return {
    creations: record.creations ?? [{ stamp, owner, createdAtMs, ...(objectLock ? { objectLock } : {}) }],
    settings,
  };
}

/** What follows from the facts: what is forgotten, who owns the bucket, which settings hold. */
function recordOf(facts: BucketFacts): BucketRecord {
  const creations = facts.creations
    .filter((creation) => !(creation.removed && creation.seen))
    .toSorted((a, b) => (a.stamp < b.stamp ? -1 : 1));
  const left = creations.filter((creation) => !creation.removed);
  const present = left.length > 0 ? left : creations;
  const first = present[0] as BucketCreation;
  const isPlain = creations.length === 1 && !first.removed && !first.seen;
  return {
    owner: first.owner,
    createdAtMs: first.createdAtMs,
    stamp: first.stamp,
    // A lock cannot be taken from a bucket, whoever created it without one.
    ...(present.some(({ objectLock }) => objectLock) ? { objectLock: true as const } : {}),
    settings: mapSettings(facts.settings, (setting) => settled(setting, left.length > 0)),
    ...(isPlain ? {} : { creations }),
  };
}

/** What a removal has seen holds again if the bucket is there only because the removal has not seen all; not if it was created anew. */
function settled(setting: BucketSetting, isCreated: boolean): BucketSetting {
  if (!setting.removed) return setting;
  const { past, value, ...rest } = setting;
  const before: Json = past ?? value;
  if (setting.seen) return { ...rest, value: null };
  return isCreated && before !== null ? { ...rest, value: null, past: before } : { ...rest, value: before };
}

function mapSettings(settings: BucketSettings, change: (setting: BucketSetting) => BucketSetting): BucketSettings {
  return Object.fromEntries(Object.entries(settings).map(([name, setting]) => [name, change(setting)]));
}
