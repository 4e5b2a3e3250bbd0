/** Listings of a bucket: objects, versions, multipart uploads. Their cost follows the page, not the bucket. */
import { SkerryError } from '../contracts/index.ts';
import type {
  ListedObject,
  ListedVersion,
  ListInput,
  ListPage,
  ListVersionsInput,
  MetaReader,
  MetaRow,
  MetaStore,
  ObjectService,
  Stamp,
  UploadInfo,
} from '../contracts/index.ts';
import { noSuchBucket } from './buckets.ts';
import {
  bucketKey,
  headKey,
  headObjectKey,
  headPrefix,
  keyPosition,
  parseUploadKey,
  parseVersionKey,
  prefixEnd,
  uploadKey,
  versionKey,
  after as justAfter,
} from './keys.ts';
import { checkLimit, collectPage, listStart, type ListItem, type ListSource, type ListStart } from './list-page.ts';
import { decodeRecord, type HeadRecord, type UploadRecord, type VersionRecord, visibleOf } from './records.ts';
import { RowCursor } from './row-cursor.ts';
import { parseVersionId } from './stamp.ts';
import { shownVersionId } from './versions.ts';

export type Listing = Pick<ObjectService, 'listObjects' | 'listVersions' | 'listUploads'>;

export interface ListingDeps {
  readonly reader: Pick<MetaStore, 'get' | 'scan' | 'snapshot'>;
}

/** With a delimiter much may be passed over, so the first read is small. */
const BATCH_WITH_DELIMITER = 64;

export function createListing({ reader }: ListingDeps): Listing {
  return {
    async listObjects(input) {
      checkLimit(input.limit);
      const [, page] = await Promise.all([
        checkBucket(reader, input.bucket),
        collectPage(objectSource(reader, input), input),
      ]);
      return withoutLast(page);
    },
    async listVersions(input) {
      checkLimit(input.limit);
      // one cut: a version moves from `heads` to `versions` when it is superseded, and must be seen exactly once
      await using cut = await reader.snapshot();
      await checkBucket(cut, input.bucket);
      const { last, ...page } = await collectPage(await versionSource(cut, input), input);
      return { ...page, ...(last === undefined ? {} : { nextVersionId: last.versionId }) };
    },
    async listUploads(input) {
      checkLimit(input.limit);
      const [, page] = await Promise.all([
        checkBucket(reader, input.bucket),
        collectPage(uploadSource(reader, input), input),
      ]);
      return { ...withoutLast(page), ...(page.last === undefined ? {} : { nextUploadId: page.last.uploadId }) };
    },
  };
}

function withoutLast<T>({ last: _, ...page }: ListPage<T> & { readonly last?: T }): ListPage<T> {
  return page;
}

async function checkBucket(reader: Pick<MetaReader, 'get'>, bucket: string): Promise<void> {
  const [row] = await reader.get([bucketKey(bucket)]);
  if (row === undefined) throw noSuchBucket(bucket);
}

/** How the object keys of a bucket lie in a space. */
type Position = (key: string) => Buffer;

function openCursor(
  reader: MetaReader,
  space: 'heads' | 'versions' | 'uploads',
  input: ListInput,
  position: Position,
  from: Uint8Array,
): RowCursor {
  const batch = input.delimiter === undefined ? Math.min(1001, input.limit + 1) : BATCH_WITH_DELIMITER;
  return new RowCursor(reader, { space, from, to: prefixEnd(position(input.prefix ?? '')), batch });
}

/** Past everything under `prefix`; a prefix of 0xFF alone, which no UTF-8 text is, would have no end. */
function endOf(position: Position, prefix: string): Buffer {
  const end = prefixEnd(position(prefix));
  if (end === undefined) throw new SkerryError('Internal', 'a prefix without an end');
  return end;
}

const placeOf = (position: Position, start: ListStart): Buffer =>
  'from' in start ? position(start.from) : endOf(position, start.past);

const headPosition =
  (bucket: string): Position =>
  (key) =>
    Buffer.concat([headPrefix(bucket), Buffer.from(key)]);
const tuplePosition =
  (bucket: string): Position =>
  (key) =>
    keyPosition(bucket, key);

function objectSource(reader: MetaReader, input: ListInput): ListSource<ListedObject> {
  const { bucket } = input;
  const position = headPosition(bucket);
  const cursor = openCursor(reader, 'heads', input, position, placeOf(position, listStart(input)));
  const itemOf = (row: MetaRow | undefined): ListItem<ListedObject> | undefined => {
    if (row === undefined) return undefined;
    const key = headObjectKey(bucket, row.key);
    const shown = visibleOf(decodeRecord<HeadRecord>(row.value));
    return { key, entry: !shown || shown.marker === true ? undefined : listed(key.toString(), shown) };
  };
  return {
    peek() {
      const row = cursor.peek();
      return row instanceof Promise ? row.then(itemOf) : itemOf(row);
    },
    next: () => cursor.next(),
    seekPast: (prefix) => cursor.seek(endOf(position, prefix)),
  };
}

function listed(key: string, { content, owner, modifiedAtMs }: VersionRecord): ListedObject {
  const [checksum] = content?.checksums ?? [];
  return {
    key,
    size: content?.size ?? 0,
    etag: content?.etag ?? '',
    modifiedAtMs,
    storageClass: content?.storageClass ?? '',
    owner,
    ...(checksum === undefined ? {} : { checksumAlgorithm: checksum.algorithm, checksumType: checksum.type }),
  };
}

/** Both spaces merged: of each key its head, then what it superseded, newest first. */
async function versionSource(reader: MetaReader, input: ListVersionsInput): Promise<ListSource<ListedVersion>> {
  const { bucket } = input;
  const resume = await resumePoint(reader, input);
  const start = listStart(input);
  const [headAt, versionAt] = [headPosition(bucket), tuplePosition(bucket)];
  const heads = openCursor(reader, 'heads', input, headAt, resume?.heads ?? placeOf(headAt, start));
  const versions = openCursor(reader, 'versions', input, versionAt, resume?.versions ?? placeOf(versionAt, start));
  let current = heads;
  return {
    async peek() {
      const [head, version] = [await heads.peek(), await versions.peek()];
      const headKeyBytes = head && headObjectKey(bucket, head.key);
      const versionKeyBytes = version && parseVersionKey(bucket, version.key).key;
      const isHead =
        headKeyBytes !== undefined &&
        (versionKeyBytes === undefined || Buffer.compare(headKeyBytes, versionKeyBytes) <= 0);
      current = isHead ? heads : versions;
      const key = isHead ? headKeyBytes : versionKeyBytes;
      const row = isHead ? head : version;
      if (key === undefined || row === undefined) return undefined;
      return { key, entry: listedVersion(key.toString(), decodeRecord<VersionRecord>(row.value), isHead) };
    },
    next: () => current.next(),
    seekPast(prefix) {
      heads.seek(endOf(headAt, prefix));
      versions.seek(endOf(versionAt, prefix));
    },
  };
}

function listedVersion(key: string, record: VersionRecord, isLatest: boolean): ListedVersion {
  return { ...listed(key, record), versionId: shownVersionId(record), isLatest, marker: record.marker === true };
}

interface ResumePoint {
  readonly heads: Uint8Array;
  readonly versions: Uint8Array;
}

/** Where both spaces go on behind one version of a key; `undefined` when the listing goes on behind the whole key. */
async function resumePoint(
  reader: MetaReader,
  { bucket, after, afterVersionId, prefix = '', delimiter }: ListVersionsInput,
): Promise<ResumePoint | undefined> {
  if (afterVersionId === undefined) return undefined;
  if (after === undefined) throw new SkerryError('InvalidArgument', 'a version id marker needs a key marker');
  const stamp = afterVersionId === 'null' ? undefined : parseVersionId(afterVersionId);
  if (afterVersionId !== 'null' && stamp === undefined) {
    throw new SkerryError('InvalidArgument', 'Invalid version id specified', {
      details: { versionId: afterVersionId },
    });
  }
  const isRolledUp = 'past' in listStart({ prefix, after, ...(delimiter === undefined ? {} : { delimiter }) });
  if (!after.startsWith(prefix) || isRolledUp) return undefined;
  const row = headKey(bucket, after).key;
  const [value] = await reader.get([headKey(bucket, after)]);
  const head = value === undefined ? undefined : decodeRecord<HeadRecord>(value);
  const passed = stamp ?? nullStampOf(head);
  // its null version is gone: where it stood is not known, so that the key is listed anew
  if (passed === undefined) return { heads: row, versions: keyPosition(bucket, after) };
  const isHeadPassed = head === undefined || head.stamp >= passed;
  return { heads: isHeadPassed ? justAfter(row) : row, versions: justAfter(versionKey(bucket, after, passed).key) };
}

function nullStampOf(head: HeadRecord | undefined): Stamp | undefined {
  return head?.nullVersion === true ? head.stamp : head?.nullStamp;
}

function uploadSource(
  reader: MetaReader,
  input: ListInput & { readonly afterUploadId?: string },
): ListSource<UploadInfo> {
  const { bucket, after, afterUploadId, prefix = '' } = input;
  const position = tuplePosition(bucket);
  const start = listStart(input);
  const isWithinKey = after !== undefined && afterUploadId !== undefined && after.startsWith(prefix) && 'from' in start;
  const from = isWithinKey ? justAfter(uploadKey(bucket, after, afterUploadId).key) : placeOf(position, start);
  const cursor = openCursor(reader, 'uploads', input, position, from);
  return {
    async peek(): Promise<ListItem<UploadInfo> | undefined> {
      const row = await cursor.peek();
      if (row === undefined) return undefined;
      const { key, uploadId } = parseUploadKey(bucket, row.key);
      return {
        key,
        entry: uploadInfo({ bucket, key: key.toString(), uploadId }, decodeRecord<UploadRecord>(row.value)),
      };
    },
    next: () => cursor.next(),
    seekPast: (rolled) => cursor.seek(endOf(position, rolled)),
  };
}

/** An upload as the object service shows it. */
export function uploadInfo(ref: Pick<UploadInfo, 'bucket' | 'key' | 'uploadId'>, record: UploadRecord): UploadInfo {
  const { owner, initiator, initiatedAtMs, storageClass, checksumAlgorithm, checksumType } = record;
  return {
    ...ref,
    owner,
    initiator,
    initiatedAtMs,
    storageClass,
    ...(checksumAlgorithm === undefined ? {} : { checksumAlgorithm }),
    ...(checksumType === undefined ? {} : { checksumType }),
  };
}
