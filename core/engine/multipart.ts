/**
 * Multipart uploads. Until it is completed an upload is a matter of this site alone: rows in `uploads` and `parts`, no op.
 * Completion is one `version.put`.
 */
import { SkerryError } from '../contracts/index.ts';
import type { CreateUploadInput, ObjectService, UploadInfo, UploadRef } from '../contracts/index.ts';
import { bucketIn } from './buckets.ts';
import { completeUpload } from './complete-upload.ts';
import { deleteBucket } from './delete-bucket.ts';
import { dropAllRest, dropRest, endUpload } from './ended-uploads.ts';
import { bucketKey, partKey, partPrefix, tupleRange, uploadKey } from './keys.ts';
import { checkLimit } from './list-page.ts';
import { uploadInfo } from './listing.ts';
import { copyPart, partInfo, putPart } from './put-part.ts';
import { decodeRecord, type PartRecord, type UploadRecord } from './records.ts';
import { checkChecksumType, defaultChecksumType } from './upload-parts.ts';
import { findUpload, newUploadId, uploadIn, type MultipartDeps } from './uploads.ts';
import { checkKey } from './versions.ts';

export type { MultipartDeps } from './uploads.ts';

export type MultipartOperations = Pick<
  ObjectService,
  | 'createUpload'
  | 'getUpload'
  | 'putPart'
  | 'copyPart'
  | 'listParts'
  | 'completeUpload'
  | 'abortUpload'
  // it ends uploads
  | 'deleteBucket'
>;

export interface Multipart {
  readonly operations: MultipartOperations;
  /** At start: lets go of the parts of ended uploads that an earlier run left. */
  resume(): Promise<void>;
}

export function createMultipart(deps: MultipartDeps): Multipart {
  return {
    operations: {
      createUpload: (input) => createUpload(deps, input),
      getUpload: async (ref) => uploadInfo(refOf(ref), await findUpload(deps, ref)),
      putPart: (input) => putPart(deps, input),
      copyPart: (input) => copyPart(deps, input),
      listParts: (ref, options) => listParts(deps, ref, options),
      completeUpload: (input) => completeUpload(deps, input),
      abortUpload: (ref) => abortUpload(deps, ref),
      deleteBucket: (bucket) => deleteBucket(deps, bucket),
    },
    resume: () => dropAllRest(deps),
  };
}

const refOf = ({ bucket, key, uploadId }: UploadRef): UploadRef => ({ bucket, key, uploadId });

async function createUpload(deps: MultipartDeps, input: CreateUploadInput): Promise<UploadInfo> {
  const { bucket, key, owner, initiator, headers, metadata, storageClass, settings, checksumAlgorithm } = input;
  checkKey(key);
  checkChecksumType(checksumAlgorithm, input.checksumType);
  const initiatedAtMs = deps.clock.wallMs();
  const ref = { bucket, key, uploadId: newUploadId(deps.siteId, initiatedAtMs, deps.random) };
  const record: UploadRecord = {
    owner,
    initiator,
    initiatedAtMs,
    generation: 0,
    headers,
    metadata,
    storageClass,
    ...(settings === undefined ? {} : { settings }),
    ...(checksumAlgorithm === undefined
      ? {}
      : { checksumAlgorithm, checksumType: input.checksumType ?? defaultChecksumType(checksumAlgorithm) }),
  };
  await deps.committer.commit({
    reads: { keys: [bucketKey(bucket)] },
    appended: [],
    decide({ txn }) {
      bucketIn(txn, bucket);
      txn.put(uploadKey(bucket, key, ref.uploadId), record);
    },
  });
  return uploadInfo(ref, record);
}

async function listParts(
  deps: MultipartDeps,
  ref: UploadRef,
  { after = 0, limit }: Parameters<ObjectService['listParts']>[1],
): ReturnType<ObjectService['listParts']> {
  checkLimit(limit);
  if (!Number.isInteger(after) || after < 0)
    throw new SkerryError('InvalidArgument', 'a part number marker is a number', { details: { after } });
  const upload = uploadInfo(refOf(ref), await findUpload(deps, ref));
  const { to } = tupleRange(partPrefix(ref.uploadId));
  const isPastEnd = after >= 0xffff || limit === 0;
  const rows = isPastEnd
    ? []
    : await deps.reader.scan({ space: 'parts', from: partKey(ref.uploadId, after + 1).key, to, limit: limit + 1 });
  const parts = rows
    .slice(0, limit)
    .map(({ key, value }) => partInfo(Buffer.from(key).readUInt16BE(key.length - 2), decodeRecord<PartRecord>(value)));
  return { upload, parts, truncated: rows.length > limit };
}

async function abortUpload(deps: MultipartDeps, ref: UploadRef): Promise<void> {
  await findUpload(deps, ref);
  const row = uploadKey(ref.bucket, ref.key, ref.uploadId);
  await deps.committer.commit({
    reads: { keys: [row] },
    appended: [],
    decide(context) {
      uploadIn(context.txn, ref);
      endUpload(context, ref.uploadId);
      context.txn.remove(row);
    },
  });
  await dropRest(deps, ref.uploadId);
}
