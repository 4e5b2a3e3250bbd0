/** Replication as a site's configuration asks for it: over its transport, with its peers, awake at every commit. */
import { hkdfSync } from 'node:crypto';
import { SkerryError, type Logger, type Runtime, type Transport } from '../contracts/index.ts';
import type { Engine } from '../engine/engine.ts';
import { originOf } from '../engine/stamp.ts';
import type { ReplicationFact } from '../replication/facts.ts';
import { createProver, type Prover } from '../replication/prover.ts';
import { createReplication, type Replication } from '../replication/replication.ts';
import type { DigestPeers } from '../replication/validator.ts';
import { replicationOptions } from './config/replication-options.ts';
import type { LoadedConfig, LoadedPlugin } from './config/types.ts';
import type { DataDirectory } from './data-directory.ts';
import { RenewingReplication, type Stage, type StageEvents } from './renewing-replication.ts';

/** Tells of commits to who listens; made before the engine that commits and the replication that listens. */
export interface CommitSignal {
  notify(): void;
  listen(listener: () => void): void;
}

export function createCommitSignal(): CommitSignal {
  const listeners: (() => void)[] = [];
  return {
    notify() {
      for (const listener of listeners) listener();
    },
    listen: (listener) => void listeners.push(listener),
  };
}

export interface SiteReplicationDeps {
  readonly loaded: LoadedConfig;
  readonly runtime: Runtime;
  readonly directory: DataDirectory;
  readonly engine: Engine;
  /** Each opens once: a site that becomes a new origin needs another. */
  readonly makeTransport: () => Transport;
  readonly commits: CommitSignal;
}

export function siteReplication(deps: SiteReplicationDeps): RenewingReplication {
  const { runtime, engine, commits } = deps;
  const logger = runtime.logger.child({ part: 'replication' });
  const replication = new RenewingReplication({
    ...deps,
    timers: runtime.timers,
    logger,
    replication: (events) => replicate(deps, logger, events),
    prover: () => prove(deps, logger),
  });
  commits.listen(() => replication.wake());
  engine.keeping.useFrontier(() => replication.frontier());
  engine.healing.useSupply({ fetch: (chunk) => replication.fetchChunk(chunk) });
  return replication;
}

function replicate(
  deps: SiteReplicationDeps,
  logger: Logger,
  { onFact, onHandshake }: StageEvents,
): Stage<Replication> {
  const { loaded, runtime, directory, engine } = deps;
  const transport = deps.makeTransport();
  const part = createReplication({
    replica: engine.replica,
    state: engine.replicaState,
    kept: engine.keeping,
    auditor: engine.auditor,
    transport,
    self: { site: directory.site, origin: originOf(directory.site, directory.incarnation) },
    peers: loaded.config.replication.peers,
    ports: { ...runtime, logger },
    options: replicationOptions(loaded.config),
    onFact(fact) {
      tell(logger, fact);
      onFact(fact);
    },
    onHandshake,
  });
  return { transport, part };
}

function prove(deps: SiteReplicationDeps, logger: Logger): Stage<Prover> {
  const { loaded, runtime, directory, engine } = deps;
  const transport = deps.makeTransport();
  const part = createProver({
    replica: engine.replica,
    transport,
    self: { site: directory.site, origin: engine.replica.origin },
    peers: loaded.config.replication.peers,
    ports: { ...runtime, logger },
    options: replicationOptions(loaded.config),
  });
  return { transport, part };
}

const NEEDS_A_PERSON: ReadonlySet<ReplicationFact['kind']> = new Set([
  'fenced',
  'evicted',
  'duplicate-site',
  'bootstrap-standoff',
]);

function tell(logger: Logger, fact: ReplicationFact): void {
  if (NEEDS_A_PERSON.has(fact.kind)) logger.error(fact, `replication: ${fact.kind}`);
  else logger.warn(fact, `replication: ${fact.kind}`);
}

/** Peers of a site that is not running, or has no transport. */
export function outOfReach({ config }: LoadedConfig): DigestPeers {
  return {
    peerSites: () => config.replication.peers.map(({ site }) => site),
    askDigests: () =>
      Promise.reject(new SkerryError('Unavailable', 'peers are out of reach while the site is not running')),
  };
}

/** A transport that takes cluster keys is given those of the `replication` section, unless it has its own. */
export function transportOptions(
  { config }: LoadedConfig,
  { plugin, options }: LoadedPlugin<'transport'>,
): Readonly<Record<string, unknown>> {
  const { clusterKey, previousClusterKeys } = config.replication;
  const takes = (name: string): boolean => name in plugin.options.properties;
  if (clusterKey === undefined || options['clusterKey'] !== undefined || !takes('clusterKey')) return options;
  return { ...options, clusterKey, ...(takes('previousClusterKeys') ? { previousClusterKeys } : {}) };
}

/** The keys that seal secrets for all sites of the cluster, made of the cluster keys; the first one seals (HKDF, RFC 5869). */
export function clusterSealing({ config }: LoadedConfig): { readonly clusterSealingKeys: readonly Uint8Array[] } {
  const { clusterKey, previousClusterKeys } = config.replication;
  const keys = clusterKey === undefined ? [] : [clusterKey, ...previousClusterKeys];
  return {
    clusterSealingKeys: keys.map((key) => new Uint8Array(hkdfSync('sha256', key, 'skerry', 'identity secrets', 32))),
  };
}
