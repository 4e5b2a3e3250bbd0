/** Opens a site's directory and parts in order, and closes them in reverse. */
import type { Runtime } from '../contracts/index.ts';
import { buildSite, type Given, type NamedGateway, type SiteGraph } from './container.ts';
import { openDataDirectory, type DataDirectory } from './data-directory.ts';
import { createLifecycle, type LifecycleStep } from './lifecycle.ts';
import { refuseLostIndex } from './lost-index.ts';
import type { Host } from './runtime/lock.ts';
import { seedSite, type RootCredentials } from './seed.ts';

export interface OpenSite {
  readonly directory: DataDirectory;
  readonly graph: SiteGraph;
  readonly startedAtMs: number;
  readonly root: RootCredentials | undefined;
  /** A rejection leaves nothing open, the lock included. */
  open(): Promise<void>;
  /**
   * Behind `open`: an empty site waits for what its peers have, for as long as it takes while one is within reach; any other is in
   * at once. Resolves when `signal` aborts, too.
   */
  joined(signal: AbortSignal): Promise<void>;
  /** Everything in reverse order, the lock last. */
  close(): Promise<void>;
}

/** Takes the data directory and builds the graph; a rejection leaves the directory free. */
export async function prepareSite(given: Omit<Given, 'directory'> & { readonly host: Host }): Promise<OpenSite> {
  const { host, ...rest } = given;
  const { loaded, runtime } = rest;
  const { id } = loaded.config.site;
  const directory = await openDataDirectory({
    path: loaded.config.dataDir,
    runtime,
    host,
    ...(id === undefined ? {} : { siteId: id }),
  });
  try {
    return assemble({ ...rest, directory }, runtime);
  } catch (error) {
    directory.release();
    throw error;
  }
}

function assemble(given: Given, runtime: Runtime): OpenSite {
  const { loaded, directory } = given;
  const graph = buildSite(given);
  const { engine } = graph;
  let root: RootCredentials | undefined;
  let isEmpty = false;
  const seed = async (): Promise<void> => {
    isEmpty = await holdsNothing(engine);
    root = await seedSite({
      loaded,
      dataDir: directory.path,
      site: directory.site,
      ...runtime,
      identities: engine.identities,
      objects: engine.objects,
    });
  };
  const lifecycle = createLifecycle(siteSteps(graph, seed), runtime.logger);
  const releasing = async (run: Promise<void>, when: 'always' | 'on failure'): Promise<void> => {
    try {
      await run;
    } catch (error) {
      directory.release();
      throw error;
    }
    if (when === 'always') directory.release();
  };
  return {
    directory,
    graph,
    startedAtMs: runtime.clock.wallMs(),
    get root() {
      return root;
    },
    async joined(signal) {
      if (isEmpty) await graph.replication?.joined(signal);
    },
    open: () => releasing(lifecycle.open(), 'on failure'),
    close: () => releasing(lifecycle.close(), 'always'),
  };
}

/** No object, and nothing of any other site; or a first snapshot of one that is not all here. */
async function holdsNothing(engine: SiteGraph['engine']): Promise<boolean> {
  const vector = await engine.vector();
  const isAlone = Object.keys(vector).every((origin) => origin === engine.replica.origin);
  if (isAlone && (await engine.counts()).versions === 0) return true;
  return (await engine.keeping.merging())?.joining === true;
}

/** Dependency order. Gateways come last: nobody is let in before everything behind them is open. */
function siteSteps(graph: SiteGraph, seed: () => Promise<void>): readonly LifecycleStep[] {
  const { metaStore, chunkStore, conflictResolver, replication, engine, validator, auth, gateways } = graph;
  return [
    { name: 'metaStore', part: metaStore },
    { name: 'chunkStore', part: chunkStore },
    {
      name: 'metaStore',
      part: { open: () => refuseLostIndex({ metaStore, chunkStore }), close: async () => undefined },
    },
    { name: 'conflictResolver', part: conflictResolver },
    { name: 'engine', part: engine },
    { name: 'seed', part: { open: seed, close: async () => undefined } },
    { name: 'auth', part: auth },
    ...(replication === undefined ? [] : [{ name: 'replication', part: replication }]),
    { name: 'validator', part: { open: async () => undefined, close: () => validator.close() } },
    ...gateways.map(gatewayStep),
  ];
}

function gatewayStep({ section, gateway }: NamedGateway): LifecycleStep {
  return { name: section.slice('plugins.'.length), part: gateway };
}
