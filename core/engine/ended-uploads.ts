/**
 * Lets go of the parts of uploads that are over. Few parts go in the transaction that ends the upload; many go in batches
 * after it, from a queue that survives a restart, so that no single transaction holds up the writers of the site.
 */
import { isSkerryError, type MetaRow } from '../contracts/index.ts';
import { releaseEntries } from './chunk-refs.ts';
import type { CommitContext } from './committer.ts';
import {
  bucketKey,
  bucketOf,
  endedUploadKey,
  endedUploadPrefix,
  parseUploadKey,
  partPrefix,
  refOwner,
  tupleRange,
} from './keys.ts';
import { decodeRecord, type PartRecord } from './records.ts';
import { scanPages } from './scan-pages.ts';
import { decideTogether } from './txn.ts';
import type { MultipartDeps } from './uploads.ts';

type EndingDeps = Pick<MultipartDeps, 'reader' | 'committer' | 'logger'>;

const BATCH = 100;
/** Stranded uploads of one transaction, each with a batch of parts. */
const STRANDED_BATCH = 20;
const PAGE = 1000;
const QUEUED = new Uint8Array(0);

/** In the decision that ends an upload. */
export function endUpload(context: CommitContext, uploadId: string): void {
  if (!dropParts(context, uploadId)) context.txn.set(endedUploadKey(uploadId), QUEUED);
}

/** Lets go of what `endUpload` left. A failure is not the caller's: what stays is done at the next start. */
export async function dropRest(deps: EndingDeps, uploadId: string): Promise<void> {
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
export async function dropAllRest(deps: EndingDeps): Promise<void> {
  const prefix = endedUploadPrefix();
  for await (const rows of scanPages(deps.reader, { space: 'queues', ...tupleRange(prefix), limit: PAGE }))
    for (const { key } of rows) await dropRest(deps, Buffer.from(key.subarray(prefix.length)).toString('utf8'));
}

/**
 * Uploads into buckets that were removed at another site, which ended its own only (decision 3): they can be neither completed nor
 * aborted. If the bucket comes back first, they go on.
 */
export async function endStranded(deps: EndingDeps, signal: AbortSignal): Promise<void> {
  // behind the memory of completed ones, which belong to no bucket
  for await (const rows of scanPages(deps.reader, { space: 'uploads', from: Buffer.of(1), limit: PAGE })) {
    const buckets = [...new Set(rows.map(({ key }) => bucketOf(key)))];
    const found = await deps.reader.get(buckets.map(bucketKey));
    const gone = new Set(buckets.filter((_, at) => found[at] === undefined));
    const stranded = rows.filter(({ key }) => gone.has(bucketOf(key)));
    for (let at = 0; at < stranded.length && !signal.aborted; at += STRANDED_BATCH)
      await endAll(deps, stranded.slice(at, at + STRANDED_BATCH));
    if (signal.aborted) return;
  }
}

async function endAll(deps: EndingDeps, rows: readonly MetaRow[]): Promise<void> {
  const ended = await deps.committer.commit({
    reads: { keys: rows.flatMap(({ key }) => [{ space: 'uploads' as const, key }, bucketKey(bucketOf(key))]) },
    appended: [],
    decide(context) {
      // Until a snapshot is in, buckets of it may be missing.
      if (context.clock().merging) return [];
      const left = rows.filter(({ key }) => isStranded(context, key));
      const together = decideTogether(context.txn);
      for (const { key } of left)
        together.decide(() => {
          endUpload(context, uploadOf(key));
          context.txn.remove({ space: 'uploads', key });
        });
      together.end();
      return left.map(({ key }) => uploadOf(key));
    },
  });
  for (const uploadId of ended) await dropRest(deps, uploadId);
}

const uploadOf = (row: Uint8Array): string => parseUploadKey(bucketOf(row), row).uploadId;

const isStranded = ({ txn }: CommitContext, key: Uint8Array): boolean =>
  txn.get({ space: 'uploads', key }) !== undefined && txn.get(bucketKey(bucketOf(key))) === undefined;

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
