/** What the engine of a site is given, and what it offers. */
import type {
  ChunkStore,
  Clock,
  ConflictResolver,
  Hashing,
  Identity,
  Incarnation,
  Lifecycle,
  Logger,
  MetaStore,
  ObjectService,
  Op,
  PrimaryRole,
  Random,
  SiteId,
  Timers,
  VersionVector,
} from '../contracts/index.ts';
import type { Auditor } from './auditor.ts';
import type { Verdict } from './conflicts.ts';
import type { SiteCounts } from './counts.ts';
import type { GarbageCollector } from './garbage.ts';
import type { Healing } from './healing.ts';
import type { IdentityStore } from './identities.ts';
import type { IngestOptions } from './ingest.ts';
import type { Keeping } from './keeping.ts';
import type { Members } from './members.ts';
import type { BeforeWriteVeto } from './objects.ts';
import type { Visibility } from './records.ts';
import type { Replica } from './replica.ts';
import type { ReplicaState } from './replica-state.ts';
import type { Space, SpaceOptions } from './space.ts';

export interface EngineOptions {
  readonly ingest?: IngestOptions;
  /** An op of another site this far ahead of the wall clock is held, milliseconds; default 60,000. */
  readonly maxClockDriftMs?: number;
  /** Ops of each origin that stay in the oplog although nobody needs them; default 10,000 (decision 21). */
  readonly keepOps?: number;
  /** A snapshot that is pinned for a peer is let go of when the peer did not ask for this long; default 10 minutes. */
  readonly leaseTtlMs?: number;
  /** Entries of one transaction while a peer's snapshot is merged; default 200. */
  readonly batchEntities?: number;
  /** Milliseconds between looks at what can be trimmed and purged; default 60,000. */
  readonly purgeIntervalMs?: number;
  /**
   * What was removed is remembered for at least this long after it is stable, milliseconds; default 24 hours. A site that was never
   * a member is let in with data of its own if that is at most half as old.
   */
  readonly tombstoneGraceMs?: number;
  /** What lost a conflict is removed so long after this site has seen the conflict, milliseconds; 0: never. Default 30 days. */
  readonly conflictRetentionMs?: number;
  readonly gc?: SpaceOptions;
  /** Buffers of all downloads together, bytes; default 32 MiB. */
  readonly readMemoryBytes?: number;
  /** When versions of other sites are shown: once all their bytes are here (`complete`, the default), or at once (`eager`). */
  readonly visibility?: Visibility;
}

export interface EngineDeps {
  readonly metaStore: MetaStore;
  readonly chunkStore: ChunkStore;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly hashing: Hashing;
  readonly logger: Logger;
  readonly siteId: SiteId;
  readonly incarnation: Incarnation;
  /** 32 bytes that seal secrets at rest. */
  readonly masterKey: Uint8Array;
  /**
   * 32 bytes each, that all sites of the cluster have: secrets sealed with them can be used at each site. The first one seals, the others
   * open what was sealed before.
   */
  readonly clusterSealingKeys?: readonly Uint8Array[];
  readonly configIdentities: readonly Identity[];
  readonly hooks: {
    /** `undefined` when nobody listens. Rejects to veto. */
    readonly beforeWrite: BeforeWriteVeto;
    readonly committed: (ops: readonly Op[]) => void;
  };
  readonly options?: EngineOptions;
  /** `false`: the site has no peers and no transport, so that its clock matters to nobody else. Default true. */
  readonly isReplicated?: boolean;
  /** Says what losers of conflicts are shown as (absent: under conflicts only), and who may write. */
  readonly conflictResolver?: Verdict & Pick<ConflictResolver, 'writers'>;
}

export interface Engine extends Lifecycle {
  readonly objects: ObjectService;
  readonly identities: IdentityStore;
  readonly garbage: Pick<GarbageCollector, 'run'>;
  /** Garbage collection as a whole. */
  readonly space: Pick<Space, 'gcPlan' | 'gcRun' | 'gcStatus'>;
  /** What replication works on. */
  readonly replica: Replica;
  /** What replication remembers. */
  readonly replicaState: ReplicaState;
  /** Who belongs to the cluster, for operators. */
  readonly members: Pick<Members, 'list' | 'remove'>;
  /** What is kept for peers and given up when none needs it: snapshots, leases, purging. */
  readonly keeping: Keeping;
  /**
   * What is written from now on is another origin's (rule 12). What this site wrote before stays, as ops of an origin that writes no
   * more. Call it while the site is fenced and replication is closed.
   */
  adopt(incarnation: Incarnation): void;
  /** Checks the site and puts it right. */
  readonly auditor: Auditor;
  /** What readers miss is fetched from peers, once there are any. */
  readonly healing: Pick<Healing, 'useSupply'>;
  vector(): Promise<VersionVector>;
  counts(): Promise<SiteCounts>;
  /** `undefined`: every site accepts writes, or who is primary is not known here. */
  primary(): Promise<PrimaryRole | undefined>;
  /** Makes this site the primary, under a new fencing epoch. `NotSupported` where every site accepts writes. */
  promote(): Promise<PrimaryRole>;
}
