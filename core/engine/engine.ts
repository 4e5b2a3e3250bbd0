/**
 * The engine of one site: every rule of storage, over ports. Composes the committer (the only writer), ingest and object
 * reader (bytes), listing and multipart, identities, and the background work that gives space back.
 */
import {
  SkerryError,
  type ChunkStore,
  type Clock,
  type ConflictResolver,
  type Hashing,
  type Identity,
  type Incarnation,
  type Lifecycle,
  type Logger,
  type MetaStore,
  type ObjectService,
  type Op,
  type Origin,
  type PrimaryRole,
  type Random,
  type SiteId,
  type Timers,
  type VersionVector,
} from '../contracts/index.ts';
import { createAuditor, type Auditor } from './auditor.ts';
import { createBuckets } from './buckets.ts';
import { createCausality, type Causality } from './causality.ts';
import { createConflictRetention } from './conflict-retention.ts';
import { createConflicts, type Verdict } from './conflicts.ts';
import { NO_CLOCK_GUARD, createClockGuard } from './clock-guard.ts';
import { createCommitter, type Committer } from './committer.ts';
import { countAll, type SiteCounts } from './counts.ts';
import { createDamage, type Damage } from './damage.ts';
import { createGarbageCollector, type GarbageCollector } from './garbage.ts';
import { createHealing, type Healing } from './healing.ts';
import { createIdentities, type IdentityStore } from './identities.ts';
import { createIngest, type IngestOptions } from './ingest.ts';
import { clockKey } from './keys.ts';
import { createKeeping, createWriteDoor, type Keeping } from './keeping.ts';
import { createListing } from './listing.ts';
import { createMembers, memberGate, type Members } from './members.ts';
import { createMultipart } from './multipart.ts';
import { createObjects, type BeforeWriteVeto, type ObjectsDeps } from './objects.ts';
import { createOpLog, type OpLog } from './op-log.ts';
import { bytesOf, openObject, readSmall } from './open-object.ts';
import { createPins } from './pins.ts';
import { createObjectReader, stablePieces } from './read-object.ts';
import { createWriteGate, promote, readPrimary, refuseEarly } from './primary.ts';
import { createReclaimer, type Reclaimer } from './reclaim.ts';
import { resolveConflict } from './resolve-conflict.ts';
import { decodeRecord, type ClockRecord, type Visibility } from './records.ts';
import { createReplica, type Replica } from './replica.ts';
import { createReplicaState, type ReplicaState } from './replica-state.ts';
import { createSpace, type Space, type SpaceOptions } from './space.ts';
import { originOf } from './stamp.ts';
import { ledgerSyncs, type LedgeredChunkStore } from './sync-ledger.ts';
import { EMPTY_VECTOR } from './vector.ts';

const DEFAULT_MAX_CLOCK_DRIFT_MS = 60_000;
const DEFAULT_CONFLICT_RETENTION_MS = 30 * 24 * 60 * 60 * 1000;
const DEFAULT_KEEP_OPS = 10_000;

/** The rule that every site follows, with losers under conflicts only. */
const HIDDEN: Verdict = {
  resolve: (candidates) => ({
    winner: candidates.reduce((largest, { stamp }) => (stamp > largest ? stamp : largest), ''),
    losers: 'conflict',
  }),
};

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

interface Parts {
  readonly committer: Committer;
  readonly reclaimer: Reclaimer;
  readonly garbage: GarbageCollector;
  readonly opLog: OpLog;
  readonly keeping: Keeping;
  readonly causality: Causality;
  readonly space: Space;
}

export function createEngine(given: EngineDeps): Engine {
  const chunkStore = ledgerSyncs(given.chunkStore);
  const deps = { ...given, chunkStore };
  const { metaStore } = deps;
  let origin = originOf(deps.siteId, deps.incarnation);
  const self = {
    get origin() {
      return origin;
    },
  };
  const pins = createPins();
  const damage = createDamage();
  const reclaimer = createReclaimer(deps);
  const opLog = createOpLog(deps);
  const causality = createCausality({ ...deps, reader: metaStore });
  const writers = deps.conflictResolver?.writers;
  const maxClockDriftMs = deps.options?.maxClockDriftMs ?? DEFAULT_MAX_CLOCK_DRIFT_MS;
  const guard = deps.isReplicated === false ? NO_CLOCK_GUARD : createClockGuard({ ...deps, maxClockDriftMs });
  const door = createWriteDoor(guard);
  const committer = createCommitter({
    ...deps,
    get origin() {
      return origin;
    },
    checkWrites: (reading) => door.check(reading),
    gate: memberGate(self, writers && createWriteGate({ ...deps, writers })),
    maxClockDriftMs,
    damage,
    onCommitted(ops, effects) {
      if (ops.length > 0) opLog.append(ops);
      damage.forget(effects.freed);
      reclaimer.free(effects.freed);
      if (effects.garbage) garbage.wake();
      causality.wake();
      if (ops.some((op) => isForeignPrincipal(op, origin))) rereadIdentities(identities, deps.logger);
      if (ops.length > 0) deps.hooks.committed(ops);
    },
  });
  const members = createMembers({ ...deps, reader: metaStore, committer, self });
  const replicaState = createReplicaState({
    reader: metaStore,
    committer,
    get origin() {
      return origin;
    },
    members,
    checkClock: (reading) => guard.check(reading),
  });
  const garbage = createGarbageCollector({ ...deps, reader: metaStore, committer, reclaimer, pins });
  const identities = createIdentities({ ...deps, reader: metaStore, committer, sealingKeys: sealingKeys(deps) });
  const keeping = createKeeping({
    ...deps,
    ...deps.options,
    committer,
    maxClockDriftMs,
    keepOps: deps.options?.keepOps ?? DEFAULT_KEEP_OPS,
    self,
    guard,
    door,
    state: replicaState,
    onMerged: () => identities.open(),
  });
  const replica = createReplica({
    ...deps,
    ...deps.options,
    reader: metaStore,
    committer,
    reclaimer,
    damage,
    get origin() {
      return origin;
    },
  });
  const healing = createHealing({ ...deps, reader: metaStore, replica, damage });
  const auditing = { ...deps, reader: metaStore, committer, reclaimer, damage, healing };
  const auditor = createAuditor({ ...auditing, onRegisters: () => identities.open() });
  const { objects, resume } = createObjectService(deps, { committer, reclaimer, pins, causality, damage, healing });
  const space = createSpaceOf(deps, { committer, reclaimer, garbage, keeping, objects });
  const primary = writers && { ...deps, reader: metaStore, writers, committer };
  return {
    objects: primary ? refuseEarly(objects, primary) : objects,
    identities,
    garbage,
    space,
    replicaState,
    members,
    keeping,
    auditor,
    healing,
    replica,
    adopt: (incarnation) => void (origin = originOf(deps.siteId, incarnation)),
    async open() {
      await opLog.open();
      await identities.open();
      await replicaState.open();
      await resume();
      keeping.open();
      garbage.wake();
      space.start();
    },
    close: () => closeAll({ committer, reclaimer, garbage, opLog, causality, keeping, space }),
    vector: () => readVector(metaStore),
    counts: () => countAll(metaStore),
    primary: async () => primary && readPrimary(primary),
    promote: async () => promote(primary ?? refuseRoles()),
  };
}

function sealingKeys({ clusterSealingKeys = [], masterKey }: EngineDeps): readonly [Uint8Array, ...Uint8Array[]] {
  const [seals, ...opens] = clusterSealingKeys;
  return seals ? [seals, ...opens, masterKey] : [masterKey];
}

const isForeignPrincipal = ({ dot, body }: Op, own: Origin): boolean =>
  dot.origin !== own && body.type.startsWith('principal.');

/** Another site made, changed or removed keys. */
function rereadIdentities(identities: IdentityStore, logger: Logger): void {
  identities.open().catch((error: unknown) => logger.error({ err: error }, 'keys of other sites could not be read'));
}

async function readVector(metaStore: MetaStore): Promise<VersionVector> {
  const [row] = await metaStore.get([clockKey]);
  return row ? decodeRecord<ClockRecord>(row).vector : EMPTY_VECTOR;
}

function refuseRoles(): never {
  const message = 'every site accepts writes here: only a fleet of resolver-primary has a primary';
  throw new SkerryError('NotSupported', message);
}

async function closeAll(parts: Parts): Promise<void> {
  const { committer, reclaimer, garbage, opLog, causality, keeping, space } = parts;
  await space.close();
  await keeping.close();
  causality.close();
  await garbage.close();
  await committer.close();
  await reclaimer.settle();
  await opLog.close();
}

function createSpaceOf(
  deps: Omit<EngineDeps, 'chunkStore'> & { readonly chunkStore: LedgeredChunkStore },
  parts: Pick<Parts, 'committer' | 'reclaimer' | 'garbage' | 'keeping'> & { readonly objects: ObjectService },
): Space {
  const { committer, keeping, objects } = parts;
  const retentionMs = deps.options?.conflictRetentionMs ?? DEFAULT_CONFLICT_RETENTION_MS;
  return createSpace({
    ...deps,
    ...parts,
    purger: keeping.purger,
    conflictRetention: createConflictRetention({
      ...deps,
      reader: deps.metaStore,
      committer,
      conflicts: objects,
      retentionMs,
    }),
    ...(deps.options?.gc ? { gc: deps.options.gc } : {}),
  });
}

function createObjectService(
  deps: EngineDeps,
  parts: Pick<Parts, 'committer' | 'reclaimer' | 'causality'> & {
    readonly pins: ReturnType<typeof createPins>;
    readonly damage: Damage;
    readonly healing: Healing;
  },
): { readonly objects: ObjectService; readonly resume: () => Promise<void> } {
  const { metaStore, chunkStore, hashing, logger, hooks, options } = deps;
  const { committer, reclaimer, pins, causality, damage, healing } = parts;
  const reader = metaStore;
  const objectReader = createObjectReader({
    chunkStore,
    reader,
    healing,
    ...(options?.readMemoryBytes ? { memoryBytes: options.readMemoryBytes } : {}),
  });
  const ingest = createIngest({
    chunkStore,
    reader,
    pins,
    damage,
    hashing,
    logger,
    ...(options?.ingest ? { options: options.ingest } : {}),
  });
  const shared = {
    chunkStore,
    reader,
    pins,
    damage,
    hashing,
    committer,
    ingest,
    beginRead: () => reclaimer.beginRead(),
    vetoes: hooks.beforeWrite,
  };
  const multipart = createMultipart({ ...shared, ...deps, objectReader });
  const versions: ObjectsDeps = {
    ...shared,
    readSmall: (found) => readSmall(objectReader, found),
    readStream: (found) =>
      stablePieces(objectReader.readRange({ ...bytesOf(found), start: 0, length: found.record.content.size })),
  };
  const objects: ObjectService = {
    ...createBuckets({ reader, committer }),
    ...createObjects(versions),
    ...createConflicts({ reader, logger, conflictResolver: deps.conflictResolver ?? HIDDEN }),
    resolveConflict: (input) => resolveConflict(versions, input),
    causality: () => causality.causality(),
    waitFor: (token, scope, waiting) => causality.waitFor(token, scope, waiting),
    openObject: (ref) => openObject({ reader, objectReader, reclaimer }, ref),
    ...createListing({ reader }),
    ...multipart.operations,
  };
  return { objects, resume: () => multipart.resume() };
}
