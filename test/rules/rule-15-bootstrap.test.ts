/** Rule 15: bootstrap is a consistent cut with its vector, then the oplog from that vector. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { sourceOf, type CutOptions } from '../engine/cut-support.ts';
import { fetchBytes, put, pullOps, remove } from '../engine/exchange.ts';
import { BUCKET, noise, wholeSite, type WholeSite } from '../engine/whole-site.ts';
import { Cluster } from '../replication/fixtures/cluster.ts';
import { drive, joinEngine, type EngineSiteOptions } from '../replication/fixtures/engine-site.ts';
import { equalEverywhere, forget, settled, stopAll } from '../replication/fixtures/settling.ts';
import { agree, meet, pass, pull, read, setBucket, sites } from './support.ts';

/** A state with something of everything in it. */
async function fill(site: WholeSite): Promise<void> {
  await put(site, 'gone', 'x');
  await remove(site, 'gone');
  await setBucket(site, 'versioning', 'Enabled');
  for (const key of ['k', 'l', 'm']) await put(site, key, noise(3000, key.charCodeAt(0)));
  await put(site, 'k', 'second version');
  await site.objects.putVersionSetting({ bucket: BUCKET, key: 'l' }, 'tags', { t: '1' });
  await remove(site, 'm');
  await site.engine.identities.create({ policy: 'rw' });
}

async function bootstrap(from: WholeSite, to: WholeSite, options: CutOptions = {}): Promise<void> {
  await using source = await sourceOf(from.metaStore, options);
  await to.engine.keeping.merge(source);
}

const newSite = (siteId: string): Promise<WholeSite> => wholeSite({ siteId, chunkBytes: 2048, dedupMinBytes: 512 });

const LITTLE: EngineSiteOptions = { engine: { batchEntities: 3, keepOps: 0 } };

describe('rule 15: a cut, then the oplog', () => {
  test('the cut is one reading: what is written while it is read comes behind it, once', async () => {
    await using world = await sites();
    await using empty = await newSite('new');
    const { a } = world;
    await fill(a);
    await using source = await sourceOf(a.metaStore, { pageEntities: 1 });
    await put(a, 'k', 'after the cut');
    await remove(a, 'l');
    await empty.engine.keeping.merge(source);
    assert.equal(await read(empty, 'l'), 'NoSuchKey', 'bytes are fetched behind');
    await fetchBytes(a, empty);
    assert.equal(await read(empty, 'k'), 'second version');
    await pullOps(a, empty);
    assert.equal(await read(empty, 'k'), 'after the cut');
    await meet(a, empty);
  });

  test('snapshot interrupted at every stage: it goes on from there, and the state is the same', async () => {
    await using world = await sites();
    const { a } = world;
    await fill(a);
    let stages = 0;
    for (let isWhole = false; !isWhole; stages++) {
      await using empty = await newSite('new');
      const options = { pageEntities: 1, cutId: 'pinned' };
      isWhole = await bootstrap(a, empty, { ...options, breaksAt: stages }).then(
        () => true,
        () => false,
      );
      if (!isWhole) {
        assert.deepEqual(Object.keys(await empty.engine.vector()), [empty.engine.replica.origin], 'not ready yet');
        await bootstrap(a, empty, options);
      }
      await pull(empty, a);
      await fetchBytes(a, empty);
      await agree(a, empty);
    }
    assert.ok(stages > 6, `${stages} stages`);
  });

  test('into a site with writes of its own: merged, never replaced; what it has and the cut’s vector covers was removed there', async () => {
    await using world = await sites();
    const { a, b } = world;
    await put(a, 'removed there', 'x');
    await meet(a, b);
    await remove(a, 'removed there');
    await fill(a);
    pass(1000, b);
    await put(b, 'only here', 'kept');
    await bootstrap(a, b);
    assert.deepEqual([await read(b, 'only here'), await read(b, 'removed there')], ['kept', 'NoSuchKey']);
    await fetchBytes(a, b);
    await meet(a, b);
  });

  test('a site that takes a snapshot in goes on serving and writing', async () => {
    await using world = await sites();
    const { a, b } = world;
    await fill(a);
    await put(b, 'own', 'before');
    await using source = await sourceOf(a.metaStore, { pageEntities: 1 });
    const page = source.page.bind(source);
    const merging = b.engine.keeping.merge({
      cut: source.cut,
      async page(after, limit) {
        assert.equal(b.engine.replicaState.bootstrapping(), true);
        await put(b, 'own', 'meanwhile');
        assert.equal(await read(b, 'own'), 'meanwhile');
        return page(after, limit);
      },
    });
    await merging;
    assert.equal(b.engine.replicaState.bootstrapping(), false);
    await meet(a, b);
  });

  test('a peer that was away beyond what is kept finds out, takes a snapshot by itself, and goes on with the oplog', async () => {
    const cluster = new Cluster();
    const waw = await joinEngine(cluster, 'waw', [], LITTLE);
    const ber = await joinEngine(cluster, 'ber', ['waw'], LITTLE);
    await drive(cluster, waw.objects.createBucket({ bucket: BUCKET, owner: 'owner' }));
    await waw.put('removed', noise(900, 1));
    await settled(cluster, waw, ber);
    cluster.network.cut('ber', 'waw');
    await ber.put('written away', noise(900, 2));
    await waw.put('k', noise(20_000, 3));
    await drive(cluster, waw.objects.deleteObject({ bucket: BUCKET, key: 'removed', owner: 'o' }));
    await forget(waw);
    cluster.network.heal();
    await settled(cluster, waw, ber);
    await equalEverywhere(waw, ber);
    assert.equal((await ber.replication.status()).bootstrap?.reason, 'gap');
    assert.equal(await ber.get('k'), noise(20_000, 3).toString('latin1'));
    assert.equal(await waw.get('written away'), noise(900, 2).toString('latin1'));
    await assert.rejects(ber.get('removed'), { code: 'NoSuchKey' });
    await waw.put('k', noise(900, 4));
    await settled(cluster, waw, ber);
    assert.equal(await ber.get('k'), noise(900, 4).toString('latin1'));
    await stopAll(ber, waw);
  });

  test('GC during bootstrap: what is removed and collected at the source meanwhile goes here too, the rest is whole', async () => {
    await using world = await sites();
    await using empty = await newSite('new');
    const { a } = world;
    await put(a, 'kept', noise(20_000, 1));
    await put(a, 'shares with it', noise(20_000, 1));
    await put(a, 'goes', noise(20_000, 2));
    await using source = await sourceOf(a.metaStore, { pageEntities: 1 });
    await remove(a, 'goes');
    await remove(a, 'shares with it');
    const collected = await a.chunkCount();
    await empty.engine.keeping.merge(source);
    await fetchBytes(a, empty);
    assert.equal(await read(empty, 'kept'), noise(20_000, 1).toString('latin1'));
    assert.deepEqual(
      (await empty.engine.replica.pending(10)).map(({ key }) => key),
      ['goes'],
    );
    await pullOps(a, empty);
    assert.deepEqual(await empty.engine.replica.pending(10), []);
    await meet(a, empty);
    assert.equal(await empty.chunkCount(), collected);
  });
});
