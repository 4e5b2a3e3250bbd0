/** One part of a multipart upload: received, or copied from an object. */
import { SkerryError } from '../contracts/index.ts';
import type { BodySource, ObjectService, PartInfo, UploadRef } from '../contracts/index.ts';
import { holdEntries, placeChunks, releaseEntries } from './chunk-refs.ts';
import { copyRange } from './copy-range.ts';
import { chunkKey, partKey, refOwner, uploadKey } from './keys.ts';
import { settle } from './objects.ts';
import type { PartRecord, Placement, UploadRecord } from './records.ts';
import { storeManifest } from './store-manifest.ts';
import { appendedLocators } from './sync-ledger.ts';
import { checkPartNumber, findUpload, uploadIn, type MultipartDeps, type PartBytes } from './uploads.ts';
import { findObject } from './versions.ts';

type PutPartInput = Parameters<ObjectService['putPart']>[0];
type CopyPartInput = Parameters<ObjectService['copyPart']>[0];
type CopyPartResult = Awaited<ReturnType<ObjectService['copyPart']>>;

const PART_MAX_BYTES = 5 * 1024 ** 3;
/** Chunks that a part lists itself; more lie in a node, so that an upload of 10,000 parts stays small to complete. */
const PART_TOP_MAX = 4;

export async function putPart(deps: MultipartDeps, input: PutPartInput): Promise<PartInfo> {
  const { number, signal } = input;
  checkPartNumber(number);
  const upload = await findUpload(deps, input);
  const body = withChecksum(input.body, upload);
  refuseTooLarge(body.size ?? 0);
  const stored = await deps.ingest(body, { owner: 'part', ...(signal === undefined ? {} : { signal }) });
  return settle(stored, () => commitPart(deps, input, number, stored));
}

export async function copyPart(deps: MultipartDeps, input: CopyPartInput): Promise<CopyPartResult> {
  const { number, source, range, sourceCheck } = input;
  checkPartNumber(number);
  const endRead = deps.beginRead();
  try {
    const upload = await findUpload(deps, input);
    const found = await findObject(deps.reader, source);
    sourceCheck?.(found.info);
    const stored = await copyRange(
      deps,
      found,
      wantedRange(range, found.record.content.size),
      upload.checksumAlgorithm,
    );
    const part = await settle(stored, () => commitPart(deps, input, number, stored));
    return { ...part, ...(found.versioning === 'Off' ? {} : { sourceVersionId: found.info.versionId }) };
  } finally {
    endRead();
  }
}

function wantedRange(range: CopyPartInput['range'], size: number): { readonly start: number; readonly length: number } {
  if (range === undefined) {
    refuseTooLarge(size);
    return { start: 0, length: size };
  }
  const { start, end } = range;
  if (!(start >= 0 && start <= end && end < size)) {
    throw new SkerryError('RangeNotSatisfiable', 'The copy range does not lie in the source object', {
      details: { start, end, size },
    });
  }
  refuseTooLarge(end - start + 1);
  return { start, length: end - start + 1 };
}

/** Every part gets the upload's checksum, sent or not. */
function withChecksum(body: BodySource, { checksumAlgorithm }: UploadRecord): BodySource {
  if (checksumAlgorithm === undefined) return body;
  if (body.checksum === undefined) return { ...body, checksum: { algorithm: checksumAlgorithm } };
  if (body.checksum.algorithm === checksumAlgorithm) return body;
  throw new SkerryError(
    'InvalidArgument',
    `Checksum Type mismatch occurred, expected checksum Type: ${checksumAlgorithm}, actual checksum Type: ${body.checksum.algorithm}`,
    { details: { reason: 'ChecksumTypeMismatch' } },
  );
}

function refuseTooLarge(size: number): void {
  if (size <= PART_MAX_BYTES) return;
  throw new SkerryError('EntityTooLarge', 'A part is at most 5 GiB', { details: { size, maxSize: PART_MAX_BYTES } });
}

async function commitPart(deps: MultipartDeps, ref: UploadRef, number: number, stored: PartBytes): Promise<PartInfo> {
  refuseTooLarge(stored.size);
  const nodes = await storeManifest(deps, stored.manifest, PART_TOP_MAX);
  const placements = [...stored.placements, ...nodes.placements];
  return settle(nodes, () =>
    deps.committer.commit({
      reads: {
        keys: [
          uploadKey(ref.bucket, ref.key, ref.uploadId),
          partKey(ref.uploadId, number),
          ...placements.map(({ hash }) => chunkKey(hash)),
        ],
      },
      appended: appendedLocators({ placements }),
      decide(context) {
        const upload = uploadIn(context.txn, ref);
        context.txn.put(uploadKey(ref.bucket, ref.key, ref.uploadId), {
          ...upload,
          generation: upload.generation + 1,
        } satisfies UploadRecord);
        const part = {
          size: stored.size,
          etag: stored.md5Hex,
          modifiedAtMs: context.nowMs,
          checksums: stored.checksums,
          manifest: nodes.manifest,
        };
        replacePart(context, ref.uploadId, number, part, placements);
        return partInfo(number, part);
      },
    }),
  );
}

type PartContext = Parameters<typeof placeChunks>[0];

function replacePart(
  context: PartContext,
  uploadId: string,
  number: number,
  part: PartRecord,
  placements: readonly Placement[],
): void {
  const row = partKey(uploadId, number);
  const owner = refOwner.part(uploadId, number);
  const old = context.txn.record<PartRecord>(row);
  // let go first: what both have must end up held
  if (old !== undefined) releaseEntries(context, old.manifest, owner);
  placeChunks(context, placements);
  holdEntries(context, part.manifest, owner);
  context.txn.put(row, part);
}

export function partInfo(number: number, { size, etag, modifiedAtMs, checksums }: PartRecord): PartInfo {
  return { number, size, etag, modifiedAtMs, checksums };
}
