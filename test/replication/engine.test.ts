/** Whole engines over stores in memory: what clients wrote at one site is what they read at every other. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { noise } from '../engine/whole-site.ts';
import { Cluster, topology } from './fixtures/cluster.ts';
import { BUCKET, drive, joinEngine, type EngineSite } from './fixtures/engine-site.ts';

async function engines(kind: Parameters<typeof topology>[0], count: number) {
  const cluster = new Cluster();
  const edges = topology(kind, count);
  const sites: EngineSite[] = [];
  for (const site of new Set(edges.flat()))
    sites.push(
      await joinEngine(
        cluster,
        site,
        edges.filter(([from]) => from === site).map(([, to]) => to),
      ),
    );
  const [first] = sites;
  assert.ok(first);
  await drive(cluster, first.objects.createBucket({ bucket: BUCKET, owner: 'owner' }));
  await settled(cluster, sites);
  return { cluster, sites, first };
}

/** Runs until all vectors are equal and nothing is pending. */
async function settled(cluster: Cluster, sites: readonly EngineSite[]): Promise<void> {
  for (let round = 0; round < 100; round++) {
    await cluster.time.run(1_000);
    const all = await Promise.all(
      sites.map(async ({ replica }) => ({ cut: await replica.cut(), pending: await replica.pending(1) })),
    );
    const vectors = new Set(
      all.map(({ cut }) => JSON.stringify(Object.entries(cut.vector).toSorted(([a], [b]) => (a < b ? -1 : 1)))),
    );
    if (vectors.size === 1 && all.every(({ pending }) => pending.length === 0)) return;
  }
  assert.fail('not settled after 100 s');
}

async function equalEverywhere(sites: readonly EngineSite[]): Promise<void> {
  const [first, ...others] = await Promise.all(sites.map((site) => site.dump()));
  for (const other of others) assert.equal(other, first);
}

describe('objects between engines', () => {
  test('of any size, over relays: same state, same bytes', async () => {
    const { cluster, sites, first } = await engines('chain', 3);
    const bodies = { empty: 0, small: 100, inline: 600, chunk: 2000, chunks: 20_000, nodes: 200_000 };
    for (const [key, size] of Object.entries(bodies)) await first.put(key, noise(size, size));
    await settled(cluster, sites);
    await equalEverywhere(sites);
    for (const site of sites)
      for (const [key, size] of Object.entries(bodies))
        assert.equal(await site.get(key), noise(size, size).toString('latin1'), `${key} at ${site.site}`);
    await Promise.all(sites.map((site) => site.stop()));
  });

  test('written on both sides of a cut: one state after it, and a conflict is seen by all', async () => {
    const { cluster, sites } = await engines('mesh', 3);
    const [waw, ber, lon] = sites as [EngineSite, EngineSite, EngineSite];
    for (const other of ['ber', 'lon']) {
      cluster.network.cut('waw', other);
      cluster.network.cut(other, 'waw');
    }
    await waw.put('k', noise(3000, 1));
    await cluster.time.run(50);
    await ber.put('k', noise(3000, 2));
    await lon.put('other', noise(10, 3));
    await cluster.time.run(60_000);
    assert.equal(await lon.get('k'), noise(3000, 2).toString('latin1'));
    cluster.network.heal();
    await settled(cluster, sites);
    await equalEverywhere(sites);
    for (const site of sites) assert.equal(await site.get('k'), noise(3000, 2).toString('latin1'));
    assert.match(await waw.dump(), /^conflicts /m);
    await Promise.all(sites.map((site) => site.stop()));
  });

  test('content that a site has already is not sent to it', async () => {
    const { cluster, sites, first } = await engines('chain', 2);
    await first.put('one', noise(20_000, 5));
    await settled(cluster, sites);
    const other = sites[1] as EngineSite;
    const before = (await other.replication.status()).fetch;
    await first.put('two', noise(20_000, 5));
    await settled(cluster, sites);
    const after = (await other.replication.status()).fetch;
    assert.equal(after.fetchedBytes, before.fetchedBytes);
    assert.equal(await other.get('two'), noise(20_000, 5).toString('latin1'));
    await Promise.all(sites.map((site) => site.stop()));
  });
});
