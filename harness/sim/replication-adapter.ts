/** The engine with the replication that sites really run, over the simulated transport, as the kernel puts them together. */
import type { EngineOptions } from '../../core/engine/engine.ts';
import { originOf } from '../../core/engine/stamp.ts';
import { RenewingReplication, type Stage, type StageEvents } from '../../core/kernel/renewing-replication.ts';
import type { ReplicationOptions } from '../../core/replication/options.ts';
import { createProver } from '../../core/replication/prover.ts';
import { createReplication } from '../../core/replication/replication.ts';
import { MAX_CLOCK_DRIFT_MS, runningEngine, startEngine } from './engine-adapter.ts';
import type { SiteAdapter, SitePorts } from './site.ts';

/** Removals are forgotten soon. */
const GRACE_MS = 40_000;

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
const LITTLE: Partial<ReplicationOptions> = { leaseTtlMs: 5000, snapshotMinOps: 15, tombstoneGraceMs: GRACE_MS };
const LITTLE_KEPT: Partial<EngineOptions> = {
  keepOps: 3,
  leaseTtlMs: 5000,
  batchEntities: 3,
  purgeIntervalMs: 700,
  tombstoneGraceMs: GRACE_MS,
};

export const replicationAdapter: SiteAdapter = {
  name: 'replication',
  replicates: true,
  speaksProtocol: true,
  movesBytes: true,
  recovers: true,
  async start(ports) {
    const wake = { replication: undefined as RenewingReplication | undefined };
    const engine = await startEngine(ports, () => wake.replication?.wake(), ports.keepsLittle ? LITTLE_KEPT : {});
    const replication = new RenewingReplication({
      ...ports,
      engine,
      replication: (events) => replicate(ports, engine, events),
      prover: () => prove(ports, engine),
    });
    wake.replication = replication;
    engine.keeping.useFrontier(() => replication.frontier());
    engine.healing.useSupply({ fetch: (chunk) => replication.fetchChunk(chunk) });
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

type Engine = Awaited<ReturnType<typeof startEngine>>;

const shared = (ports: SitePorts, { replica }: Engine) => ({
  replica,
  self: { site: ports.siteId, origin: originOf(ports.siteId, ports.directory.incarnation) },
  peers: ports.peers,
  ports,
  options: { ...OPTIONS, ...(ports.keepsLittle ? LITTLE : {}) },
});

function replicate(
  ports: SitePorts,
  engine: Engine,
  { onFact, onHandshake }: StageEvents,
): Stage<ReturnType<typeof createReplication>> {
  const transport = ports.makeTransport();
  const part = createReplication({
    ...shared(ports, engine),
    state: engine.replicaState,
    kept: engine.keeping,
    auditor: engine.auditor,
    transport,
    onFact(fact) {
      ports.logger.info({ fact }, `replication: ${fact.kind}`);
      onFact(fact);
    },
    onHandshake,
  });
  return { transport, part };
}

function prove(ports: SitePorts, engine: Engine): Stage<ReturnType<typeof createProver>> {
  const transport = ports.makeTransport();
  return { transport, part: createProver({ ...shared(ports, engine), transport }) };
}
