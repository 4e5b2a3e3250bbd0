/**
 * The graph of one site: which part is made of which. The only file that knows awilix; it builds and is forgotten. Factories
 * destructure what they need at once, nothing opens here, and nothing keeps the container.
 */
import { join } from 'node:path';
import { asFunction, asValue, createContainer, InjectionMode, type NameAndRegistrationPair } from 'awilix';
import type {
  AdminService,
  Auth,
  ChunkStore,
  ConflictResolver,
  Gateway,
  MetaStore,
  PluginDeps,
  Runtime,
  SiteStatus,
} from '../contracts/index.ts';
import { createEngine, type Engine } from '../engine/engine.ts';
import { forwardTarget } from '../engine/primary.ts';
import { createAdminService } from './admin-service.ts';
import { replicationEngineOptions } from './config/replication-options.ts';
import type { LoadedConfig } from './config/types.ts';
import type { DataDirectory } from './data-directory.ts';
import type { PhaseHealth } from './health.ts';
import type { HookSet } from './hooks.ts';
import { configIdentities } from './identities.ts';
import {
  clusterSealing,
  createCommitSignal,
  outOfReach,
  siteReplication,
  transportOptions,
  type CommitSignal,
} from './site-replication.ts';
import { createValidator, type Validator } from '../replication/validator.ts';
import type { RenewingReplication } from './renewing-replication.ts';

/** What a site gives to the graph. */
export interface Given {
  readonly loaded: LoadedConfig;
  readonly runtime: Runtime;
  readonly directory: DataDirectory;
  readonly hooks: HookSet;
  readonly health: PhaseHealth;
  readonly status: () => Promise<SiteStatus>;
  readonly requestStop: () => void;
  readonly withGateways: boolean;
}

/** One line for each part. */
export interface SiteGraph {
  readonly metaStore: MetaStore;
  readonly chunkStore: ChunkStore;
  readonly conflictResolver: ConflictResolver;
  /** Absent where the site has no transport, and while it is opened for administration alone. */
  readonly replication: RenewingReplication | undefined;
  readonly engine: Engine;
  /** Checks of the site that were asked for. */
  readonly validator: Validator;
  readonly auth: Auth;
  readonly admin: AdminService;
  readonly gateways: readonly NamedGateway[];
}

export interface NamedGateway {
  /** `plugins.gateways.0` */
  readonly section: string;
  readonly gateway: Gateway;
}

type DepsOf = (loaded: { readonly plugin: { readonly name: string } }) => PluginDeps;

interface Cradle extends Given, SiteGraph {
  readonly depsOf: DepsOf;
  readonly commits: CommitSignal;
}

const FACTORIES: { readonly [Name in Exclude<keyof Cradle, keyof Given>]: (cradle: Cradle) => Cradle[Name] } = {
  depsOf: ({ runtime, directory }) => pluginDeps(runtime, directory),
  commits: () => createCommitSignal(),
  metaStore: ({ loaded: { plugins }, depsOf }) => make(plugins.metaStore, depsOf(plugins.metaStore)),
  chunkStore: ({ loaded: { plugins }, depsOf }) => make(plugins.chunkStore, depsOf(plugins.chunkStore)),
  conflictResolver: ({ loaded: { plugins }, depsOf }) =>
    make(plugins.conflictResolver, depsOf(plugins.conflictResolver)),
  replication: ({ loaded, runtime, directory, engine, depsOf, commits, withGateways }) => {
    const { transport } = loaded.plugins;
    if (transport === undefined || !withGateways) return undefined;
    const made = { plugin: transport.plugin, options: transportOptions(loaded, transport) };
    const deps = depsOf(transport);
    return siteReplication({ loaded, runtime, directory, engine, makeTransport: () => make(made, deps), commits });
  },
  engine: ({ loaded, runtime, directory, hooks, metaStore, chunkStore, conflictResolver, commits }) =>
    createEngine({
      ...runtime,
      metaStore,
      chunkStore,
      siteId: directory.site,
      incarnation: directory.incarnation,
      masterKey: directory.masterKey,
      configIdentities: configIdentities(loaded.config),
      hooks: {
        beforeWrite: hooks.beforeWrite,
        committed: (ops) => {
          commits.notify();
          if (hooks.isUsed('committed')) hooks.committed({ ops });
        },
      },
      options: { ...loaded.config.engine, ...replicationEngineOptions(loaded.config) },
      conflictResolver,
      isReplicated: loaded.plugins.transport !== undefined,
      ...clusterSealing(loaded),
    }),
  auth: ({ loaded: { plugins }, depsOf, engine }) =>
    make(plugins.auth, { ...depsOf(plugins.auth), identities: engine.identities }),
  admin: ({ loaded, engine, auth, replication, validator, status, requestStop }) => {
    const hasTransport = loaded.plugins.transport !== undefined;
    return createAdminService({ engine, auth, replication, hasTransport, validator, status, requestStop });
  },
  validator: ({ loaded, runtime, directory, engine, replication }) => {
    const peers = replication ?? outOfReach(loaded);
    return createValidator({ ...runtime, site: directory.site, auditor: engine.auditor, peers });
  },
  gateways: ({
    loaded: { plugins },
    directory,
    conflictResolver,
    depsOf,
    engine,
    auth,
    admin,
    health,
    hooks,
    withGateways,
  }) => {
    const services = {
      objects: engine.objects,
      writers: {
        forwardTo: () => forwardTarget(directory.site, conflictResolver.writers, () => engine.primary()),
      },
      admin,
      auth,
      identities: engine.identities,
      health,
      hooks: hooks.facade,
    };
    const named = withGateways ? plugins.gateways : [];
    return named.map((loaded) => ({ section: loaded.section, gateway: make(loaded, { ...depsOf(loaded), services }) }));
  },
};

/** Builds every part once. */
export function buildSite(given: Given): SiteGraph {
  const container = createContainer<Cradle>({ injectionMode: InjectionMode.PROXY, strict: true });
  const values = Object.entries(given).map(([name, value]) => [name, asValue(value as unknown)]);
  const factories = Object.entries(FACTORIES).map(([name, factory]) => [
    name,
    asFunction(factory as (cradle: Cradle) => unknown).singleton(),
  ]);
  container.register(Object.fromEntries([...values, ...factories]) as NameAndRegistrationPair<Cradle>);
  const { metaStore, chunkStore, conflictResolver, replication, engine, validator, auth, admin, gateways } =
    container.cradle;
  return { metaStore, chunkStore, conflictResolver, replication, engine, validator, auth, admin, gateways };
}

function make<Deps, Port>(
  { plugin, options }: { readonly plugin: { create(deps: Deps, options: unknown): Port }; readonly options: unknown },
  deps: Deps,
): Port {
  return plugin.create(deps, options);
}

/** A logger and a directory of its own for each plugin; the second gateway of one plugin gets `gateway-s3-2`. */
function pluginDeps(runtime: Runtime, { path, site }: DataDirectory): DepsOf {
  const uses = new Map<string, number>();
  return ({ plugin: { name } }) => {
    const use = (uses.get(name) ?? 0) + 1;
    uses.set(name, use);
    const folder = use === 1 ? name : `${name}-${use}`;
    return { ...runtime, logger: runtime.logger.child({ plugin: folder }), siteId: site, dataDir: join(path, folder) };
  };
}
