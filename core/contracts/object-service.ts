/**
 * What a gateway calls: buckets, objects, listings, multipart uploads. Protocol-free; all rules of storage live behind it.
 *
 * Failures are SkerryErrors: `NoSuchBucket`, `NoSuchKey`, `NoSuchVersion`, `NoSuchUpload`, `PreconditionFailed`, `BucketNotEmpty`, `InvalidPart`,
 * `ChecksumMismatch` (details: `{ which: 'sha256' | 'md5' | 'checksum' }`), `IncompleteBody`, `OutOfSpace`, `Unavailable`, ... A write that rejects changed
 * nothing that can be seen. A write that resolves is durable (as far as the site's durability setting says) and visible.
 * Keys are 1 to 1,024 bytes of UTF-8 and never a path. No authorisation happens here.
 */
import type { ConflictService } from './conflict-service.ts';
import type {
  BucketSettingName,
  ChecksumAlgorithm,
  Json,
  ObjectChecksum,
  PartSummary,
  Stamp,
  VersionContent,
  VersionSettingName,
} from './model.ts';

/** Body of a write, and what must be true of it. */
export interface BodySource {
  /** Exactly one of `bytes` (whole body in memory; the service may keep reading it until the call settles) and `stream`. */
  readonly bytes?: Uint8Array;
  /** Read once, with back-pressure; `return()` is called when the write fails early. Pieces must not change after they are yielded. */
  readonly stream?: AsyncIterable<Uint8Array>;
  /** Called, if given, with a piece of `stream` that nobody will read again, so that its memory need not wait for the garbage collector. */
  readonly release?: (piece: Uint8Array) => void;
  /** Declared size in bytes; another number of bytes rejects with `IncompleteBody`. */
  readonly size?: number;
  /** Lower-case hex SHA-256 that the whole body must have (a signed payload). */
  readonly sha256?: string;
  /** base64 MD5 that the whole body must have (Content-MD5). */
  readonly md5?: string;
  readonly checksum?: RequestedChecksum;
}

/** A checksum to compute and keep; compared when an expected value is given or arrives in a trailer. */
export interface RequestedChecksum {
  readonly algorithm: ChecksumAlgorithm;
  /** base64. */
  readonly expected?: string;
  /** Called after the last byte: the base64 value from a trailer. `undefined` then means that it is missing: `ChecksumMismatch`. */
  readonly trailer?: () => string | undefined;
}

/** Decided inside the commit against this site's own state (rule 19). ETags without quotes, `*` allowed. */
export interface WriteCondition {
  /** `PreconditionFailed` unless the current version's ETag is listed; `NoSuchKey` when there is none. */
  readonly ifMatch?: readonly string[];
  /** `PreconditionFailed` when the current version's ETag is listed (`*`: when there is any). */
  readonly ifNoneMatch?: readonly string[];
  readonly ifMatchModifiedAtMs?: number;
  readonly ifMatchSize?: number;
}

/** Setting values of a version, with `null` for none. */
export type VersionSettings = Readonly<Partial<Record<VersionSettingName, Json>>>;

export interface VersionInfo {
  readonly bucket: string;
  readonly key: string;
  readonly stamp: Stamp;
  /** `null` for the null version. Opaque, URL-safe, the same on every site. */
  readonly versionId: string;
  readonly isLatest: boolean;
  readonly marker: boolean;
  /** Absent on delete markers. */
  readonly content?: VersionContent;
  readonly owner: string;
  readonly modifiedAtMs: number;
  readonly settings: VersionSettings;
  /** The key has versions that its current one has not seen: see ConflictService. Only on versions that were opened or asked about. */
  readonly conflict?: true;
}

export interface ObjectRef {
  readonly bucket: string;
  readonly key: string;
  /** `null` for the null version; absent for the current one. A listed loser of a conflict has an id of its own (ConflictSide). */
  readonly versionId?: string;
}

/** A version opened for reading; pins its bytes until `close`. */
export interface OpenObject {
  readonly info: VersionInfo & { readonly content: VersionContent };
  /** The bucket's versioning as of the same read; `Off` means that no version id is shown. */
  readonly versioning: Versioning;
  /** All bytes of `[start, start + length)` at once, when they are small (at most 64 KiB) and can be had without waiting; else `undefined`. */
  readNow(start: number, length: number): Uint8Array | undefined;
  /**
   * Stream of `[start, start + length)`. Each piece stays unchanged until the next is asked for (buffers are reused).
   * Integrity is checked before a piece is yielded; damage rejects with `Corrupt`.
   */
  read(start: number, length: number, signal?: AbortSignal): AsyncIterable<Uint8Array>;
  /** Parts of a multipart object (`undefined` for others). */
  parts(): Promise<readonly PartSummary[] | undefined>;
  /** Idempotent. */
  close(): void;
}

export type Versioning = 'Off' | 'Enabled' | 'Suspended';

export interface BucketInfo {
  readonly name: string;
  readonly owner: string;
  readonly createdAtMs: number;
  readonly versioning: Versioning;
  readonly objectLock: boolean;
  /** Current values of all settings that are set. */
  readonly settings: Readonly<Partial<Record<BucketSettingName, Json>>>;
}

export interface WriteResult {
  readonly stamp: Stamp;
  /** What to show as version id: absent while versioning is off. */
  readonly versionId?: string;
  readonly etag: string;
  readonly size: number;
  readonly checksums: readonly ObjectChecksum[];
  readonly modifiedAtMs: number;
  /** Opaque token: a state that includes this write (rule 18). */
  readonly causality: string;
}

export interface PutObjectInput {
  readonly bucket: string;
  readonly key: string;
  readonly body: BodySource;
  readonly owner: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly storageClass: string;
  readonly settings?: VersionSettings;
  readonly condition?: WriteCondition;
  readonly signal?: AbortSignal;
}

export interface CopyObjectInput {
  readonly source: ObjectRef;
  readonly bucket: string;
  readonly key: string;
  readonly owner: string;
  /** Given: replace; absent: take the source's. */
  readonly replace?: Pick<PutObjectInput, 'headers' | 'metadata'>;
  readonly storageClass?: string;
  /** Given: replace; absent: copy the source's tags. ACL and locks are never copied. */
  readonly settings?: VersionSettings;
  readonly copyTags: boolean;
  readonly checksum?: ChecksumAlgorithm;
  /** Checked on the source: `PreconditionFailed`. */
  readonly sourceCheck?: (source: VersionInfo) => void;
  readonly condition?: WriteCondition;
}

export interface DeleteObjectInput extends ObjectRef {
  readonly owner: string;
  readonly condition?: WriteCondition;
  readonly bypassGovernance?: boolean;
}

export interface DeleteResult {
  /** True when the call made a delete marker or removed one. */
  readonly marker: boolean;
  /** Version id of the marker that was made, or of the version that was removed. */
  readonly versionId?: string;
  readonly causality?: string;
}

export interface ListInput {
  readonly bucket: string;
  readonly prefix?: string;
  readonly delimiter?: string;
  /** Strictly after this key (or common prefix) in byte order. */
  readonly after?: string;
  /** 0 to 1,000. */
  readonly limit: number;
}

export interface ListPage<T> {
  readonly entries: readonly T[];
  /** Byte order, none repeated on a later page. */
  readonly commonPrefixes: readonly string[];
  /** True only when something really follows. */
  readonly truncated: boolean;
  /** Last key or common prefix of this page: pass it as `after`. Absent when not truncated. */
  readonly next?: string;
}

/** A row of a listing: light (no manifest). */
export interface ListedObject {
  readonly key: string;
  readonly size: number;
  readonly etag: string;
  readonly modifiedAtMs: number;
  readonly storageClass: string;
  readonly owner: string;
  readonly checksumAlgorithm?: ChecksumAlgorithm;
  readonly checksumType?: ObjectChecksum['type'];
}

export interface ListedVersion extends ListedObject {
  readonly versionId: string;
  readonly isLatest: boolean;
  readonly marker: boolean;
}

export interface ListVersionsInput extends ListInput {
  /** With `after`: strictly after this version of the key `after`, in newest-first order. `null` for the null version. */
  readonly afterVersionId?: string;
}

export interface ListVersionsPage extends ListPage<ListedVersion> {
  readonly nextVersionId?: string;
}

export interface CreateUploadInput {
  readonly bucket: string;
  readonly key: string;
  readonly owner: string;
  /** Initiating principal's user id. */
  readonly initiator: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly storageClass: string;
  readonly settings?: VersionSettings;
  readonly checksumAlgorithm?: ChecksumAlgorithm;
  readonly checksumType?: ObjectChecksum['type'];
}

/** Every call names all three; an upload id of another bucket or key is `NoSuchUpload`. */
export interface UploadRef {
  readonly bucket: string;
  readonly key: string;
  readonly uploadId: string;
}

export interface UploadInfo extends UploadRef {
  readonly owner: string;
  readonly initiator: string;
  readonly initiatedAtMs: number;
  readonly storageClass: string;
  readonly checksumAlgorithm?: ChecksumAlgorithm;
  readonly checksumType?: ObjectChecksum['type'];
}

export interface PartInfo {
  readonly number: number;
  readonly size: number;
  readonly etag: string;
  readonly modifiedAtMs: number;
  readonly checksums: readonly ObjectChecksum[];
}

export interface CompletedPart {
  readonly number: number;
  /** Without quotes. */
  readonly etag: string;
  /** base64 by algorithm, compared when given. */
  readonly checksums?: Readonly<Partial<Record<ChecksumAlgorithm, string>>>;
}

export interface CompleteUploadInput extends UploadRef {
  readonly parts: readonly CompletedPart[];
  readonly condition?: WriteCondition;
  /** Expected object checksum (base64, maybe with `-N`) and size. */
  readonly checksum?: {
    readonly algorithm: ChecksumAlgorithm;
    readonly expected: string;
    readonly type?: ObjectChecksum['type'];
  };
  readonly expectedSize?: number;
}

export interface ObjectService extends ConflictService {
  listBuckets(input: {
    readonly owner?: string;
    readonly prefix?: string;
    readonly after?: string;
    readonly limit: number;
  }): Promise<ListPage<BucketInfo>>;
  /** `BucketAlreadyOwnedByYou` or `BucketAlreadyExists` when it exists. */
  createBucket(input: {
    readonly bucket: string;
    readonly owner: string;
    readonly objectLock?: boolean;
    readonly settings?: Readonly<Partial<Record<BucketSettingName, Json>>>;
  }): Promise<BucketInfo>;
  /** Cheap enough for every request. `NoSuchBucket`. */
  getBucket(bucket: string): Promise<BucketInfo>;
  /** `BucketNotEmpty` while any version or delete marker is there. Open uploads end with it. */
  deleteBucket(bucket: string): Promise<void>;
  /** `null` clears. Values are validated by the caller's protocol; `versioning` must be `Enabled` or `Suspended`. */
  putBucketSetting(bucket: string, name: BucketSettingName, value: Json): Promise<void>;

  putObject(input: PutObjectInput): Promise<WriteResult>;
  /**
   * `NoSuchKey` (details: `{ marker: true, versionId }` when a delete marker is current), `NoSuchVersion`, `MethodNotAllowed` (the version asked for is a delete
   * marker; details: `{ versionId, modifiedAtMs }`).
   */
  openObject(ref: ObjectRef): Promise<OpenObject>;
  /** The same errors; no bytes are opened. */
  headObject(
    ref: ObjectRef,
  ): Promise<{ readonly info: VersionInfo & { readonly content: VersionContent }; readonly versioning: Versioning }>;
  /** By reference: no bytes are copied. Same key allowed when something is replaced. */
  copyObject(input: CopyObjectInput): Promise<WriteResult & { readonly sourceVersionId?: string }>;
  /** Absent objects are no error. */
  deleteObject(input: DeleteObjectInput): Promise<DeleteResult>;
  /** One outcome each, in order; one failure does not fail the others. */
  deleteObjects(inputs: readonly DeleteObjectInput[]): Promise<readonly (DeleteResult | Error)[]>;
  /** Sets a register of the version (current when no version id). `null` clears. Answers the version it was set on. */
  putVersionSetting(ref: ObjectRef, name: VersionSettingName, value: Json): Promise<VersionInfo>;

  listObjects(input: ListInput): Promise<ListPage<ListedObject>>;
  listVersions(input: ListVersionsInput): Promise<ListVersionsPage>;

  createUpload(input: CreateUploadInput): Promise<UploadInfo>;
  getUpload(ref: UploadRef): Promise<UploadInfo>;
  /** Number 1 to 10,000; a part of the same number is replaced. */
  putPart(
    input: UploadRef & { readonly number: number; readonly body: BodySource; readonly signal?: AbortSignal },
  ): Promise<PartInfo>;
  /** By reference where chunk boundaries allow, else copied inside the store. `range` is inclusive bytes. */
  copyPart(
    input: UploadRef & {
      readonly number: number;
      readonly source: ObjectRef;
      readonly range?: { readonly start: number; readonly end: number };
      readonly sourceCheck?: (source: VersionInfo) => void;
    },
  ): Promise<PartInfo & { readonly sourceVersionId?: string }>;
  listParts(
    ref: UploadRef,
    options: { readonly after?: number; readonly limit: number },
  ): Promise<{ readonly upload: UploadInfo; readonly parts: readonly PartInfo[]; readonly truncated: boolean }>;
  listUploads(
    input: ListInput & { readonly afterUploadId?: string },
  ): Promise<ListPage<UploadInfo> & { readonly nextUploadId?: string }>;
  /** `InvalidPart`, `InvalidPartOrder`, `EntityTooSmall`. Repeating a successful complete answers the same result. */
  completeUpload(input: CompleteUploadInput): Promise<WriteResult>;
  /** `NoSuchUpload` when there is none. */
  abortUpload(ref: UploadRef): Promise<void>;
}
