/** Version records as the object service shows them, and how a reference finds one. */
import {
  SkerryError,
  type Json,
  type MetaReader,
  type ObjectRef,
  type VersionContent,
  type VersionInfo,
  type VersionSettingName,
  type VersionVector,
  type Versioning,
} from '../contracts/index.ts';
import { noSuchBucket, versioningOf } from './buckets.ts';
import { findNull, findVersion } from './find-version.ts';
import { bucketKey, conflictKey, headKey, tombstoneKey, versionKey } from './keys.ts';
import {
  decodeRecord,
  type BucketRecord,
  type ConflictRecord,
  type HeadRecord,
  type TombstoneRecord,
  type VersionRecord,
  visibleOf,
} from './records.ts';
import { parseVersionId, versionIdOf } from './stamp.ts';
import type { Txn } from './txn.ts';

/** Keys are 1 to 1,024 bytes of UTF-8. */
export function checkKey(key: string): void {
  const bytes = Buffer.byteLength(key, 'utf8');
  if (bytes === 0) throw new SkerryError('InvalidArgument', 'an object key must not be empty');
  if (bytes > 1024)
    throw new SkerryError('KeyTooLong', 'Your key is too long', { details: { sizeBytes: bytes, maxBytes: 1024 } });
}

export function shownVersionId(record: VersionRecord): string {
  return record.nullVersion ? 'null' : versionIdOf(record.stamp);
}

/** Opaque token of a state: it names the vector (rule 18). */
export function causalityToken(vector: VersionVector): string {
  return Buffer.from(JSON.stringify(vector)).toString('base64url');
}

export function versionInfo(bucket: string, key: string, record: VersionRecord, isLatest: boolean): VersionInfo {
  const settings: Partial<Record<VersionSettingName, Json>> = {};
  for (const [name, register] of Object.entries(record.settings ?? {}))
    settings[name as VersionSettingName] = register.value;
  return {
    bucket,
    key,
    stamp: record.stamp,
    versionId: shownVersionId(record),
    isLatest,
    marker: record.marker === true,
    ...(record.content ? { content: record.content } : {}),
    owner: record.owner,
    modifiedAtMs: record.modifiedAtMs,
    settings,
  };
}

/** A version that was found, and the bucket's versioning as of the same read. */
export interface FoundVersion {
  readonly record: VersionRecord & { readonly content: VersionContent };
  readonly info: VersionInfo & { readonly content: VersionContent };
  readonly versioning: Versioning;
}

const noSuchKey = (key: string, details: object = {}): SkerryError =>
  new SkerryError('NoSuchKey', 'The specified key does not exist.', { details: { key, ...details } });
const noSuchVersion = (key: string, versionId: string): SkerryError =>
  new SkerryError('NoSuchVersion', 'The specified version does not exist.', { details: { key, versionId } });

/** Reads a version with content; the errors of `ObjectService.openObject`. */
export async function findObject(reader: MetaReader, ref: ObjectRef): Promise<FoundVersion> {
  const { bucket, key, versionId } = ref;
  const stamp = versionId === undefined || versionId === 'null' ? undefined : parseVersionId(versionId);
  if (versionId !== undefined && versionId !== 'null' && !stamp) {
    throw new SkerryError('InvalidArgument', 'Invalid version id specified', { details: { versionId } });
  }
  const { bucketRow, head, version, conflict } = await readRows(reader, ref, stamp);
  if (!bucketRow) throw noSuchBucket(bucket);
  const versioning = versioningOf(decodeRecord<BucketRecord>(bucketRow));
  const record = conflict ? (conflict.loser ?? version) : pick(ref, head, version, stamp);
  if (!record) {
    if (versionId !== undefined) throw noSuchVersion(key, versionId);
    throw noSuchKey(key, head || !(await isLostToRemoval(reader, ref)) ? {} : { conflict: true });
  }
  const inConflict = conflict !== undefined || head?.conflicts !== undefined;
  const plain = versionInfo(bucket, key, record, record.stamp === visibleOf(head)?.stamp);
  const info: VersionInfo = inConflict ? { ...plain, conflict: true } : plain;
  if (!record.content) throw markerError(ref, info);
  return { record: record as FoundVersion['record'], info: info as FoundVersion['info'], versioning };
}

interface Rows {
  readonly bucketRow: Uint8Array | undefined;
  readonly head: HeadRecord | undefined;
  /** The one with the stamp that is asked for, or the null version, unless it is the head. */
  readonly version: VersionRecord | undefined;
  readonly conflict: ConflictRecord | undefined;
}

/** All of one state. Only the head tells which version is the null one, so both are read until they agree. */
async function readRows(reader: MetaReader, ref: ObjectRef, stamp: string | undefined): Promise<Rows> {
  const { bucket, key, versionId } = ref;
  for (let asked = stamp; ;) {
    const [bucketRow, headRow, versionRow, conflictRow] = await reader.get([
      bucketKey(bucket),
      headKey(bucket, key),
      ...(asked === undefined ? [] : [versionKey(bucket, key, asked)]),
      ...(stamp === undefined ? [] : [conflictKey(bucket, key, stamp)]),
    ]);
    const head = headRow && decodeRecord<HeadRecord>(headRow);
    const wanted = versionId === 'null' ? head?.nullStamp : stamp;
    const version = versionRow && decodeRecord<VersionRecord>(versionRow);
    const conflict = conflictRow && decodeRecord<ConflictRecord>(conflictRow);
    if (wanted === asked) return { bucketRow, head, version, conflict };
    asked = wanted;
  }
}

/** A key without a current version whose removal had not seen everything: what it beat is listed and can be opened. */
async function isLostToRemoval(reader: MetaReader, { bucket, key }: ObjectRef): Promise<boolean> {
  const [row] = await reader.get([tombstoneKey(bucket, key, null)]);
  return row !== undefined && decodeRecord<TombstoneRecord>(row).conflicts !== undefined;
}

function pick(
  { versionId }: ObjectRef,
  head: HeadRecord | undefined,
  version: VersionRecord | undefined,
  stamp: string | undefined,
): VersionRecord | undefined {
  if (versionId === undefined) return visibleOf(head);
  if (stamp) {
    const found = head?.stamp === stamp ? head : version;
    // A null version is only known as `null`: its stamp is not an id of S3's.
    return found?.nullVersion ? undefined : found;
  }
  return head?.nullVersion ? head : version;
}

function markerError({ key, versionId }: ObjectRef, info: VersionInfo): SkerryError {
  if (versionId === undefined) {
    const conflict = info.conflict ? { conflict: true } : {};
    return noSuchKey(key, { marker: true, versionId: info.versionId, ...conflict });
  }
  return new SkerryError('MethodNotAllowed', 'The specified method is not allowed against a delete marker', {
    details: { key, marker: true, versionId: info.versionId, modifiedAtMs: info.modifiedAtMs },
  });
}

/** The same choice inside a transaction; markers are found too. */
export function versionIn(
  txn: Txn,
  { bucket, key, versionId }: ObjectRef,
): { readonly head: HeadRecord | undefined; readonly version: VersionRecord | undefined } {
  const head = txn.record<HeadRecord>(headKey(bucket, key));
  if (versionId === undefined) return { head, version: visibleOf(head) };
  if (versionId === 'null') return { head, version: findNull(txn, bucket, key, head) };
  const stamp = parseVersionId(versionId);
  if (!stamp) throw new SkerryError('InvalidArgument', 'Invalid version id specified', { details: { versionId } });
  const version = findVersion(txn, bucket, key, head, stamp);
  return { head, version: version?.nullVersion ? undefined : version };
}
