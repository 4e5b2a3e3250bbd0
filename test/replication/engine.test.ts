/** Whole engines over stores in memory: what clients wrote at one site is what they read at every other. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { noise } from '../engine/whole-site.ts';
import { engines } from './fixtures/engine-cluster.ts';
import { equalEverywhere, settled } from './fixtures/settling.ts';
import type { EngineSite } from './fixtures/engine-site.ts';

describe('objects between engines', () => {
  test('of any size, over relays: same state, same bytes', async () => {
    await using world = await engines('chain', 3);
    const { cluster, sites, first } = world;
    const bodies = { empty: 0, small: 100, inline: 600, chunk: 2000, chunks: 20_000, nodes: 200_000 };
    for (const [key, size] of Object.entries(bodies)) await first.put(key, noise(size, size));
    await settled(cluster, ...sites);
    await equalEverywhere(...sites);
    for (const site of sites)
      for (const [key, size] of Object.entries(bodies))
        assert.equal(await site.get(key), noise(size, size).toString('latin1'), `${key} at ${site.site}`);
  });

  test('written on both sides of a cut: one state after it, and a conflict is seen by all', async () => {
    await using world = await engines('mesh', 3);
    const { cluster, sites } = world;
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
    await settled(cluster, ...sites);
    await equalEverywhere(...sites);
    for (const site of sites) assert.equal(await site.get('k'), noise(3000, 2).toString('latin1'));
    assert.match(await waw.dump(), /^conflicts /m);
  });

  test('content that a site has already is not sent to it', async () => {
    await using world = await engines('chain', 2);
    const { cluster, sites, first } = world;
    await first.put('one', noise(20_000, 5));
    await settled(cluster, ...sites);
    const other = sites[1] as EngineSite;
    const before = (await other.replication.status()).fetch;
    await first.put('two', noise(20_000, 5));
    await settled(cluster, ...sites);
    const after = (await other.replication.status()).fetch;
    assert.equal(after.fetchedBytes, before.fetchedBytes);
    assert.equal(await other.get('two'), noise(20_000, 5).toString('latin1'));
  });
});
