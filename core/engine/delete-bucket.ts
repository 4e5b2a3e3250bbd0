/**
 * Deletion of a bucket. Versions and delete markers keep it; uploads in flight do not: as in AWS (and MinIO), where only directory
 * buckets demand that they are aborted first, they end with it.
 */
import { SkerryError, type MetaRange } from '../contracts/index.ts';
import { bucketIn } from './buckets.ts';
import type { CommitContext } from './committer.ts';
import { dropRest, endUpload } from './ended-uploads.ts';
import { bucketKey, headPrefix, parseUploadKey, tupleRange, uploadBucketPrefix, versionBucketPrefix } from './keys.ts';
import type { MultipartDeps } from './uploads.ts';

/** Uploads that one transaction ends. */
const BATCH = 100;

interface Step {
  readonly ended: readonly string[];
  readonly isDone: boolean;
}

export async function deleteBucket(deps: MultipartDeps, bucket: string): Promise<void> {
  for (let isDone = false; !isDone;) {
    const step = await deps.committer.commit({
      reads: { keys: [bucketKey(bucket)], ranges: [...contentRanges(bucket), uploadRange(bucket)] },
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
  const isDone = rows.length < BATCH;
  if (isDone) context.author({ type: 'bucket.remove', bucket });
  return { ended, isDone };
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
