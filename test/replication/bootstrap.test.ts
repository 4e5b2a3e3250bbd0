/** Rules 14 and 15 between whole engines: what no longer comes as ops comes as a snapshot, whatever breaks on the way. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { noise } from '../engine/whole-site.ts';
import { Cluster } from './fixtures/cluster.ts';
import {
  BUCKET,
  drive,
  joinEngine,
  openStores,
  type EngineSite,
  type EngineSiteOptions,
  type Stores,
} from './fixtures/engine-site.ts';

import { equalEverywhere, forget, remove, settled, stopAll, until } from './fixtures/settling.ts';

const SMALL: EngineSiteOptions = { engine: { batchEntities: 3, keepOps: 0 } };

/** A site with some history, all of it trimmed. */
async function source(cluster: Cluster, options: EngineSiteOptions = SMALL): Promise<EngineSite> {
  const waw = await joinEngine(cluster, 'waw', [], options);
  await drive(cluster, waw.objects.createBucket({ bucket: BUCKET, owner: 'owner' }));
  for (let i = 0; i < 12; i++) await waw.put(`key-${i}`, noise(i * 700, i));
  await waw.put('gone', noise(3000, 99));
  await remove(cluster, waw, 'gone');
  await forget(waw);
  return waw;
}

const bothWays = (cluster: Cluster, what: 'cut' | 'heal'): void => {
  if (what === 'heal') return cluster.network.heal();
  cluster.network.cut('ber', 'waw');
  cluster.network.cut('waw', 'ber');
};

/** Until a part of the snapshot is merged and its stream broke; the link is cut then. */
async function halfWay(cluster: Cluster, site: EngineSite, afterFrames = 2): Promise<void> {
  cluster.network.breaks = { name: 'cut-pages', afterFrames };
  await until(cluster, () => cluster.network.breaks === undefined, 1);
  bothWays(cluster, 'cut');
  await cluster.time.run(100);
  assert.equal(site.engine.replicaState.bootstrapping(), true);
}

describe('a gap', () => {
  test('is filled by a snapshot, by itself: an empty site ends as the one that it came from, bytes and all', async () => {
    const cluster = new Cluster();
    const waw = await source(cluster);
    const ber = await joinEngine(cluster, 'ber', ['waw'], SMALL);
    await settled(cluster, waw, ber);
    await equalEverywhere(waw, ber);
    assert.equal(await ber.get('key-11'), noise(7700, 11).toString('latin1'));
    await waw.put('later', noise(10, 5));
    await settled(cluster, waw, ber);
    assert.equal(await ber.get('later'), noise(10, 5).toString('latin1'));
    const { bootstrap, peers } = await ber.replication.status();
    assert.deepEqual(
      [bootstrap?.state, bootstrap?.from, bootstrap?.reason, peers[0]?.state],
      ['done', 'waw', 'gap', 'connected'],
    );
    assert.ok((bootstrap?.entities ?? 0) >= 13);
    assert.deepEqual(
      ber.facts.map(({ kind }) => kind),
      ['must-bootstrap'],
    );
    await stopAll(ber, waw);
  });

  test('at a site with a history of its own, while both go on writing: nothing of either is lost', async () => {
    const cluster = new Cluster();
    const waw = await source(cluster);
    const ber = await joinEngine(cluster, 'ber', ['waw'], SMALL);
    await settled(cluster, waw, ber);
    bothWays(cluster, 'cut');
    for (let i = 0; i < 9; i++) await waw.put(`key-${i}`, noise(900, 50 + i));
    await remove(cluster, waw, 'key-10');
    for (let i = 0; i < 9; i += 2) await ber.put(`key-${i}`, noise(900, 70 + i));
    await ber.put('only-here', noise(5000, 3));
    await remove(cluster, ber, 'key-11');
    await forget(waw);
    bothWays(cluster, 'heal');
    cluster.network.breaks = { name: 'cut-pages', afterFrames: 3 };
    await until(cluster, () => cluster.network.breaks === undefined, 1);
    await waw.put('during', noise(2500, 6));
    await ber.put('during', noise(2500, 7));
    await ber.put('only-here', noise(2500, 8));
    await settled(cluster, waw, ber);
    await equalEverywhere(waw, ber);
    assert.equal(await waw.get('only-here'), noise(2500, 8).toString('latin1'));
    await assert.rejects(ber.get('key-11'), { code: 'NoSuchKey' });
    await assert.rejects(ber.get('key-10'), { code: 'NoSuchKey' });
    assert.match(await waw.dump(), /^conflicts /m);
    await stopAll(ber, waw);
  });

  test('a site that has nothing but what it wrote before goes on serving and writing, and reports no watermark', async () => {
    const cluster = new Cluster();
    const waw = await source(cluster);
    const stores = await openStores();
    const ber = await joinEngine(cluster, 'ber', [], { ...SMALL, stores });
    await drive(cluster, ber.objects.createBucket({ bucket: BUCKET, owner: 'owner' }));
    await ber.put('mine', noise(40, 1));
    await ber.stop();
    const again = await joinEngine(cluster, 'ber', ['waw'], { ...SMALL, stores });
    await halfWay(cluster, again);
    assert.equal(await again.get('mine'), noise(40, 1).toString('latin1'));
    await again.put('mine', noise(41, 2));
    assert.equal(await again.replication.frontier(), undefined);
    bothWays(cluster, 'heal');
    await settled(cluster, waw, again);
    assert.equal(await waw.get('mine'), noise(41, 2).toString('latin1'));
    await equalEverywhere(waw, again);
    await stopAll(again, waw);
  });
});

describe('several peers', () => {
  test('whose ops are all trimmed: the snapshot of one is enough', async () => {
    const cluster = new Cluster();
    const waw = await source(cluster);
    const lon = await joinEngine(cluster, 'lon', ['waw'], SMALL);
    await settled(cluster, waw, lon);
    await forget(waw);
    await forget(lon);
    cluster.network.calls.clear();
    const ber = await joinEngine(cluster, 'ber', ['waw', 'lon'], SMALL);
    await settled(cluster, waw, lon, ber);
    assert.equal(cluster.network.calls.get('cut'), 1);
    await equalEverywhere(waw, lon, ber);
    await stopAll(ber, lon, waw);
  });
});

describe('a snapshot that is interrupted', () => {
  test('at any page goes on there, with the same snapshot', async () => {
    const cluster = new Cluster();
    const waw = await source(cluster);
    let pages = 1;
    let whole = Number.POSITIVE_INFINITY;
    for (let at = 0; at < pages; at++) {
      const name = `b${at}`;
      cluster.network.calls.clear();
      cluster.network.breaks = { name: 'cut-pages', afterFrames: at };
      const ber = await joinEngine(cluster, name, ['waw'], SMALL);
      await settled(cluster, waw, ber);
      const { bootstrap } = await ber.replication.status();
      const entities = bootstrap?.entities ?? Number.NaN;
      // each site that joins is an entry more, as a member
      assert.ok(entities <= whole + at, `${entities} entries came where there are ${whole + at}`);
      whole = Math.min(whole, entities);
      pages = Math.ceil(entities / 3);
      assert.deepEqual([cluster.network.calls.get('cut'), cluster.network.calls.get('cut-pages')], [2, 2]);
      await equalEverywhere(waw, ber);
      await ber.stop();
      // members record themselves: the next one shall need a snapshot too
      await forget(waw);
    }
    assert.ok(pages >= 6, `${pages} pages`);
    await waw.stop();
  });

  test('the source restarts: another snapshot of it is taken, and what came meanwhile is in it', async () => {
    const cluster = new Cluster();
    const stores = await openStores();
    const waw = await source(cluster, { ...SMALL, stores });
    const ber = await joinEngine(cluster, 'ber', ['waw'], SMALL);
    await halfWay(cluster, ber);
    await waw.put('key-3', noise(60, 9));
    await remove(cluster, waw, 'key-0');
    await waw.stop();
    const again = await joinEngine(cluster, 'waw', [], { ...SMALL, stores });
    bothWays(cluster, 'heal');
    await settled(cluster, again, ber);
    await equalEverywhere(again, ber);
    assert.equal(await ber.get('key-3'), noise(60, 9).toString('latin1'));
    await stopAll(ber, again);
  });

  test('the taker crashes and restarts: it goes on where it was, and knows with whom', async () => {
    const cluster = new Cluster();
    const waw = await source(cluster);
    const stores = await openStores();
    const ber = await joinEngine(cluster, 'ber', ['waw'], { ...SMALL, stores });
    await halfWay(cluster, ber);
    await ber.stop();
    const again = await joinEngine(cluster, 'ber', ['waw'], { ...SMALL, stores });
    assert.equal(again.engine.replicaState.bootstrapping(), true);
    const before = (await again.engine.keeping.merging())?.position;
    assert.ok(before !== undefined);
    bothWays(cluster, 'heal');
    await settled(cluster, waw, again);
    const { bootstrap } = await again.replication.status();
    assert.deepEqual([bootstrap?.reason, bootstrap?.state], ['unfinished', 'done']);
    assert.ok((bootstrap?.entities ?? 99) < 14, `${bootstrap?.entities} entries were sent again`);
    await equalEverywhere(waw, again);
    await stopAll(again, waw);
  });

  test('it is gone when nobody asked for it long enough: another one is taken', async () => {
    const cluster = new Cluster();
    const expiring: EngineSiteOptions = { engine: { ...SMALL.engine, leaseTtlMs: 5000 } };
    const waw = await source(cluster, expiring);
    const ber = await joinEngine(cluster, 'ber', ['waw'], expiring);
    await halfWay(cluster, ber);
    const cutId = (await ber.engine.keeping.merging())?.cutId ?? '';
    await cluster.time.run(20_000);
    assert.equal(waw.engine.keeping.cuts.find(cutId), undefined);
    await waw.put('key-1', noise(77, 4));
    bothWays(cluster, 'heal');
    await settled(cluster, waw, ber);
    await equalEverywhere(waw, ber);
    await stopAll(ber, waw);
  });

  test('its source is gone: another site that has all of it serves as well, though it has all ops', async () => {
    const cluster = new Cluster();
    const waw = await joinEngine(cluster, 'waw', [], SMALL);
    await drive(cluster, waw.objects.createBucket({ bucket: BUCKET, owner: 'owner' }));
    for (let i = 0; i < 12; i++) await waw.put(`key-${i}`, noise(900, i));
    const lon = await joinEngine(cluster, 'lon', ['waw'], SMALL);
    await settled(cluster, waw, lon);
    assert.equal((await lon.replication.status()).bootstrap, undefined);
    await forget(waw);
    await settled(cluster, waw, lon);
    const ber = await joinEngine(cluster, 'ber', ['waw', 'lon'], SMALL);
    cluster.network.cut('ber', 'lon');
    await halfWay(cluster, ber);
    cluster.network.heal();
    bothWays(cluster, 'cut');
    await settled(cluster, lon, ber);
    await equalEverywhere(lon, ber);
    cluster.network.heal();
    await settled(cluster, waw, lon, ber);
    await equalEverywhere(waw, lon, ber);
    await stopAll(ber, lon, waw);
  });
});

describe('a site that only dials out', () => {
  /** An edge with a history that it has trimmed, and a new hub that cannot call it. */
  async function edgeAndHub(cluster: Cluster, stores?: Stores): Promise<[EngineSite, EngineSite]> {
    const edge = await joinEngine(cluster, 'edge', ['hub'], SMALL);
    await drive(cluster, edge.objects.createBucket({ bucket: BUCKET, owner: 'owner' }));
    for (let i = 0; i < 9; i++) await edge.put(`key-${i}`, noise(2500, i));
    await forget(edge);
    return [edge, await joinEngine(cluster, 'hub', [], stores === undefined ? SMALL : { ...SMALL, stores })];
  }

  test('lends its link to a hub that lacks what is trimmed, and goes on pushing what follows', async () => {
    const cluster = new Cluster();
    const [edge, hub] = await edgeAndHub(cluster);
    await settled(cluster, edge, hub);
    await equalEverywhere(edge, hub);
    assert.equal(await hub.get('key-8'), noise(2500, 8).toString('latin1'));
    await edge.put('later', noise(3000, 5));
    await hub.put('back', noise(3000, 6));
    await settled(cluster, edge, hub);
    assert.equal(await hub.get('later'), noise(3000, 5).toString('latin1'));
    const { bootstrap } = await hub.replication.status();
    assert.deepEqual([bootstrap?.from, bootstrap?.reason, bootstrap?.state], ['edge', 'gap', 'done']);
    await stopAll(hub, edge);
  });

  test('and when that breaks at any frame, or the hub restarts, it goes on', async () => {
    for (const breaks of [
      { name: 'turn', afterFrames: 0 },
      { name: 'turn', afterFrames: 1 },
      { name: 'turned', afterFrames: 0 },
      { name: 'turned', afterFrames: 0, calls: 3 },
    ]) {
      const cluster = new Cluster();
      cluster.network.breaks = breaks;
      const stores = await openStores();
      const [edge, hub] = await edgeAndHub(cluster, stores);
      await until(cluster, () => cluster.network.breaks === undefined, 10);
      await hub.stop();
      const again = await joinEngine(cluster, 'hub', [], { ...SMALL, stores });
      await settled(cluster, edge, again);
      await equalEverywhere(edge, again);
      await stopAll(again, edge);
    }
  });
});
