/** Bucket ops: a bucket is one row whose settings are registers (rules 7, 8 and 9). */
import type { Op, OpBody } from '../contracts/index.ts';
import type { ApplyContext } from './apply-context.ts';
import { created, knownBucket, removed, saveBucket, withSetting } from './bucket-state.ts';
import type { BucketRecord } from './records.ts';

type BucketBody = Extract<OpBody, { readonly bucket: string; readonly type: `bucket.${string}` }>;

export function applyBucketOp({ txn }: ApplyContext, op: Op): void {
  const body = op.body as BucketBody;
  const known = knownBucket(txn, body.bucket);
  const next = after(known, op, body);
  if (next && next !== known) saveBucket(txn, body.bucket, next);
}

function after(known: BucketRecord | undefined, op: Op, body: BucketBody): BucketRecord | undefined {
  if (body.type === 'bucket.create') {
    const { owner, createdAtMs, objectLock } = body;
    return created(known, op, { owner, createdAtMs, ...(objectLock ? { objectLock: true as const } : {}) });
  }
  // Nobody removes or sets what nobody created.
  if (!known) return undefined;
  return body.type === 'bucket.remove'
    ? removed(known, op)
    : withSetting(known, body.name, { value: body.value, stamp: op.stamp });
}
