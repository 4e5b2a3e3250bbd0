/** Completion: parts become one version. No data is copied; the manifest is the parts' manifests one after another. */
import { SkerryError } from '../contracts/index.ts';
import type {
  CompleteUploadInput,
  ObjectChecksum,
  PartSummary,
  VersionContent,
  WriteResult,
} from '../contracts/index.ts';
import { noSuchBucket } from './buckets.ts';
import { toHex } from './checksums.ts';
import type { CommitContext } from './committer.ts';
import { dropRest, endUpload } from './ended-uploads.ts';
import { readsOfKey } from './op-reads.ts';
import type { Ingested } from './ingest.ts';
import { bucketKey, chunkKey, completedUploadKey, completedUploadPrefix, tupleRange, uploadKey } from './keys.ts';
import { decidePut, settle, type StoredBytes } from './objects.ts';
import { decodeRecord, type CompletedUploadRecord, type UploadRecord } from './records.ts';
import { storeManifest } from './store-manifest.ts';
import { appendedLocators } from './sync-ledger.ts';
import { noSuchUpload, uploadIn, uploadSite, type MultipartDeps } from './uploads.ts';
import { loadParts, objectChecksum, objectEtag, type UploadedPart } from './upload-parts.ts';

/** Parts that a version's record lists itself. */
const INLINE_PARTS_MAX = 32;
const OBJECT_MAX_BYTES = 5 * 1024 ** 4;
/** How long a repeated completion answers the same. */
const MEMORY_MS = 7 * 24 * 3_600_000;
/** Completed uploads that each completion looks at to forget. */
const FORGET_BATCH = 4;

export async function completeUpload(deps: MultipartDeps, input: CompleteUploadInput): Promise<WriteResult> {
  const partsDigest = digestParts(deps, input);
  let found = await findOpenOrCompleted(deps, input, partsDigest);
  while (!('result' in found)) {
    try {
      const result = await completeOnce(deps, input, found, partsDigest);
      await dropRest(deps, input.uploadId);
      return result;
    } catch (error) {
      // a part that came in, or the same completion, may have overtaken this one: then what was read says nothing
      const now = await findOpenOrCompleted(deps, input, partsDigest);
      if (!('result' in now) && now.generation === found.generation) throw error;
      found = now;
    }
  }
  return found.result;
}

function digestParts({ hashing }: MultipartDeps, { parts }: CompleteUploadInput): string {
  const list = parts.map(({ number, etag }) => `${number} ${etag}\n`).join('');
  return toHex(hashing.hash('sha256', Buffer.from(list, 'utf8')));
}

async function findOpenOrCompleted(
  { reader, siteId }: MultipartDeps,
  { bucket, key, uploadId }: CompleteUploadInput,
  partsDigest: string,
): Promise<UploadRecord | CompletedUploadRecord> {
  const missing = noSuchUpload({ uploadId }, siteId);
  if (uploadSite(uploadId) === undefined) throw missing;
  const [bucketRow, openRow, doneRow] = await reader.get([
    bucketKey(bucket),
    uploadKey(bucket, key, uploadId),
    completedUploadKey(uploadId),
  ]);
  if (bucketRow === undefined) throw noSuchBucket(bucket);
  if (openRow !== undefined) return decodeRecord<UploadRecord>(openRow);
  const done = doneRow && decodeRecord<CompletedUploadRecord>(doneRow);
  const isSame = done?.bucket === bucket && done.key === key && done.partsDigest === partsDigest;
  if (done === undefined || !isSame) throw missing;
  return done;
}

async function completeOnce(
  deps: MultipartDeps,
  input: CompleteUploadInput,
  upload: UploadRecord,
  partsDigest: string,
): Promise<WriteResult> {
  const parts = await loadParts(deps, input);
  const size = parts.reduce((sum, part) => sum + part.size, 0);
  checkSize(input, size);
  const checksum = objectChecksum(deps.hashing, upload, input, parts);
  await deps.vetoes({ action: 'object.put', bucket: input.bucket, key: input.key, size, userId: upload.owner });
  const nodes = await storeManifest(
    deps,
    parts.flatMap(({ manifest }) => manifest),
  );
  return settle(nodes, async () => {
    const table = await storeTable(deps, parts, checksum?.algorithm);
    const content: VersionContent = {
      size,
      etag: objectEtag(deps.hashing, parts),
      manifest: nodes.manifest,
      headers: upload.headers,
      metadata: upload.metadata,
      storageClass: upload.storageClass,
      ...(checksum === undefined ? {} : { checksums: [checksum] }),
      ...table.content,
    };
    const bytes = {
      placements: [...table.placements, ...nodes.placements],
    };
    return settle(table, () => commit(deps, input, upload, content, bytes, partsDigest));
  });
}

function checkSize({ expectedSize }: CompleteUploadInput, size: number): void {
  if (size > OBJECT_MAX_BYTES) {
    throw new SkerryError('EntityTooLarge', 'An object is at most 5 TiB', {
      details: { size, maxSize: OBJECT_MAX_BYTES },
    });
  }
  if (expectedSize === undefined || expectedSize === size) return;
  throw new SkerryError('InvalidArgument', 'The parts do not add up to the size that was given', {
    details: { reason: 'ObjectSizeMismatch', expectedSize, size },
  });
}

type Table = StoredBytes &
  Pick<Ingested, 'release' | 'settled'> & { readonly content: Pick<VersionContent, 'parts' | 'partsManifest'> };

/** The parts table: in the record when short, else a chunk of its own. */
async function storeTable(
  deps: MultipartDeps,
  parts: readonly UploadedPart[],
  algorithm: ObjectChecksum['algorithm'] | undefined,
): Promise<Table> {
  const rows = parts.map(({ number, size, checksums }): PartSummary => {
    const checksum = checksums.find((one) => one.algorithm === algorithm);
    return { number, size, ...(checksum === undefined ? {} : { checksum: checksum.value }) };
  });
  if (rows.length <= INLINE_PARTS_MAX) {
    return { content: { parts: rows }, placements: [], release: async () => {}, settled: () => {} };
  }
  const stored = await deps.ingest({ bytes: Buffer.from(JSON.stringify(rows), 'utf8') }, { owner: 'part' });
  return { ...stored, content: { partsManifest: stored.manifest } };
}

function commit(
  deps: MultipartDeps,
  input: CompleteUploadInput,
  read: UploadRecord,
  content: VersionContent,
  bytes: StoredBytes,
  partsDigest: string,
): Promise<WriteResult> {
  const { bucket, key, uploadId, condition } = input;
  const row = uploadKey(bucket, key, uploadId);
  const chunks = bytes.placements.map(({ hash }) => chunkKey(hash));
  const version = {
    bucket,
    key,
    owner: read.owner,
    content,
    settings: read.settings,
    ...(condition === undefined ? {} : { condition }),
  };
  return deps.committer.commit({
    reads: {
      keys: [...readsOfKey(bucket, key), row, ...chunks],
      ranges: [oldestCompleted()],
    },
    appended: appendedLocators(bytes),
    decide(context) {
      if (uploadIn(context.txn, input).generation !== read.generation) {
        throw new SkerryError('Conflict', 'a part was uploaded while the upload was being completed');
      }
      const result = decidePut(context, version, bytes);
      endUpload(context, uploadId);
      context.txn.remove(row);
      forgetOld(context);
      const done: CompletedUploadRecord = { bucket, key, completedAtMs: context.nowMs, partsDigest, result };
      context.txn.put(completedUploadKey(uploadId), done);
      return result;
    },
  });
}

const oldestCompleted = () => ({
  space: 'uploads' as const,
  ...tupleRange(completedUploadPrefix()),
  limit: FORGET_BATCH,
});

/** Upload ids sort by time, so the oldest are first. */
function forgetOld({ txn, nowMs }: CommitContext): void {
  for (const { key, value } of txn.scan(oldestCompleted())) {
    const { completedAtMs } = decodeRecord<CompletedUploadRecord>(value);
    if (completedAtMs + MEMORY_MS < nowMs) txn.remove({ space: 'uploads', key });
  }
}
