/**
 * The records that sites exchange and stores keep. Plain readonly data: no behaviour, no defaults, JSON-safe.
 * Words follow the literature: dot and version vector (Almeida et al., "Dotted Version Vectors", 2012), hybrid logical
 * clock (Kulkarni et al., "Logical Physical Clocks", 2014), tombstone, manifest.
 */

/** Short name of a site, `[a-z0-9][a-z0-9-]{0,31}`. */
export type SiteId = string & { readonly __brand?: 'SiteId' };
/** 16 lower-case hex digits, minted when a data directory is created or restored. */
export type Incarnation = string & { readonly __brand?: 'Incarnation' };
/** `<site>.<incarnation>`: who authored an op. A restored site is a new origin. */
export type Origin = string & { readonly __brand?: 'Origin' };
/**
 * Hybrid logical clock reading: 12 hex digits of wall milliseconds, then 4 of the counter. Fixed width, so that
 * comparing the strings by code unit, their bytes in SQL, and the numbers all give the same order. In a primary-replica fleet
 * whose primary was moved `p` and 8 hex digits of the fencing epoch come first; `p` sorts above every digit, so that a newer epoch is
 * later than any reading of an older one.
 */
export type Hlc = string & { readonly __brand?: 'Hlc' };
/**
 * `<hlc>!<site>!<incarnation>!<seq, 10 hex digits>`: the total order of all ops. `!` sorts below every character a site
 * id may hold, so comparing the strings compares hlc, then site id, then incarnation, then seq. No two ops share one.
 */
export type Stamp = string & { readonly __brand?: 'Stamp' };
/** Highest contiguous `seq` applied, by origin. An origin that is absent counts as 0. */
export type VersionVector = Readonly<Record<Origin, number>>;

/** Identity of an op. `seq` is dense (1, 2, 3 ...) within an origin. */
export interface Dot {
  readonly origin: Origin;
  readonly seq: number;
}

/** Content address: `<algorithm>:<lower-case hex>`, today always `sha256:`. */
export type ChunkHash = string & { readonly __brand?: 'ChunkHash' };

/**
 * One entry of a manifest. Without `span` it is a data chunk of `length` bytes. With `span` it is a manifest node: a chunk
 * of `length` bytes whose content is a JSON array of ManifestEntry that together cover `span` bytes of the object. So a
 * manifest is a rope: completing a multipart upload concatenates entries and copies no data.
 */
export interface ManifestEntry {
  readonly hash: ChunkHash;
  /** Bytes of the chunk itself. */
  readonly length: number;
  /** Bytes of the object that lie under this node; absent on data chunks. */
  readonly span?: number;
}

/** Ordered entries that make up a version's bytes; `[]` for an empty object. */
export type Manifest = readonly ManifestEntry[];

/** A checksum of the object as S3 knows it. `value` is base64, with `-N` appended when COMPOSITE. */
export interface ObjectChecksum {
  readonly algorithm: ChecksumAlgorithm;
  readonly type: 'FULL_OBJECT' | 'COMPOSITE';
  readonly value: string;
}
export type ChecksumAlgorithm = 'CRC32' | 'CRC32C' | 'CRC64NVME' | 'SHA1' | 'SHA256' | 'MD5';

/** One part of a completed multipart upload, as GetObjectAttributes and `partNumber` reads need it. */
export interface PartSummary {
  readonly number: number;
  readonly size: number;
  /** base64, of the upload's checksum algorithm. */
  readonly checksum?: string;
}

/** Retention of an object version (S3 Object Lock). */
export interface Retention {
  readonly mode: 'GOVERNANCE' | 'COMPLIANCE';
  /** Unix time in milliseconds. */
  readonly until: number;
}

/** What a version is, apart from where its bytes lie. Travels in the op unchanged; every site stores the same. */
export interface VersionContent {
  /** Bytes. */
  readonly size: number;
  /** Without quotes: hex MD5, or `md5(md5s)-N` for a multipart object. */
  readonly etag: string;
  readonly manifest: Manifest;
  /** Lower-case standard headers kept with the object (`content-type`, `cache-control`, `content-disposition`, ...). */
  readonly headers: Readonly<Record<string, string>>;
  /** User metadata, names lower-case without the `x-amz-meta-` prefix. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly storageClass: string;
  readonly checksums?: readonly ObjectChecksum[];
  /** Inline for up to 32 parts. */
  readonly parts?: readonly PartSummary[];
  /** More than 32 parts: the manifest of a JSON array of PartSummary, stored like an object. */
  readonly partsManifest?: Manifest;
}

/** Settings of a version that are registers of their own (rule 7). Values are JSON. */
export type VersionSettingName = 'tags' | 'acl' | 'retention' | 'legalHold';
/** Settings of a bucket that are registers of their own (rule 7). Values are JSON (or the XML/JSON text a client sent). */
export type BucketSettingName =
  | 'versioning'
  | 'policy'
  | 'cors'
  | 'lifecycle'
  | 'encryption'
  | 'tagging'
  | 'acl'
  | 'ownership'
  | 'publicAccess'
  | 'objectLock'
  | 'website'
  | 'logging'
  | 'notification'
  | 'requestPayment'
  | 'replication'
  | 'accelerate';

/** JSON value. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export type OpBody =
  | {
      readonly type: 'bucket.create';
      readonly bucket: string;
      readonly owner: string;
      readonly createdAtMs: number;
      readonly objectLock?: boolean;
    }
  | { readonly type: 'bucket.remove'; readonly bucket: string }
  | { readonly type: 'bucket.setting'; readonly bucket: string; readonly name: BucketSettingName; readonly value: Json }
  | VersionPut
  | VersionRemove
  | VersionSetting
  | { readonly type: 'principal.put'; readonly id: string; readonly value: Json }
  | { readonly type: 'principal.remove'; readonly id: string }
  | { readonly type: 'policy.put'; readonly id: string; readonly value: Json }
  | { readonly type: 'policy.remove'; readonly id: string }
  | { readonly type: 'member.put'; readonly id: string; readonly value: Json }
  | { readonly type: 'member.remove'; readonly id: string };

/** An object version, a delete marker, a completed multipart upload or a copy. */
export interface VersionPut {
  readonly type: 'version.put';
  readonly bucket: string;
  readonly key: string;
  /**
   * True: written while versioning was off or suspended. Null versions of a key are one last-writer-wins register;
   * other versions are an immutable set. Decided by the origin, never re-derived by a replica.
   */
  readonly nullVersion: boolean;
  /** True: a delete marker; `content` is absent. */
  readonly marker: boolean;
  readonly content?: VersionContent;
  /** Owner id (canonical id of the writing principal). */
  readonly owner: string;
  /** Unix milliseconds, what Last-Modified shows. */
  readonly modifiedAtMs: number;
  /** First values of the version's setting registers; they carry the op's own stamp. */
  readonly settings?: Readonly<Partial<Record<VersionSettingName, Json>>>;
}

/** Removal of one version, or (with target `null`) of whatever null version has a smaller stamp. */
export interface VersionRemove {
  readonly type: 'version.remove';
  readonly bucket: string;
  readonly key: string;
  /** Stamp of the version to remove, or `null` for the null-version register. */
  readonly target: Stamp | null;
  /**
   * True: the bucket has Object Lock, so that a lock that this removal has not seen voids it. Decided by the origin, never
   * re-derived by a replica. Of versions with a stamp as their target only.
   */
  readonly tentative?: boolean;
}

/** Sets one setting register of one version. `null` clears it. */
export interface VersionSetting {
  readonly type: 'version.setting';
  readonly bucket: string;
  readonly key: string;
  /** Stamp of the version whose setting this is. */
  readonly target: Stamp;
  readonly name: VersionSettingName;
  readonly value: Json;
}

export type OpType = OpBody['type'];

/** One entry of the oplog. Written once by its origin, relayed unchanged, never re-stamped. */
export interface Op<B extends OpBody = OpBody> {
  readonly dot: Dot;
  readonly stamp: Stamp;
  /** The version vector its origin had when it wrote, the op itself not included. */
  readonly deps: VersionVector;
  readonly body: B;
}
