/**
 * Rule 17 for a site that took a snapshot: no log next to its data has the ops that came with it. What the site wrote itself is
 * there, and must come to be what it was once a peer has brought the rest.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { rebuildIndex, type RebuildReport } from '../../core/engine/rebuild.ts';
import { MemoryMetaStore } from '../../plugins/meta-memory/store.ts';
import { sourceOf } from './cut-support.ts';
import { fetchBytes, pullOps, put, readVersion } from './exchange.ts';
import { dump } from './support.ts';
import { BUCKET, noise, wholeSite, type WholeSite } from './whole-site.ts';

const LARGE = noise(9000);
const OPTIONS = { chunkBytes: 1000, dedupMinBytes: 100 };

async function merge(from: WholeSite, to: WholeSite): Promise<void> {
  await using source = await sourceOf(from.metaStore);
  await to.engine.keeping.merge(source);
}

/** Its meta-store is lost and made again; the site is another origin from then on. */
async function rebuilt(site: WholeSite): Promise<{ readonly site: WholeSite; readonly report: RebuildReport }> {
  const { chunkStore } = site;
  await site.engine.close();
  const metaStore = new MemoryMetaStore();
  await metaStore.open();
  const report = await rebuildIndex({ metaStore, chunkStore });
  const again = await wholeSite({ ...OPTIONS, siteId: 'ber', incarnation: 'fedcba9876543210', metaStore, chunkStore });
  return { site: again, report };
}

/** ber has all of waw's by a snapshot; waw does not know of what ber does then. */
async function merged(from: WholeSite): Promise<WholeSite> {
  await from.objects.createBucket({ bucket: 'far', owner: 'o' });
  await from.objects.createBucket({ bucket: 'over', owner: 'o' });
  await put(from, 'old', LARGE);
  const to = await wholeSite({ ...OPTIONS, siteId: 'ber' });
  await merge(from, to);
  await fetchBytes(from, to);
  return to;
}

describe('rule 17: after a snapshot', () => {
  test('what depends on it takes effect once it is here again', async () => {
    await using waw = await wholeSite(OPTIONS);
    const ber = await merged(waw);
    await ber.objects.putVersionSetting({ bucket: BUCKET, key: 'old' }, 'tags', [['a', 'b']]);
    await ber.objects.putBucketSetting('far', 'versioning', 'Enabled');
    await ber.objects.deleteBucket('over');
    await put(ber, 'new', 'written here');
    const { site, report } = await rebuilt(ber);
    await using again = site;
    assert.equal(report.early, 3);
    await merge(waw, again);
    await fetchBytes(waw, again);
    await pullOps(again, waw);
    assert.deepEqual(await again.engine.vector(), await waw.engine.vector());
    assert.deepEqual((await waw.objects.headObject({ bucket: BUCKET, key: 'old' })).info.settings.tags, [['a', 'b']]);
    assert.equal(await dump(again.metaStore), await dump(waw.metaStore));
    assert.equal((await readVersion(again, 'new')).toString(), 'written here');
    assert.deepEqual(await again.metaStore.scan({ space: 'queues', limit: 10 }), [], 'nothing waits any more');
  });

  test('its bytes are kept, named or not, and not fetched again', async () => {
    await using waw = await wholeSite(OPTIONS);
    const { site, report } = await rebuilt(await merged(waw));
    await using again = site;
    assert.deepEqual([report.unlogged, report.freed], [await waw.engine.vector(), 0]);
    const { plan, freed } = await again.engine.space.gcRun();
    assert.deepEqual([plan.blocked === undefined, freed.chunks, freed.orphans.records], [false, 0, 0]);
    await merge(waw, again);
    const [pending] = await again.engine.replica.pending(10);
    const hashes = pending?.entries.map(({ hash }) => hash) ?? [];
    assert.ok(hashes.length > 0);
    assert.deepEqual(await again.engine.replica.missing(hashes), []);
    await fetchBytes(waw, again);
    assert.ok((await readVersion(again, 'old')).equals(LARGE));
    await again.engine.space.gcRun({ despiteLosses: true });
    assert.ok((await readVersion(again, 'old')).equals(LARGE));
  });

  test('what a peer never brings again is given up by who vouches for it', async () => {
    await using waw = await wholeSite(OPTIONS);
    const { site } = await rebuilt(await merged(waw));
    await using again = site;
    const before = await again.chunkCount();
    assert.ok(before > 0);
    const { freed } = await again.engine.space.gcRun({ despiteLosses: true });
    assert.equal(freed.chunks, before);
    assert.equal(await again.chunkCount(), 0);
  });
});
