/**
 * Administration of a running or stopped site: what the CLI and the admin socket call. JSON in, JSON out.
 * Failures: SkerryError with the code; messages are for people.
 */
import type { PermissionPolicy } from './auth.ts';
import type { PrimaryRole } from './conflict-resolver.ts';
import type { ConflictedKey, ConflictPage, ListConflictsInput, ResolvedConflict } from './conflict-service.ts';
import type { Json, Origin, SiteId, VersionVector } from './model.ts';
import type { BootstrapStatus, PulledOnce, PushedOnce, Quarantined, ReplicationStatus } from './replication-status.ts';
import type { GcStatus, SpaceService } from './space-service.ts';
import type { ValidateInput, ValidationState } from './validation.ts';

export interface KeyInfo {
  readonly accessKeyId: string;
  readonly userId: string;
  readonly displayName: string;
  readonly email?: string;
  readonly account: string;
  readonly policy: PermissionPolicy;
  readonly enabled: boolean;
  readonly fromConfig: boolean;
}

export interface CreateKeyInput {
  /** Chosen at random when absent: 20 characters. */
  readonly accessKeyId?: string;
  /** Chosen at random when absent: 40 characters. */
  readonly secretKey?: string;
  readonly userId?: string;
  readonly displayName?: string;
  readonly email?: string;
  readonly account?: string;
  readonly policy: PermissionPolicy;
}

export interface SiteStatus {
  readonly site: SiteId;
  readonly origin: Origin;
  readonly version: string;
  readonly pid: number;
  readonly startedAtMs: number;
  readonly dataDir: string;
  readonly ready: boolean;
  readonly reason?: string;
  /** Why no writes are accepted, while reads are served. */
  readonly writesRefused?: string;
  readonly addresses: readonly string[];
  /** Who accepts writes; absent where every site does. */
  readonly primary?: PrimaryRole;
  readonly vector: VersionVector;
  /** Of all that the site replicates, at `vector`: sites of equal vectors must show equal digests (rule 16). Hex. */
  readonly digest: string;
  readonly counters: {
    readonly buckets: number;
    readonly objects: number;
    readonly objectBytes: number;
    readonly uploads: number;
  };
  readonly storage: { readonly liveBytes: number; readonly deadBytes: number; readonly freeBytes?: number };
  readonly gc: GcStatus;
  readonly memoryBytes: number;
  readonly plugins: Readonly<Record<string, string>>;
}

export interface BucketSummary {
  readonly name: string;
  readonly owner: string;
  readonly createdAtMs: number;
  readonly versioning: 'Enabled' | 'Suspended' | 'Off';
}

/** One origin that is recorded in the cluster, or has ops here. */
export interface MemberInfo {
  readonly site: SiteId;
  readonly origin: Origin;
  /** The site that answers. */
  readonly self: boolean;
  /** `unknown`: it has ops here and no record yet. Nothing is stable while there is such a one. */
  readonly state: 'member' | 'removed' | 'unknown';
  /** Its ops that are known here. */
  readonly ops: number;
  /** Unix milliseconds, by the clock of the site itself. */
  readonly joinedAtMs?: number;
  /** Clock of the last report that came from it, Unix milliseconds. */
  readonly lastReportMs?: number;
  readonly removedAtMs?: number;
  readonly removedBy?: SiteId;
}

export interface AdminService extends SpaceService {
  status(): Promise<SiteStatus>;
  listKeys(): Promise<readonly KeyInfo[]>;
  /** The only answer that ever holds a secret. `AlreadyExists` when the access key is taken. */
  createKey(input: CreateKeyInput): Promise<KeyInfo & { readonly secretKey: string }>;
  /** `NotFound`; `InvalidArgument` for keys from the config file. */
  setKeyEnabled(accessKeyId: string, enabled: boolean): Promise<KeyInfo>;
  setKeyPolicy(accessKeyId: string, policy: PermissionPolicy): Promise<KeyInfo>;
  removeKey(accessKeyId: string): Promise<void>;
  /** Seals the secrets of all keys with the present cluster key; the access keys that were not. Once every site has that cluster key. */
  resealKeys(): Promise<readonly string[]>;
  listBuckets(): Promise<readonly BucketSummary[]>;
  createBucket(
    name: string,
    options?: { readonly owner?: string; readonly versioning?: boolean },
  ): Promise<BucketSummary>;
  /** `BucketNotEmpty` unless `force`, which removes every version and upload first. */
  removeBucket(name: string, options?: { readonly force?: boolean }): Promise<void>;
  setBucketSetting(name: string, setting: string, value: Json): Promise<void>;
  getBucketSetting(name: string, setting: string): Promise<Json>;
  /** Unresolved losers by bucket; buckets without any are absent. */
  conflictCounts(): Promise<Readonly<Record<string, number>>>;
  listConflicts(input: ListConflictsInput): Promise<ConflictPage>;
  getConflict(bucket: string, key: string): Promise<ConflictedKey>;
  /** `choose` as in ResolveConflictInput. What is written anew belongs to the bucket's owner. */
  resolveConflict(bucket: string, key: string, choose: string): Promise<ResolvedConflict>;
  /** Makes this site the primary. `NotSupported` where every site accepts writes. */
  promote(): Promise<PrimaryRole>;
  /** `Unavailable` where nothing replicates: the site has no transport, or is not running. The same for the next two. */
  replicationStatus(): Promise<ReplicationStatus>;
  /** Takes everything that the peer has now, and what bytes can be had. `NotFound` for a site that is no peer. */
  pullFrom(peer: SiteId): Promise<PulledOnce>;
  /**
   * Begins to take a snapshot of a peer in place of its ops, by default of the one that has most; how it goes is in
   * `replicationStatus().bootstrap`. `Conflict` while one is being taken, `NotFound` for a site that is no peer.
   */
  bootstrapFrom(peer?: SiteId): Promise<BootstrapStatus>;
  /** Brings the peer everything that it lacks and takes now. */
  pushTo(peer: SiteId): Promise<PushedOnce>;
  /**
   * Lets in what is held back of an origin (rule 11). Ops stamped ahead of our clock take it along, here and at every site that lets them
   * in: what is written from then on is stamped as far ahead. `NotFound` when nothing of the origin is held.
   */
  releaseQuarantined(origin: Origin): Promise<Quarantined>;
  /** An operator vouches for the wall clock as it is now: writes that were refused since it jumped are accepted. */
  trustClock(): Promise<void>;
  /**
   * An operator vouches that nothing was written here since a backup was put back: the site goes on as a new origin without a proof by
   * a peer (`Fenced.unproven`). `Conflict` when it does not wait for one, or when the histories are known to differ.
   */
  recover(): Promise<void>;
  /**
   * Begins a check of this site against its own digest, its peers and, with `deep`, its bytes. `Conflict` while one runs, `NotFound` for a
   * site that is no peer. How it goes and what it found is in `validation`.
   */
  startValidation(input?: ValidateInput): Promise<void>;
  validation(): Promise<ValidationState>;
  /** Who belongs to the cluster and who did, by origin. */
  listMembers(): Promise<readonly MemberInfo[]>;
  /**
   * Takes a member that will not come back out of the cluster, by site id or origin; what was removed. `NotFound`; `InvalidArgument` for
   * the site that is asked. Cannot be undone: the site can only come back as a new incarnation.
   */
  removeMember(name: SiteId | Origin): Promise<readonly MemberInfo[]>;
  /** Ask the site to stop gracefully. Resolves when the stop has begun. */
  stop(): Promise<void>;
}
