/**
 * Deletion of a bucket. Versions and delete markers keep it; uploads in flight do not: as in AWS (and MinIO), where only directory
 * buckets demand that they are aborted first, they end with it. So do versions that lost a conflict to a deletion: S3 does not
 * show them, and who deletes the bucket has seen them. What other sites wrote unseen keeps it, or brings it back (rule 8).
 */
import { SkerryError, type MetaRange } from '../contracts/index.ts';
import { bucketIn } from './buckets.ts';
import type { CommitContext } from './committer.ts';
import { dropRest, endUpload } from './ended-uploads.ts';
import {
  bucketKey,
  conflictBucketPrefix,
  counterKey,
  headPrefix,
  parseUploadKey,
  parseVersionKey,
  tupleRange,
  uploadBucketPrefix,
  versionBucketPrefix,
} from './keys.ts';
import type { MultipartDeps } from './uploads.ts';

/** Uploads, or versions that lost a conflict, that one transaction ends. */
const BATCH = 100;

interface Step {
  readonly ended: readonly string[];
  readonly isDone: boolean;
}

export async function deleteBucket(deps: MultipartDeps, bucket: string): Promise<void> {
  for (let isDone = false; !isDone;) {
    const step = await deps.committer.commit({
      reads: {
        keys: [bucketKey(bucket), counterKey(bucket)],
        ranges: [...contentRanges(bucket), loserRange(bucket), uploadRange(bucket)],
      },
      appended: [],
      decide: (context) => decide(context, bucket),
    });
    for (const uploadId of step.ended) await dropRest(deps, uploadId);
    isDone = step.isDone;
  }
}

function decide(context: CommitContext, bucket: string): Step {
  const { txn } = context;
  bucketIn(txn, bucket);
  if (contentRanges(bucket).some((range) => txn.scan(range).length > 0)) {
    throw new SkerryError('BucketNotEmpty', 'The bucket you tried to delete is not empty', { details: { bucket } });
  }
  const rows = txn.scan(uploadRange(bucket));
  const ended = rows.map(({ key }) => {
    const { uploadId } = parseUploadKey(bucket, key);
    endUpload(context, uploadId);
    txn.remove({ space: 'uploads', key });
    return uploadId;
  });
  const isDone = endLosers(context, bucket) && rows.length < BATCH;
  if (isDone) context.author({ type: 'bucket.remove', bucket });
  return { ended, isDone };
}

/** Answers whether none is left. A removal of the null version of a key ends all that lost there. */
function endLosers({ txn, author }: CommitContext, bucket: string): boolean {
  const rows = txn.scan(loserRange(bucket));
  const keys = new Set(rows.map((row) => parseVersionKey(bucket, row.key).key.toString('utf8')));
  for (const key of keys) author({ type: 'version.remove', bucket, key, target: null });
  return rows.length < BATCH;
}

/** A bucket is empty when neither has a row: current versions, older ones. */
function contentRanges(bucket: string): readonly MetaRange[] {
  return [
    { space: 'heads', ...tupleRange(headPrefix(bucket)), limit: 1 },
    { space: 'versions', ...tupleRange(versionBucketPrefix(bucket)), limit: 1 },
  ];
}

const uploadRange = (bucket: string): MetaRange => ({
  space: 'uploads',
  ...tupleRange(uploadBucketPrefix(bucket)),
  limit: BATCH,
});

/** Without current versions, all that is in conflict is what lost to a deletion. */
const loserRange = (bucket: string): MetaRange => ({
  space: 'conflicts',
  ...tupleRange(conflictBucketPrefix(bucket)),
  limit: BATCH,
});
