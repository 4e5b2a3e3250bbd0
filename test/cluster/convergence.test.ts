/**
 * Real processes, real HTTP, default plugins: sites of one cluster write the same keys while links are cut, one-way cut and
 * slowed and processes killed. After healing all of them must be one store again, with every acknowledged write accounted for.
 */
import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { seededRandom } from '../crash/workload.ts';
import { readState, unaccounted } from './accounting.ts';
import { Client } from './clients.ts';
import { startCluster, type Cluster, type Topology } from './cluster.ts';

const BUCKET = 'shared';
const KEYS = Array.from({ length: 12 }, (_, i) => `key-${i}`);
/** How long each cluster is troubled; `SKERRY_CHAOS_MS` for a longer look. */
const CHAOS_MS = Number(process.env['SKERRY_CHAOS_MS'] ?? 10_000);
const HEAL_MS = 60_000;

const CASES: readonly (readonly [Topology, number])[] = [
  ['mesh', 2],
  ['mesh', 3],
  ['ring', 5],
  ['star', 5],
  ['chain', 5],
];

async function chaos(cluster: Cluster, random: () => number, until: number): Promise<void> {
  const links = [...cluster.links.values()];
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  while (performance.now() < until) {
    const kind = random();
    if (kind < 0.5) {
      const link = pick(links);
      link.cut();
      await sleep(200 + random() * 1200);
      link.heal();
    } else if (kind < 0.7) {
      const link = pick(links);
      link.slow(20 + random() * 80);
      await sleep(300 + random() * 700);
      link.heal();
    } else if (kind < 0.85) {
      const half = links.filter(() => random() < 0.5);
      for (const link of half) link.cut();
      await sleep(500 + random() * 1500);
      for (const link of half) link.heal();
    } else {
      const site = pick(cluster.sites);
      await site.kill();
      await sleep(100 + random() * 400);
      await site.start();
    }
  }
}

/** What every client sees of a site: both listings and the bytes of every object. */
async function view(client: Client): Promise<string> {
  const objects = (await client.list('list-type=2')).replaceAll(/<LastModified>[^<]*/g, '');
  const versions = await client.list('versions=');
  const bytes = [];
  for (const key of KEYS) bytes.push(`${key} ${await client.digest(key)}`);
  return [objects, versions, ...bytes].join('\n');
}

/** Equal vectors first: an op that is still on its way may change nothing that clients see. */
async function converged(cluster: Cluster, clients: readonly Client[]): Promise<void> {
  const until = performance.now() + HEAL_MS;
  for (;;) {
    const vectors = await Promise.all(cluster.sites.map((site) => site.vector()));
    const views = await Promise.all(clients.map(view));
    const isSettled = vectors.every((vector) => isDeepStrictEqual(vector, vectors[0]));
    if (isSettled && new Set(views).size === 1 && !views[0]?.includes(' 503')) return;
    if (performance.now() > until) assert.fail(`not one store after ${HEAL_MS} ms: ${JSON.stringify(vectors)}`);
    await sleep(200);
  }
}

/** Rows that only one of two states has. */
function differing(a: string, b: string): readonly string[] {
  const [left, right] = [new Set(a.split('\n')), new Set(b.split('\n'))];
  return [...left.symmetricDifference(right)];
}

async function run(t: TestContext, topology: Topology, count: number): Promise<void> {
  const seed = Number(process.env['SKERRY_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  t.diagnostic(`seed ${seed}`);
  const random = seededRandom(seed);
  const cluster = await startCluster(topology, count, BUCKET);
  const clients = cluster.sites.map((site) => new Client(site, BUCKET, random));
  try {
    const until = performance.now() + CHAOS_MS;
    const writers = clients.map(async (client) => {
      while (performance.now() < until) {
        await client.step(KEYS);
        await sleep(5 + random() * 20);
      }
    });
    await Promise.all([chaos(cluster, random, until), ...writers]);
    for (const link of cluster.links.values()) link.heal();
    await converged(cluster, clients);
    for (const client of clients) client.close();
    await Promise.all(cluster.sites.map((site) => site.stop()));
    const states = [];
    for (const { name, dataDir } of cluster.sites) states.push(await readState(name, dataDir, BUCKET, KEYS));
    const acknowledged = clients.flatMap((client) => client.acknowledged);
    for (const state of states) {
      assert.deepEqual(state.vector, states[0]?.vector, `seed ${seed}: ${state.name} has another vector`);
      assert.deepEqual(
        differing(state.state, states[0]?.state ?? ''),
        [],
        `seed ${seed}: ${state.name} has another state`,
      );
      assert.deepEqual(unaccounted(state, acknowledged), [], `seed ${seed}`);
    }
    t.diagnostic(
      `${acknowledged.length} acknowledged writes, ${states[0]?.ops.length} ops, ${states[0]?.conflicts.size} conflicts open`,
    );
    assert.ok(acknowledged.length > 20 * count, 'the workload must have bitten');
  } finally {
    for (const client of clients) client.close();
    await cluster.close();
  }
}

describe('convergence of real sites', () => {
  for (const [topology, count] of CASES) {
    test(`${count} sites, ${topology}: partitions and kills, then one store again`, (t) => run(t, topology, count));
  }
});
