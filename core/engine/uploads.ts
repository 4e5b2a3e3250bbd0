/** What all multipart operations share: their ports, upload ids, and how an upload is found. Uploads in flight are local to the site. */
import { SkerryError } from '../contracts/index.ts';
import type { Clock, Logger, ManifestEntry, ObjectChecksum, Random, SiteId, UploadRef } from '../contracts/index.ts';
import { noSuchBucket } from './buckets.ts';
import type { Committer } from './committer.ts';
import type { Ingest, Ingested } from './ingest.ts';
import { bucketKey, uploadKey } from './keys.ts';
import type { BeforeWriteVeto } from './objects.ts';
import type { ObjectReader } from './read-object.ts';
import { decodeRecord, type UploadRecord } from './records.ts';
import type { StoreManifestDeps } from './store-manifest.ts';
import type { Txn } from './txn.ts';

export interface MultipartDeps extends StoreManifestDeps {
  readonly committer: Committer;
  readonly ingest: Ingest;
  readonly objectReader: ObjectReader;
  /** Keeps what is looked up from reclamation until the result is called. */
  readonly beginRead: () => () => void;
  readonly vetoes: BeforeWriteVeto;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly siteId: SiteId;
  /** Every part but the last has at least this many bytes; default 5 MiB. */
  readonly partMinBytes?: number;
}

/** The bytes of a part, stored. */
export interface PartBytes extends Pick<Ingested, 'placements' | 'release' | 'settled'> {
  readonly size: number;
  readonly md5Hex: string;
  readonly checksums: readonly ObjectChecksum[];
  /** Data entries. */
  readonly manifest: readonly ManifestEntry[];
}

export const PARTS_MAX = 10_000;
const ID_PATTERN = /^[0-9a-f]{12}\.([a-z0-9][a-z0-9-]{0,31})\.[0-9a-f]{32}$/;

/** Sorts by time, names the site that holds the parts, cannot be guessed; URL-safe. */
export function newUploadId(siteId: SiteId, nowMs: number, random: Random): string {
  return `${Math.floor(nowMs).toString(16).padStart(12, '0')}.${siteId}.${random.hex(16)}`;
}

/** The site that holds an upload's parts; `undefined` when the id is none of ours. */
export function uploadSite(uploadId: string): SiteId | undefined {
  return ID_PATTERN.exec(uploadId)?.[1];
}

/** `here`: the site that is asked, where the upload may be another site's. */
export function noSuchUpload({ uploadId }: Pick<UploadRef, 'uploadId'>, here?: SiteId): SkerryError {
  const site = uploadSite(uploadId);
  const isElsewhere = here !== undefined && site !== undefined && site !== here;
  const message = isElsewhere
    ? `This upload was begun at site ${site} and its parts are there: go on with it at ${site}, or begin another. This is site ${here}.`
    : 'The specified upload does not exist. It may have been aborted or completed.';
  const details = { uploadId, ...(site === undefined ? {} : { site }) };
  return new SkerryError('NoSuchUpload', message, { details });
}

/** Rejects `NoSuchBucket` or `NoSuchUpload`. */
export async function findUpload(
  { reader, siteId }: Pick<MultipartDeps, 'reader' | 'siteId'>,
  ref: UploadRef,
): Promise<UploadRecord> {
  if (uploadSite(ref.uploadId) === undefined) throw noSuchUpload(ref);
  const [bucket, row] = await reader.get([bucketKey(ref.bucket), uploadKey(ref.bucket, ref.key, ref.uploadId)]);
  if (bucket === undefined) throw noSuchBucket(ref.bucket);
  if (row === undefined) throw noSuchUpload(ref, siteId);
  return decodeRecord<UploadRecord>(row);
}

/** The same as a decision sees it. */
export function uploadIn(txn: Txn, { bucket, key, uploadId }: UploadRef): UploadRecord {
  const record = txn.record<UploadRecord>(uploadKey(bucket, key, uploadId));
  if (record === undefined) throw noSuchUpload({ uploadId });
  return record;
}

export function checkPartNumber(number: number): void {
  if (Number.isInteger(number) && number >= 1 && number <= PARTS_MAX) return;
  throw new SkerryError('InvalidArgument', `Part number must be an integer between 1 and ${PARTS_MAX}, inclusive`, {
    details: { number },
  });
}
