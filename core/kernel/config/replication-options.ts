/**
 * What the `replication` section can tune. Each key that replication or the engine reads under the same name is passed on as it
 * is; what is left out has the reader's own default.
 */
import type { EngineOptions } from '../../engine/engine.ts';

const MIB = 1024 * 1024;

const number = (minimum: number, maximum: number, description: string) => ({
  type: 'integer',
  minimum,
  maximum,
  description,
});

/** Keys of ReplicationOptions that a configuration may set. */
const REPLICATION_OPTIONS = {
  longPollMs: number(100, 300_000, 'how long a pull stays open for what is new'),
  backoffMinMs: number(10, 60_000, 'first wait after a failure'),
  backoffMaxMs: number(100, 600_000, 'longest wait after a failure'),
  receiveBytesPerSecond: number(0, Number.MAX_SAFE_INTEGER, 'of ops and chunks from each peer; 0: no limit'),
  sendBytesPerSecond: number(0, Number.MAX_SAFE_INTEGER, 'pushed to each peer; 0: no limit'),
  callsPerPeer: number(4, 10_000, 'calls that one peer may have running here'),
  chunkCallsPerPeer: number(1, 64, 'chunk requests running at one peer'),
  validateIntervalMs: number(0, 31 * 86_400_000, 'between background comparisons with each peer, at most; 0: none'),
  fetchMaxBytes: number(MIB, 1024 * MIB, 'bytes of chunks asked for and not yet stored'),
  snapshotMinOps: number(100, 1_000_000_000, 'this many ops behind a peer, most of all: take its snapshot instead'),
  joinWaitMs: number(0, 600_000, 'an empty site looks for its peers this long before it works alone'),
};

/** Keys that replication and the engine both obey. */
const SHARED_OPTIONS = {
  maxClockDriftMs: number(100, 86_400_000, 'ops stamped this far ahead of the wall clock are held back'),
  leaseTtlMs: number(1000, 30 * 86_400_000, 'what a peer may still ask for is kept this long after it last asked'),
  tombstoneGraceMs: number(
    0,
    365 * 86_400_000,
    'removals are remembered this long; newcomers may bring data half as old',
  ),
};

/** Keys that the engine alone obeys. */
const ENGINE_OPTIONS = {
  conflictRetentionMs: number(
    0,
    100 * 365 * 86_400_000,
    'what lost a conflict is removed so long after it was first seen; 0: never',
  ),
  keepOps: number(0, Number.MAX_SAFE_INTEGER, 'ops of each origin that are kept although nobody needs them'),
  purgeIntervalMs: number(100, 86_400_000, 'how often to look for ops and removals that nobody needs any more'),
  visibility: {
    enum: ['complete', 'eager'],
    description: 'show versions of other sites once all their bytes are here, or at once',
  },
};

export const REPLICATION_SETTINGS = { ...REPLICATION_OPTIONS, ...SHARED_OPTIONS, ...ENGINE_OPTIONS };

type Numbers = Readonly<Partial<Record<keyof typeof REPLICATION_OPTIONS | keyof typeof SHARED_OPTIONS, number>>>;
type EngineSettings = Pick<EngineOptions, 'maxClockDriftMs' | 'leaseTtlMs' | keyof typeof ENGINE_OPTIONS>;
export type ReplicationSettings = Numbers & EngineSettings;

interface Configured {
  readonly replication: ReplicationSettings;
}

/** For `createReplication`. */
export function replicationOptions({ replication }: Configured): Numbers {
  return pick(replication, { ...REPLICATION_OPTIONS, ...SHARED_OPTIONS });
}

/** For `createEngine`, besides the `engine` section. */
export function replicationEngineOptions({ replication }: Configured): EngineSettings {
  return pick(replication, { ...SHARED_OPTIONS, ...ENGINE_OPTIONS });
}

function pick(given: ReplicationSettings, names: object): object {
  return Object.fromEntries(Object.entries(given).filter(([name]) => Object.hasOwn(names, name)));
}
