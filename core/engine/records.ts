/**
 * What the rows hold: JSON, so that a person with the sqlite3 shell can read them. Everything but `local` is replicated
 * state, the same on every site with the same vector.
 */
import type {
  BucketSettingName,
  ChecksumAlgorithm,
  Hlc,
  Json,
  Locator,
  ManifestEntry,
  ObjectChecksum,
  RecordKind,
  SiteId,
  Stamp,
  VersionContent,
  VersionSettingName,
  VersionVector,
  WriteResult,
} from '../contracts/index.ts';

/** A register: last writer wins by stamp. */
export interface Register {
  readonly value: Json;
  readonly stamp: Stamp;
}

/** `site/opLog`: what the log of ops next to the data is known to hold. */
export interface OpLogRecord {
  readonly vector: VersionVector;
}

/** A line of the log next to the data in place of an op: up to here it lacks ops of these origins, which came with a snapshot. */
export interface UnloggedMark {
  readonly unlogged: VersionVector;
}

/** Row of `site`/clock: written by every commit. */
export interface ClockRecord {
  readonly hlc: Hlc;
  readonly vector: VersionVector;
  /** An operator let in what is stamped up to here, wall milliseconds, although our clock was far behind (rule 11). */
  readonly letInMs?: number;
  /** While a peer's snapshot is merged: what it covers. */
  readonly merging?: VersionVector;
}

/** Row of `site`/merging: a peer's snapshot that is being merged. */
export interface MergingRecord {
  readonly cutId: string;
  readonly vector: VersionVector;
  /** Whose snapshot it is, where it came over the wire. */
  readonly from?: SiteId;
  /** This site was empty: until the snapshot is in, it is not ready. */
  readonly joining?: true;
  /** Everything up to here is merged; absent: nothing yet. */
  readonly position?: string;
}

/** A bucket; which creations and settings count is decided in bucket-state.ts. */
export interface BucketRecord {
  readonly owner: string;
  readonly createdAtMs: number;
  /** Stamp of the creation that decides owner and creation time: the smallest one of the present incarnation. */
  readonly stamp: Stamp;
  readonly objectLock?: true;
  readonly settings: BucketSettings;
  /** Absent while there is one creation, the one above, and no removal has seen it. */
  readonly creations?: readonly BucketCreation[];
}

export type BucketSettings = Readonly<Partial<Record<BucketSettingName, BucketSetting>>>;

export interface BucketSetting extends Register {
  /** A removal of the bucket has seen it. */
  readonly removed?: true;
  /** A later creation of the bucket has seen it. */
  readonly seen?: true;
  /** Its value, should what was written before the removal come back; `value` is null then. */
  readonly past?: Json;
}

export interface BucketCreation {
  readonly stamp: Stamp;
  readonly owner: string;
  readonly createdAtMs: number;
  readonly objectLock?: true;
  /** The removal with the largest stamp of those that have seen it. */
  readonly removed?: Removal;
  /** A later creation of the bucket has seen it. */
  readonly seen?: true;
}

/** One version of a key, delete markers included. */
export interface VersionRecord {
  readonly stamp: Stamp;
  readonly deps: VersionVector;
  readonly nullVersion?: true;
  readonly marker?: true;
  readonly owner: string;
  readonly modifiedAtMs: number;
  readonly content?: VersionContent;
  readonly settings?: Readonly<Partial<Record<VersionSettingName, Register>>>;
  /** What has locked it since it was written, also when that is over: for removals that have not seen it (rule 10). */
  readonly locks?: readonly LockMark[];
  readonly local?: VersionLocal;
}

/** A retention or legal hold that was set at some time. */
export interface LockMark {
  /** Of the op that set it. */
  readonly stamp: Stamp;
  /** Unix milliseconds; absent for a legal hold, which has no end. */
  readonly untilMs?: number;
}

/** What only this site knows of a version. */
export interface VersionLocal {
  /** A small body's only chunk: owned by this version, without a row in `chunks`. */
  readonly locator?: Locator;
  /** Bytes are missing here: not shown as current until they have been fetched (rule 13). */
  readonly pending?: true;
  /** Shown all the same: what is missing is fetched when it is read. Only with `pending`. */
  readonly eager?: true;
}

/** When an arriving version is shown: `complete`, once all its bytes are here; `eager`, at once. */
export type Visibility = 'complete' | 'eager';

export const pendingLocal = (visibility: Visibility | undefined): VersionLocal =>
  visibility === 'eager' ? { pending: true, eager: true } : { pending: true };

/** Readers do not see it: its bytes are missing. */
export const isHidden = ({ local }: Pick<VersionRecord, 'local'>): boolean =>
  local?.pending === true && local.eager !== true;

/** Row of `heads`: the current version of a key, whole. */
export interface HeadRecord extends VersionRecord {
  /** Stamp of the key's null version while that is not the current one. */
  readonly nullStamp?: Stamp;
  /** Unresolved conflicts of the key; absent for none. */
  readonly conflicts?: number;
  /** A later write has seen this version although it did not become current. */
  readonly seen?: true;
  /** While this version is hidden: what readers of the key see instead. */
  readonly shadow?: Shadow;
}

/** The last version of a key whose bytes are here, while a newer one waits for its own. */
export interface Shadow {
  readonly record: VersionRecord;
  /** Nothing else holds its bytes any more. */
  readonly owned?: true;
}

/** What readers of a key see: its current version, or the one before while the current one's bytes are missing. */
export function visibleOf(head: HeadRecord | undefined): VersionRecord | undefined {
  return head && isHidden(head) ? head.shadow?.record : head;
}

/** Row of `conflicts`: a version that no later write of its key has seen and that is not current. */
export interface ConflictRecord {
  readonly stamp: Stamp;
  /** The version itself, where it lost the null-version register and lives nowhere else. */
  readonly loser?: VersionRecord;
}

/** Row of `queues`: this site's note of a version that lost a conflict. */
export interface LoserRecord {
  readonly bucket: string;
  readonly key: string;
  /** When this site first saw the conflict, Unix milliseconds. */
  readonly seenAtMs: number;
}

export interface Removal {
  readonly stamp: Stamp;
  readonly deps: VersionVector;
}

/** The recorded removal of a version or of a null-version register. */
export interface TombstoneRecord extends Removal {
  /** The removed version, while a lock that the removal has not seen may bring it back. */
  readonly kept?: VersionRecord;
  /** Absent for one: all removals of the kept version, by stamp, the one above included. */
  readonly removals?: readonly Removal[];
  /** Of a null-version register whose key has no current version: its unresolved conflicts; absent for none. */
  readonly conflicts?: number;
}

/** The recorded removal of a bucket that does not exist, with what it was, should something that was not seen revive it. */
export interface BucketTombstone extends Removal {
  readonly bucket: BucketRecord;
}

/** Row of `chunks`: where a chunk of this site lies. */
export interface ChunkRow {
  readonly locator: Locator;
  readonly length: number;
  readonly kind: RecordKind;
}

/** Where a chunk of a write lies. `fresh`: appended for this write, to be freed if the write fails. */
export interface Placement extends ChunkRow {
  readonly hash: string;
  readonly fresh: boolean;
  /** For nodes: the entries that it refers to. */
  readonly children?: readonly ManifestEntry[];
}

export interface CounterRecord {
  /** Keys whose current version is not a delete marker, and their bytes. */
  readonly objects: number;
  readonly objectBytes: number;
  /** All versions, delete markers included, and their bytes. */
  readonly versions: number;
  readonly versionBytes: number;
  /** Versions that lost the null-version register to an op that had not seen them; absent for none. */
  readonly losers?: number;
}

/** Row of `uploads`: a multipart upload in flight. */
export interface UploadRecord {
  readonly owner: string;
  readonly initiator: string;
  readonly initiatedAtMs: number;
  /** Rises with every change of its parts, so that a completion knows that what it read still holds. */
  readonly generation: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly storageClass: string;
  readonly settings?: Readonly<Partial<Record<VersionSettingName, Json>>>;
  readonly checksumAlgorithm?: ChecksumAlgorithm;
  readonly checksumType?: ObjectChecksum['type'];
}

/** Row of `uploads`: the memory of a completed upload, so that a repeated completion answers the same. */
export interface CompletedUploadRecord {
  readonly bucket: string;
  readonly key: string;
  readonly completedAtMs: number;
  /** SHA-256 of the part numbers and ETags, hex. */
  readonly partsDigest: string;
  readonly result: WriteResult;
}

export interface PartRecord {
  readonly size: number;
  readonly etag: string;
  readonly modifiedAtMs: number;
  readonly checksums: readonly ObjectChecksum[];
  readonly manifest: readonly ManifestEntry[];
}

export function encodeRecord(record: object): Uint8Array {
  return Buffer.from(JSON.stringify(record), 'utf8');
}

/** Rows are written by us alone: one that does not parse is damage, and the error says so. */
export function decodeRecord<T>(bytes: Uint8Array): T {
  return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')) as T;
}
