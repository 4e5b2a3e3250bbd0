/** Rule 15: bootstrap is a consistent cut with its vector, then the oplog from that vector. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { sourceOf, type CutOptions } from '../engine/cut-support.ts';
import { fetchBytes, put, pullOps } from '../engine/exchange.ts';
import { BUCKET, noise, wholeSite, type WholeSite } from '../engine/whole-site.ts';
import { agree, meet, pass, pull, read, remove, setBucket, sites } from './support.ts';

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
});
