/** The engine with the replication that sites really run, over the simulated transport. */
import { originOf } from '../../core/engine/stamp.ts';
import type { ReplicationOptions } from '../../core/replication/options.ts';
import { createReplication, type Replication } from '../../core/replication/replication.ts';
import { MAX_CLOCK_DRIFT_MS, runningEngine, startEngine } from './engine-adapter.ts';
import type { SiteAdapter } from './site.ts';

/** Small pages and short waits, so that rare paths are taken within seconds. */
const OPTIONS: Partial<ReplicationOptions> = {
  pageMaxOps: 7,
  pageMaxBytes: 16 * 1024,
  longPollMs: 3000,
  callTimeoutMs: 4000,
  backoffMaxMs: 5000,
  chunkBatchMaxHashes: 5,
  fetchVersions: 3,
  maxClockDriftMs: MAX_CLOCK_DRIFT_MS,
};

export const replicationAdapter: SiteAdapter = {
  name: 'replication',
  replicates: true,
  speaksProtocol: true,
  movesBytes: true,
  recovers: false,
  async start(ports) {
    const wake = { replication: undefined as Replication | undefined };
    const engine = await startEngine(ports, () => wake.replication?.wake());
    const replication = createReplication({
      replica: engine.replica,
      transport: ports.transport,
      self: { site: ports.siteId, origin: originOf(ports.siteId, ports.incarnation) },
      peers: ports.peers,
      ports,
      state: engine.replicaState,
      options: OPTIONS,
      onFact: (fact) => ports.logger.info({ fact }, `replication: ${fact.kind}`),
    });
    wake.replication = replication;
    await replication.open();
    const running = runningEngine(engine);
    return {
      ...running,
      async close() {
        await replication.close();
        await running.close();
      },
    };
  },
};
