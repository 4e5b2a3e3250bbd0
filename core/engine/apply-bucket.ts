/** Bucket ops: a bucket is one row whose settings are registers (rules 7 and 9). */
import type { Op, OpBody } from '../contracts/index.ts';
import type { ApplyContext } from './apply-context.ts';
import { bucketKey, bucketTombstoneKey, counterKey } from './keys.ts';
import type { BucketRecord, TombstoneRecord } from './records.ts';

type BucketBody = Extract<OpBody, { readonly bucket: string; readonly type: `bucket.${string}` }>;

export function applyBucketOp({ txn }: ApplyContext, op: Op): void {
  const body = op.body as BucketBody;
  const row = bucketKey(body.bucket);
  const known = txn.record<BucketRecord>(row);
  switch (body.type) {
    case 'bucket.create': {
      // Ownership goes to the smallest creation stamp; settings that are already there stay.
      if (known && known.stamp < op.stamp) return;
      const { owner, createdAtMs, objectLock } = body;
      return txn.put(row, {
        owner,
        createdAtMs,
        stamp: op.stamp,
        ...(objectLock ? { objectLock: true as const } : {}),
        settings: known?.settings ?? {},
      } satisfies BucketRecord);
    }
    case 'bucket.remove':
      txn.put(bucketTombstoneKey(body.bucket), { stamp: op.stamp, deps: op.deps } satisfies TombstoneRecord);
      txn.remove(counterKey(body.bucket));
      return txn.remove(row);
    case 'bucket.setting': {
      const setting = known?.settings[body.name];
      if (!known || (setting && setting.stamp > op.stamp)) return;
      return txn.put(row, {
        ...known,
        settings: { ...known.settings, [body.name]: { value: body.value, stamp: op.stamp } },
      });
    }
  }
}
