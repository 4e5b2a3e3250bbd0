/**
 * Real processes, real HTTP, default plugins: sites of one cluster write the same keys while links are cut, one-way cut and
 * slowed and processes killed. After healing all of them must be one store again, with every acknowledged write accounted for.
 */
import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { seededRandom } from '../crash/workload.ts';
import { readState, unaccounted, type SiteState } from './accounting.ts';
import { Client, type Acknowledged } from './clients.ts';
import { startCluster, type Cluster, type Topology } from './cluster.ts';

/** One without versions, one with. */
const BUCKETS = ['plain', 'versioned'] as const;
const PLACES = BUCKETS.flatMap((bucket) => Array.from({ length: 8 }, (_, i) => ({ bucket, key: `key-${i}` })));
/** How long each cluster is troubled, so that all together take more than three minutes; `SKERRY_CHAOS_MS` for another look. */
const CHAOS_MS = Number(process.env['SKERRY_CHAOS_MS'] ?? 18_000);
const HEAL_MS = 120_000;
/** Writes that each site must have accepted meanwhile. */
const ACKNOWLEDGED_MIN = 20;

interface Case {
  readonly topology: Topology;
  readonly count: number;
  /** The rim of the star only dials out. */
  readonly isDialOut?: boolean;
}

const CASES: readonly Case[] = [
  { topology: 'mesh', count: 2 },
  { topology: 'mesh', count: 3 },
  { topology: 'mesh', count: 5 },
  { topology: 'ring', count: 5 },
  { topology: 'star', count: 5 },
  { topology: 'star', count: 5, isDialOut: true },
  { topology: 'chain', count: 3 },
  { topology: 'chain', count: 5 },
];

async function chaos(cluster: Cluster, random: () => number, goesOn: () => boolean): Promise<void> {
  const links = [...cluster.links.values()];
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  while (goesOn()) {
    const kind = random();
    if (kind < 0.35) {
      const link = pick(links);
      link.cut();
      await sleep(200 + random() * 1200);
      link.heal();
    } else if (kind < 0.5) {
      const link = pick(links);
      link.stall(random() < 0.5 ? 'out' : 'back');
      await sleep(200 + random() * 2000);
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

/** What every client sees of a site: all listings, the bytes and tags of every object. */
async function view(client: Client): Promise<string> {
  const seen: string[] = [];
  for (const bucket of BUCKETS)
    for (const query of ['list-type=2', 'versions=']) seen.push(await client.list(bucket, query));
  for (const place of PLACES) seen.push(`${place.bucket}/${place.key} ${await client.digest(place)}`);
  return seen.join('\n');
}

/** Equal vectors first: an op that is still on its way may change nothing that clients see. */
async function converged(cluster: Cluster, clients: readonly Client[]): Promise<void> {
  const until = performance.now() + HEAL_MS;
  for (;;) {
    const statuses = await Promise.all(cluster.sites.map(async (site) => (await site.admin()).replicationStatus()));
    const isSettled = statuses.every(
      ({ vector, pending }) => pending.versions === 0 && isDeepStrictEqual(vector, statuses[0]?.vector),
    );
    const views = isSettled ? await Promise.all(clients.map(view)) : [];
    if (new Set(views).size === 1) return;
    if (performance.now() > until)
      assert.fail(`not one store after ${HEAL_MS} ms: ${JSON.stringify(statuses)}\n${differing(views).join('\n')}`);
    await sleep(200);
  }
}

/** Lines that not all of these texts have. */
function differing(texts: readonly string[]): readonly string[] {
  const sets = texts.map((text) => new Set(text.split('\n')));
  return [...new Set(sets.flatMap((lines) => [...lines]))].filter((line) => !sets.every((lines) => lines.has(line)));
}

/** Both buckets are there, and one of them keeps versions, before anything is written. */
async function prepare(cluster: Cluster, [client]: readonly Client[]): Promise<void> {
  assert.ok(client);
  const [, bucket] = BUCKETS;
  const body = Buffer.from('<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>');
  await client.send({ method: 'PUT', bucket, key: '' });
  assert.equal((await client.send({ method: 'PUT', bucket, key: '', query: 'versioning=', body })).status, 200);
  for (;;) {
    const statuses = await Promise.all(cluster.sites.map(async (site) => (await site.admin()).replicationStatus()));
    if (statuses.every(({ vector }) => isDeepStrictEqual(vector, statuses[0]?.vector))) return;
    await sleep(50);
  }
}

async function run(t: TestContext, options: Case): Promise<void> {
  const seed = Number(process.env['SKERRY_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  t.diagnostic(`seed ${seed}`);
  const random = seededRandom(seed);
  const cluster = await startCluster({ ...options, bucket: BUCKETS[0] });
  const clients = cluster.sites.map((site) => new Client(site, random));
  try {
    await prepare(cluster, clients);
    const until = performance.now() + CHAOS_MS;
    // a busy machine is troubled longer, until the workload has bitten
    const goesOn = (): boolean =>
      performance.now() < until || clients.some((client) => client.acknowledged.length < ACKNOWLEDGED_MIN);
    const writers = clients.map(async (client) => {
      while (goesOn()) {
        await client.step(PLACES);
        await sleep(5 + random() * 20);
      }
    });
    await Promise.all([chaos(cluster, random, goesOn), ...writers]);
    for (const link of cluster.links.values()) link.heal();
    await converged(cluster, clients);
    for (const client of clients) client.close();
    await Promise.all(cluster.sites.map((site) => site.stop()));
    const states = [];
    for (const { name, dataDir } of cluster.sites) states.push(await readState(name, dataDir));
    const acknowledged = clients.flatMap((client) => client.acknowledged);
    judge(states, acknowledged, seed);
    t.diagnostic(
      `${acknowledged.length} acknowledged writes, ${states[0]?.ops.length} ops, ${states[0]?.conflicts} conflicts open`,
    );
  } finally {
    for (const client of clients) client.close();
    await cluster.close();
  }
}

function judge(states: readonly SiteState[], acknowledged: readonly Acknowledged[], seed: number): void {
  const [first] = states;
  for (const state of states) {
    assert.deepEqual(state.vector, first?.vector, `seed ${seed}: ${state.name} has another vector`);
    const rows = differing([state.state, first?.state ?? '']);
    assert.deepEqual(rows, [], `seed ${seed}: ${state.name} has another state`);
    assert.equal(state.digest, first?.digest, `seed ${seed}: ${state.name} has another digest`);
    assert.deepEqual(unaccounted(state, acknowledged), [], `seed ${seed}`);
  }
}

describe('convergence of real sites', () => {
  for (const options of CASES) {
    const { topology, count, isDialOut } = options;
    const name = `${count} sites, ${topology}${isDialOut ? ' whose rim only dials out' : ''}`;
    test(`${name}: partitions and kills, then one store again`, (t) => run(t, options));
  }
});
