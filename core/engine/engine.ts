/**
 * The engine of one site: every rule of storage, over ports. Composes the committer (the only writer), ingest and object
 * reader (bytes), listing and multipart, identities, and the background work that gives space back.
 */
import { SkerryError, type Incarnation, type Logger, type Op, type Origin } from '../contracts/index.ts';
import type { Effects } from './apply-context.ts';
import type { CommitterDeps } from './committer.ts';
import { createObjectService, createSpaceOf, type EngineParts, type LedgeredDeps } from './engine-services.ts';
import type { Engine, EngineDeps } from './engine-types.ts';
import { createAuditor } from './auditor.ts';
import { createCausality } from './causality.ts';
import { NO_CLOCK_GUARD, createClockGuard } from './clock-guard.ts';
import { readVector } from './clock-row.ts';
import { createCommitter } from './committer.ts';
import { countAll } from './counts.ts';
import { createDamage } from './damage.ts';
import { settleEarly } from './early-ops.ts';
import { createGarbageCollector } from './garbage.ts';
import { createHealing } from './healing.ts';
import { createIdentities, type IdentityStore } from './identities.ts';
import { createKeeping, createWriteDoor } from './keeping.ts';
import { createMembers, memberGate } from './members.ts';
import { createOpLog, type OpLog } from './op-log.ts';
import { createPins } from './pins.ts';
import { createWriteGate, promote, readPrimary, refuseEarly } from './primary.ts';
import { createReclaimer } from './reclaim.ts';
import { createReplica } from './replica.ts';
import { createReplicaState } from './replica-state.ts';
import type { Space } from './space.ts';
import { originOf } from './stamp.ts';
import { ledgerSyncs } from './sync-ledger.ts';

export type { Engine, EngineDeps, EngineOptions } from './engine-types.ts';

const DEFAULT_MAX_CLOCK_DRIFT_MS = 60_000;
const DEFAULT_KEEP_OPS = 10_000;

interface Parts extends Omit<EngineParts, 'pins'> {
  readonly opLog: OpLog;
  readonly space: Space;
}

export function createEngine(given: EngineDeps): Engine {
  const deps = { ...given, chunkStore: ledgerSyncs(given.chunkStore) };
  const { metaStore } = deps;
  const core = createCore(deps);
  const { pins, damage, reclaimer, opLog, causality, committer, members, replicaState, garbage, identities } = core;
  const { maxClockDriftMs, writers } = core;
  const keeping = createKeeping({
    ...deps,
    ...deps.options,
    committer,
    maxClockDriftMs,
    keepOps: deps.options?.keepOps ?? DEFAULT_KEEP_OPS,
    self: core.self,
    guard: core.guard,
    door: core.door,
    state: replicaState,
    async onMerged() {
      opLog.skipped();
      await settleEarly({ reader: metaStore, committer });
      await identities.open();
    },
  });
  const replica = createReplica({
    ...deps,
    ...deps.options,
    reader: metaStore,
    committer,
    reclaimer,
    damage,
    get origin() {
      return core.self.origin;
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
    adopt: core.adopt,
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

/** What all others are made of: the one writer, what follows a commit, who this site is. */
function createCore(deps: LedgeredDeps) {
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
    onCommitted: (ops, effects) => afterCommit(ops, effects),
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
  const heard = { opLog, damage, reclaimer, garbage, causality };
  const afterCommit: CommitterDeps['onCommitted'] = (ops, effects) => {
    tellCommitted(heard, ops, effects);
    if (ops.some((op) => isForeignPrincipal(op, origin))) rereadIdentities(identities, deps.logger);
    if (ops.length > 0) deps.hooks.committed(ops);
  };
  return {
    self,
    adopt: (incarnation: Incarnation): void => void (origin = originOf(deps.siteId, incarnation)),
    pins,
    damage,
    reclaimer,
    opLog,
    causality,
    writers,
    maxClockDriftMs,
    guard,
    door,
    committer,
    members,
    replicaState,
    garbage,
    identities,
  };
}

/** In the turn after a flush. */
function tellCommitted(
  { opLog, damage, reclaimer, garbage, causality }: Omit<Parts, 'committer' | 'keeping' | 'space'>,
  ops: readonly Op[],
  effects: Effects,
): void {
  if (ops.length > 0) opLog.append(ops);
  damage.forget(effects.freed);
  reclaimer.free(effects.freed);
  if (effects.garbage) garbage.wake();
  causality.wake();
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

function refuseRoles(): never {
  const message = 'every site accepts writes here: only a fleet of resolver-primary has a primary';
  throw new SkerryError('NotSupported', message);
}

async function closeAll(parts: Omit<Parts, 'damage'>): Promise<void> {
  const { committer, reclaimer, garbage, opLog, causality, keeping, space } = parts;
  await space.close();
  await keeping.close();
  causality.close();
  await garbage.close();
  await committer.close();
  await reclaimer.settle();
  await opLog.close();
}
