/** Rule 14 between whole engines: what is given up once nobody may ask for it any more, and how who comes late fares. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { opLogKey } from '../../core/engine/keys.ts';
import { transact } from '../../core/engine/txn.ts';
import type { MetaSpace } from '../../core/contracts/index.ts';
import { noise } from '../engine/whole-site.ts';
import { both, Cluster } from './fixtures/cluster.ts';
import { BUCKET, drive, joinEngine, type EngineSite, type EngineSiteOptions } from './fixtures/engine-site.ts';
import { equalEverywhere, forget, remove, settled, stopAll, until } from './fixtures/settling.ts';

const SMALL: EngineSiteOptions = {
  engine: { batchEntities: 3, keepOps: 0, tombstoneGraceMs: 0, leaseTtlMs: 60_000 },
  replication: { leaseTtlMs: 60_000 },
};

const rows = async ({ metaStore }: EngineSite, space: MetaSpace): Promise<number> =>
  (await metaStore.scan({ space, limit: 10_000 })).length;

/** One look at what can go, once the log next to the data has everything. */
async function purgeNow({ engine, metaStore }: EngineSite): Promise<{ ops: number; tombstones: number }> {
  const vector = await engine.vector();
  await transact(metaStore, {}, (txn) => txn.put(opLogKey, { vector }));
  return engine.keeping.purger.run();
}

const purge = (cluster: Cluster, site: EngineSite): ReturnType<typeof purgeNow> => drive(cluster, purgeNow(site));

async function put({ objects }: EngineSite, key: string): Promise<void> {
  const input = { bucket: BUCKET, key, owner: 'owner', headers: {}, metadata: {}, storageClass: 'STANDARD' };
  await objects.putObject({ ...input, body: { bytes: Buffer.from('x') } });
}

async function pair(cluster: Cluster, options = SMALL): Promise<[EngineSite, EngineSite]> {
  const waw = await joinEngine(cluster, 'waw', ['ber'], options);
  const ber = await joinEngine(cluster, 'ber', ['waw'], options);
  await settled(cluster, waw, ber);
  await drive(cluster, waw.objects.createBucket({ bucket: BUCKET, owner: 'owner' }));
  return [waw, ber];
}

/** Everything there is to give up is, at all of them. */
async function drained(cluster: Cluster, ...sites: readonly EngineSite[]): Promise<void> {
  for (let round = 0; round < 20; round++) {
    await cluster.time.run(30_000);
    for (const site of sites) await purge(cluster, site);
    const left = await Promise.all(sites.map((site) => rows(site, 'tombstones')));
    if (left.every((count) => count === 0)) return;
  }
  assert.fail('tombstones are left');
}

describe('a cluster at work', () => {
  test('trims its oplogs and forgets removals; who joins then ends with the same state, and so does the next', async () => {
    const cluster = new Cluster();
    const [waw, ber] = await pair(cluster);
    for (let i = 0; i < 10; i++) await waw.put(`key-${i}`, noise(2500, i));
    for (let i = 0; i < 10; i += 2) await remove(cluster, i % 4 === 0 ? waw : ber, `key-${i}`).catch(() => undefined);
    await settled(cluster, waw, ber);
    assert.ok((await rows(waw, 'tombstones')) > 0 && (await rows(waw, 'oplog')) > 10);
    await drained(cluster, waw, ber);
    assert.ok((await rows(waw, 'oplog')) < 5, 'the oplog is trimmed');
    const lon = await joinEngine(cluster, 'lon', ['waw', 'ber'], SMALL);
    await settled(cluster, waw, ber, lon);
    assert.deepEqual([(await lon.replication.status()).bootstrap?.state, await rows(lon, 'tombstones')], ['done', 0]);
    await equalEverywhere(waw, ber, lon);
    await ber.put('after', noise(20, 1));
    const nyc = await joinEngine(cluster, 'nyc', ['lon'], SMALL);
    await settled(cluster, waw, ber, lon, nyc);
    await equalEverywhere(waw, ber, lon, nyc);
    assert.equal(await nyc.get('key-1'), noise(2500, 1).toString('latin1'));
    await stopAll(nyc, lon, ber, waw);
  });

  test('a member that is away holds everything back; it comes back and gets ops, not a snapshot', async () => {
    const cluster = new Cluster();
    const [waw, ber] = await pair(cluster);
    await settled(cluster, waw, ber);
    for (const [a, b] of both(['waw', 'ber'])) cluster.network.cut(a, b);
    await waw.put('k', noise(10, 1));
    await remove(cluster, waw, 'k');
    await cluster.time.run(600_000);
    await purge(cluster, waw);
    assert.equal(await rows(waw, 'tombstones'), 1);
    cluster.network.heal();
    await settled(cluster, waw, ber);
    assert.equal((await ber.replication.status()).bootstrap, undefined);
    await drained(cluster, waw, ber);
    await equalEverywhere(waw, ber);
    await stopAll(ber, waw);
  });
});

/** Takes everything for stable; it has nine objects. */
async function source(cluster: Cluster, bytes: number): Promise<EngineSite> {
  const proven: { by?: EngineSite } = {};
  const waw = await joinEngine(cluster, 'waw', [], { ...SMALL, frontier: async () => proven.by?.replica.cut() });
  proven.by = waw;
  await drive(cluster, waw.objects.createBucket({ bucket: BUCKET, owner: 'owner' }));
  for (let i = 0; i < 9; i++) await waw.put(`key-${i}`, noise(bytes, i));
  return waw;
}

describe('a lease', () => {
  /** A source, and a taker that is out of reach half way through. */
  async function interrupted() {
    const cluster = new Cluster();
    const waw = await source(cluster, 2500);
    const ber = await joinEngine(cluster, 'ber', ['waw'], SMALL);
    await settled(cluster, waw, ber);
    await cluster.time.run(70_000);
    for (const [a, b] of both(['waw', 'ber'])) cluster.network.cut(a, b);
    return { cluster, waw, ber };
  }

  test('keeps the oplog for a peer that was here a moment ago, which gets ops; without one it gets a snapshot', async () => {
    for (const awayMs of [30_000, 90_000]) {
      const { cluster, waw, ber } = await interrupted();
      await waw.put('key-1', noise(30, 50));
      await remove(cluster, waw, 'key-2');
      await cluster.time.run(awayMs);
      await purge(cluster, waw);
      const isHeld = awayMs < 60_000;
      assert.equal((await rows(waw, 'oplog')) > 0, isHeld);
      assert.equal(await rows(waw, 'tombstones'), isHeld ? 1 : 0);
      cluster.network.heal();
      await settled(cluster, waw, ber);
      const { bootstrap } = await ber.replication.status();
      assert.equal(bootstrap?.reason, isHeld ? undefined : 'gap');
      assert.equal(
        ber.facts.some(({ kind }) => kind === 'must-bootstrap'),
        !isHeld,
      );
      await assert.rejects(ber.get('key-2'), { code: 'NoSuchKey' });
      assert.equal(await ber.get('key-1'), noise(30, 50).toString('latin1'));
      await stopAll(ber, waw);
    }
  });

  test('that runs out in the middle of a snapshot: another snapshot is taken, and nothing comes back', async () => {
    const { cluster, waw, ber } = await interrupted();
    await waw.put('key-1', noise(30, 50));
    await cluster.time.run(90_000);
    await purge(cluster, waw);
    cluster.network.heal();
    cluster.network.breaks = { name: 'cut-pages', afterFrames: 2 };
    await until(cluster, () => cluster.network.breaks === undefined, 1);
    for (const [a, b] of both(['waw', 'ber'])) cluster.network.cut(a, b);
    await remove(cluster, waw, 'key-0');
    await remove(cluster, waw, 'key-8');
    await cluster.time.run(90_000);
    await purge(cluster, waw);
    assert.deepEqual([await rows(waw, 'oplog'), await rows(waw, 'tombstones')], [0, 0]);
    cluster.network.heal();
    await settled(cluster, waw, ber);
    await equalEverywhere(waw, ber);
    for (const key of ['key-0', 'key-8']) await assert.rejects(ber.get(key), { code: 'NoSuchKey' });
    await stopAll(ber, waw);
  });
});

describe('what follows a snapshot', () => {
  test('is kept from the moment that it is opened', async () => {
    const cluster = new Cluster();
    const known: { waw?: EngineSite } = {};
    const waw = await joinEngine(cluster, 'waw', [], {
      ...SMALL,
      frontier: async () => known.waw?.replica.cut(),
      kept: (kept) => ({
        ...kept,
        cuts: {
          ...kept.cuts,
          async open(knows) {
            const opened = await kept.cuts.open(knows);
            // a write, and a look at what can go, before anybody could say more
            if (known.waw) await put(known.waw, 'right-behind');
            if (known.waw) await purgeNow(known.waw);
            return opened;
          },
        },
      }),
    });
    known.waw = waw;
    await drive(cluster, waw.objects.createBucket({ bucket: BUCKET, owner: 'owner' }));
    for (let i = 0; i < 9; i++) await waw.put(`key-${i}`, noise(100, i));
    // nothing goes before there is another member
    const lon = await joinEngine(cluster, 'lon', ['waw'], SMALL);
    await settled(cluster, waw, lon);
    await lon.stop();
    await cluster.time.run(100_000);
    await forget(waw);
    // it asks for the snapshot before it ever asked for ops
    const ber = await joinEngine(cluster, 'ber', ['waw'], {
      ...SMALL,
      replication: { ...SMALL.replication, snapshotMinOps: 2 },
    });
    await settled(cluster, waw, ber);
    assert.equal(cluster.network.calls.get('cut'), 1);
    assert.equal(await ber.get('right-behind'), 'x');
    await stopAll(ber, waw);
  });
});

describe('garbage collection during a bootstrap', () => {
  test('bytes that go at the source in the middle of it are asked for by nobody in the end, and wedge nothing', async () => {
    const cluster = new Cluster();
    const waw = await source(cluster, 9000);
    await drive(cluster, waw.engine.keeping.purger.run());
    const ber = await joinEngine(cluster, 'ber', ['waw'], {
      ...SMALL,
      replication: { ...SMALL.replication, snapshotMinOps: 2 },
    });
    cluster.network.breaks = { name: 'cut-pages', afterFrames: 1 };
    await until(cluster, () => cluster.network.breaks === undefined, 1);
    for (const [a, b] of both(['waw', 'ber'])) cluster.network.cut(a, b);
    await remove(cluster, waw, 'key-0');
    await remove(cluster, waw, 'key-8');
    await waw.put('key-1', noise(9000, 60));
    await waw.put('key-7', noise(9000, 61));
    await drive(cluster, waw.engine.garbage.run());
    // what follows the snapshot is kept for who reads it, though nobody else needs it
    await purge(cluster, waw);
    assert.ok((await rows(waw, 'oplog')) >= 4);
    const { liveBytes } = await waw.chunkStore.usage();
    assert.ok(liveBytes < 9 * 9500, `${liveBytes} bytes: the collector has not run`);
    cluster.network.heal();
    await settled(cluster, waw, ber);
    await equalEverywhere(waw, ber);
    const { pending, bootstrap } = await ber.replication.status();
    assert.deepEqual([pending.versions, bootstrap?.reason, bootstrap?.state], [0, 'behind', 'done']);
    assert.equal(await ber.get('key-7'), noise(9000, 61).toString('latin1'));
    assert.equal(await ber.get('key-3'), noise(9000, 3).toString('latin1'));
    for (const key of ['key-0', 'key-8']) await assert.rejects(ber.get(key), { code: 'NoSuchKey' });
    await stopAll(ber, waw);
  });
});

describe('ops or a snapshot', () => {
  test('a short history comes as ops, a long one as a snapshot although all ops are there', async () => {
    for (const snapshotMinOps of [5, 5000]) {
      const cluster = new Cluster();
      const waw = await joinEngine(cluster, 'waw', [], { engine: { keepOps: 10_000 } });
      await drive(cluster, waw.objects.createBucket({ bucket: BUCKET, owner: 'owner' }));
      for (let i = 0; i < 9; i++) await waw.put('key', noise(100, i));
      const ber = await joinEngine(cluster, 'ber', ['waw'], { replication: { snapshotMinOps } });
      await settled(cluster, waw, ber);
      const { bootstrap } = await ber.replication.status();
      assert.equal(bootstrap?.reason, snapshotMinOps === 5 ? 'behind' : undefined);
      await equalEverywhere(waw, ber);
      // what comes later is few in any case
      cluster.network.cut('ber', 'waw');
      for (let i = 0; i < 9; i++) await waw.put('key', noise(100, 20 + i));
      cluster.network.heal();
      await settled(cluster, waw, ber);
      assert.equal((await ber.replication.status()).bootstrap?.startedMs, bootstrap?.startedMs);
      await stopAll(ber, waw);
    }
  });
});

describe('two sites that wait for the rest of each other', () => {
  test('say so, and go on once an operator tells one of them to take what the other has', async () => {
    const cluster = new Cluster();
    const [waw, ber] = await pair(cluster, {
      engine: { ...SMALL.engine, leaseTtlMs: 10_000 },
      replication: { backoffMaxMs: 400 },
    });
    for (let i = 0; i < 6; i++) await waw.put(`key-${i}`, noise(600, i));
    await settled(cluster, waw, ber);
    for (const [a, b] of both(['waw', 'ber'])) cluster.network.cut(a, b);
    for (let i = 0; i < 6; i++) {
      await waw.put(`waw-${i}`, noise(600, i));
      await ber.put(`ber-${i}`, noise(600, i));
    }
    await remove(cluster, waw, 'key-1');
    await remove(cluster, ber, 'key-2');
    await waw.put('key-3', noise(600, 40));
    await ber.put('key-3', noise(600, 41));
    for (const site of [waw, ber]) await forget(site);
    // each opens the other's before it has a part of it, reads a part, and loses the other for longer than anything is pinned
    const release = cluster.network.hold('cut');
    cluster.network.heal();
    await until(cluster, () => cluster.network.held === 2, 10);
    cluster.network.breaks = { name: 'cut-pages', afterFrames: 1, calls: 2 };
    release();
    await until(cluster, () => cluster.network.breaks === undefined, 1);
    for (const [a, b] of both(['waw', 'ber'])) cluster.network.cut(a, b);
    await cluster.time.run(30_000);
    cluster.network.heal();
    await cluster.time.run(60_000);
    for (const [site, other] of [
      [waw, 'ber'],
      [ber, 'waw'],
    ] as const) {
      assert.equal(site.engine.replicaState.bootstrapping(), true);
      assert.ok(site.facts.some((fact) => fact.kind === 'bootstrap-standoff' && fact.peer === other));
      const { bootstrap } = await site.replication.status();
      assert.match(bootstrap?.hint ?? '', new RegExp(`repl-bootstrap --from ${other}`));
    }
    await drive(cluster, ber.replication.bootstrapFrom('waw'));
    await settled(cluster, waw, ber);
    await equalEverywhere(waw, ber);
    for (let i = 0; i < 6; i++) assert.equal(await waw.get(`ber-${i}`), noise(600, i).toString('latin1'));
    for (const key of ['key-1', 'key-2']) await assert.rejects(waw.get(key), { code: 'NoSuchKey' });
    await stopAll(ber, waw);
  });
});
