/** Deletion: a tombstone while versioning is off, a delete marker while it is on, removal of one version when it is named. */
import { SkerryError, type DeleteObjectInput, type DeleteResult } from '../contracts/index.ts';
import { bucketIn, versioningOf } from './buckets.ts';
import type { CommitContext, Intent } from './committer.ts';
import { checkCondition } from './conditions.ts';
import { successorRange } from './key-state.ts';
import { headKey } from './keys.ts';
import { readsOfKey } from './op-reads.ts';
import { isLocked } from './locks.ts';
import { visibleOf, type BucketRecord, type HeadRecord, type VersionRecord } from './records.ts';
import { versionIdOf } from './stamp.ts';
import type { Txn } from './txn.ts';
import { causalityToken, checkKey, versionIn } from './versions.ts';

export function deleteIntent(input: DeleteObjectInput): Intent<DeleteResult> {
  const { bucket, key, versionId } = input;
  checkKey(key);
  return {
    reads: {
      keys: readsOfKey(bucket, key),
      // what becomes current in place of the version that goes
      ranges: [successorRange(bucket, key)],
    },
    appended: [],
    decide(context) {
      const record = bucketIn(context.txn, bucket);
      const result =
        versionId === undefined
          ? deleteCurrent(context, input, versioningOf(record))
          : removeVersion(context, input, versionId, record);
      return { ...result, causality: causalityToken(context.vector()) };
    },
  };
}

function deleteCurrent(
  { txn, nowMs, author }: CommitContext,
  input: DeleteObjectInput,
  versioning: 'Off' | 'Enabled' | 'Suspended',
): DeleteResult {
  const { bucket, key, owner, condition } = input;
  const head = txn.record<HeadRecord>(headKey(bucket, key));
  checkCondition(condition, key, visibleOf(head));
  // Nothing here to delete: nothing to record. A put at another site that we have not seen is not ours to undo.
  if (versioning === 'Off' && !head) return { marker: false };
  if (versioning === 'Off' && !hasNumbered(txn, input, head)) {
    author({ type: 'version.remove', bucket, key, target: null });
    return { marker: false };
  }
  const nullVersion = versioning !== 'Enabled';
  const { stamp } = author({ type: 'version.put', bucket, key, nullVersion, marker: true, owner, modifiedAtMs: nowMs });
  return { marker: true, versionId: nullVersion ? 'null' : versionIdOf(stamp) };
}

/**
 * Versions of when versioning was on: a removed bucket that another site's write brought back may have lost that setting. The removal
 * of the null version alone would leave one of them current.
 */
function hasNumbered(txn: Txn, { bucket, key }: DeleteObjectInput, head: HeadRecord | undefined): boolean {
  return (head !== undefined && head.nullVersion !== true) || txn.scan(successorRange(bucket, key)).length > 0;
}

function removeVersion(
  { txn, nowMs, author }: CommitContext,
  input: DeleteObjectInput,
  versionId: string,
  { objectLock }: BucketRecord,
): DeleteResult {
  const { bucket, key, condition, bypassGovernance } = input;
  const { version } = versionIn(txn, { bucket, key, versionId });
  if (condition) checkCondition(condition, key, version);
  if (!version) return { marker: false, versionId };
  checkLocks(version, nowMs, bypassGovernance === true);
  const isTentative = objectLock === true && version.content !== undefined && !version.nullVersion;
  author({
    type: 'version.remove',
    bucket,
    key,
    target: version.nullVersion ? null : version.stamp,
    ...(isTentative ? { tentative: true } : {}),
  });
  return { marker: version.marker === true, versionId };
}

/** Refuses to remove a version under legal hold or retention (S3 Object Lock). */
function checkLocks(version: VersionRecord, nowMs: number, bypassGovernance: boolean): void {
  if (isLocked(version, nowMs, bypassGovernance))
    throw new SkerryError('ObjectLocked', 'Access Denied because object protected by object lock');
}
