/**
 * Lets go of the parts of uploads that are over. Few parts go in the transaction that ends the upload; many go in batches
 * after it, from a queue that survives a restart, so that no single transaction holds up the writers of the site.
 */
import { isSkerryError } from '../contracts/index.ts';
import { releaseEntries } from './chunk-refs.ts';
import type { CommitContext } from './committer.ts';
import { endedUploadKey, endedUploadPrefix, partPrefix, refOwner, tupleRange } from './keys.ts';
import { decodeRecord, type PartRecord } from './records.ts';
import type { MultipartDeps } from './uploads.ts';

const BATCH = 100;
const QUEUED = new Uint8Array(0);

/** In the decision that ends an upload. */
export function endUpload(context: CommitContext, uploadId: string): void {
  if (!dropParts(context, uploadId)) context.txn.set(endedUploadKey(uploadId), QUEUED);
}

/** Lets go of what `endUpload` left. A failure is not the caller's: what stays is done at the next start. */
export async function dropRest(deps: MultipartDeps, uploadId: string): Promise<void> {
  try {
    const [queued] = await deps.reader.get([endedUploadKey(uploadId)]);
    for (let isDone = queued === undefined; !isDone;) {
      isDone = await deps.committer.commit({
        reads: { ranges: [partsOf(uploadId)] },
        appended: [],
        decide(context) {
          const isLast = dropParts(context, uploadId);
          if (isLast) context.txn.remove(endedUploadKey(uploadId));
          return isLast;
        },
      });
    }
  } catch (error) {
    if (isSkerryError(error, 'Closed')) return;
    deps.logger.warn(
      { err: error, uploadId },
      'parts of an ended upload are still there; the next start lets go of them',
    );
  }
}

/** At start: what an earlier run did not come to. */
export async function dropAllRest(deps: MultipartDeps): Promise<void> {
  const prefix = endedUploadPrefix();
  const rows = await deps.reader.scan({ space: 'queues', ...tupleRange(prefix), limit: 1000 });
  for (const { key } of rows) await dropRest(deps, Buffer.from(key.subarray(prefix.length)).toString('utf8'));
}

const partsOf = (uploadId: string) => ({ space: 'parts' as const, ...tupleRange(partPrefix(uploadId)), limit: BATCH });

/** Answers whether none is left. */
function dropParts(context: CommitContext, uploadId: string): boolean {
  const rows = context.txn.scan(partsOf(uploadId));
  for (const { key, value } of rows) {
    const number = Buffer.from(key).readUInt16BE(key.length - 2);
    releaseEntries(context, decodeRecord<PartRecord>(value).manifest, refOwner.part(uploadId, number));
    context.txn.remove({ space: 'parts', key });
  }
  return rows.length < BATCH;
}
