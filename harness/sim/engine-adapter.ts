/** One real engine, alone. */
import { createEngine, type Engine, type EngineDeps, type EngineOptions } from '../../core/engine/engine.ts';
import type { RunningSite, SiteAdapter, SitePorts } from './site.ts';

/** Small, so that bodies of a few kilobytes span many chunks. */
const INGEST = { chunkBytes: 128, tightChunkBytes: 64, dedupMinBytes: 48, memoryBytes: 64 * 1024 };

/** Less than the default, so that ops from the future are soon let in. */
export const MAX_CLOCK_DRIFT_MS = 5000;

export const engineAdapter: SiteAdapter = {
  name: 'engine',
  replicates: false,
  speaksProtocol: false,
  movesBytes: false,
  recovers: false,
  start: async (ports) => runningEngine(await startEngine(ports)),
};

/** `onCommitted`: called at every commit, local or applied. */
export async function startEngine(
  ports: SitePorts,
  onCommitted: () => void = () => {},
  options: Partial<EngineOptions> = {},
): Promise<Engine> {
  const deps: EngineDeps & { readonly partMinBytes: number } = {
    ...ports,
    masterKey: new Uint8Array(32),
    configIdentities: [],
    hooks: { beforeWrite: () => undefined, committed: onCommitted },
    options: { ingest: INGEST, maxClockDriftMs: MAX_CLOCK_DRIFT_MS, ...options },
    partMinBytes: 1,
  };
  const engine = createEngine(deps);
  await engine.open();
  return engine;
}

export function runningEngine(engine: Engine): RunningSite {
  return {
    objects: engine.objects,
    identities: engine.identities,
    auditor: engine.auditor,
    collectGarbage: async () => void (await engine.space.gcRun()),
    close: () => engine.close(),
  };
}
