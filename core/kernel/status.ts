/** What a site says of itself. */
import type { SiteStatus } from '../contracts/index.ts';
import { digestAtVector } from '../engine/digest-tree.ts';
import { originOf } from '../engine/stamp.ts';
import { allBuckets, countUploads } from './admin-service.ts';
import type { LoadedConfig } from './config/types.ts';
import type { SiteGraph } from './container.ts';
import type { DataDirectory } from './data-directory.ts';
import type { PhaseHealth } from './health.ts';
import type { Host } from './runtime/lock.ts';
import { VERSION } from './version.ts';

export interface StatusDeps {
  readonly loaded: LoadedConfig;
  readonly directory: DataDirectory;
  readonly graph: Pick<SiteGraph, 'engine' | 'metaStore' | 'chunkStore'>;
  readonly health: PhaseHealth;
  readonly host: Host;
  readonly startedAtMs: number;
  readonly addresses: readonly string[];
}

/** Counts are read from the stores: buckets, objects and bytes from counters, uploads by listing them. */
export async function siteStatus(deps: StatusDeps): Promise<SiteStatus> {
  const { loaded, directory, graph, health, host, startedAtMs, addresses } = deps;
  const { engine, metaStore, chunkStore } = graph;
  const [state, counts, storage, uploads, primary] = await Promise.all([
    digestAtVector(metaStore),
    engine.counts(),
    chunkStore.usage(),
    uploadsOf(graph),
    engine.primary(),
  ]);
  return {
    site: directory.site,
    origin: originOf(directory.site, directory.incarnation),
    version: VERSION,
    pid: host.pid,
    startedAtMs,
    dataDir: directory.path,
    ...health.ready(),
    addresses,
    ...(primary === undefined ? {} : { primary }),
    ...state,
    counters: { buckets: counts.buckets, objects: counts.objects, objectBytes: counts.objectBytes, uploads },
    storage,
    gc: engine.space.gcStatus(),
    memoryBytes: host.memoryBytes(),
    plugins: pluginNames(loaded),
  };
}

async function uploadsOf({ engine: { objects } }: StatusDeps['graph']): Promise<number> {
  let count = 0;
  for (const { name } of await allBuckets(objects)) count += await countUploads(objects, name);
  return count;
}

/** Name of the plugin in each section: `metaStore` -> `meta-sqlite`, `gateways.0` -> `gateway-s3`. */
function pluginNames({ plugins }: LoadedConfig): Readonly<Record<string, string>> {
  const { gateways, ...single } = plugins;
  const all = [...Object.values(single), ...gateways].filter((one) => one !== undefined);
  return Object.fromEntries(all.map(({ section, plugin }) => [section.slice('plugins.'.length), plugin.name]));
}
