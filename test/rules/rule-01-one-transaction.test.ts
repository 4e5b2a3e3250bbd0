/** Rule 1: a local write is durable, visible and in the oplog in one transaction, or it did not happen. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { SkerryError, type Stamp } from '../../core/contracts/index.ts';
import { stampHlc } from '../../core/engine/stamp.ts';
import { CLOCK, committerOf } from '../engine/cut-support.ts';
import { put, pullOps, remove } from '../engine/exchange.ts';
import { memoryStore } from '../engine/support.ts';
import { BUCKET, noise, wholeSite, type WholeSite } from '../engine/whole-site.ts';
import { agree, opsOf, read, setBucket, sites } from './support.ts';

/** One write of every kind that a client has. */
async function writeEverything(site: WholeSite): Promise<void> {
  const at = { bucket: BUCKET, key: 'k' };
  await put(site, 'k', 'one');
  await site.objects.putVersionSetting(at, 'tags', { t: '1' });
  await setBucket(site, 'versioning', 'Enabled');
  await put(site, 'k', 'two');
  await remove(site, 'k');
  await site.objects.copyObject({
    source: { ...at, versionId: 'null' },
    bucket: BUCKET,
    key: 'copy',
    owner: 'o',
    copyTags: true,
  });
  await remove(site, 'k', 'null');
  await site.objects.createBucket({ bucket: 'another', owner: 'o' });
  await site.objects.deleteBucket('another');
}

describe('rule 1: a write is durable, visible and in the oplog at once, or it did not happen', () => {
  test('no state changes without an op: the oplog alone makes another site the same', async () => {
    await using world = await sites();
    const { a, b } = world;
    await writeEverything(a);
    await pullOps(a, b);
    await agree(a, b);
  });

  test('seq is dense and stamps rise with it', async () => {
    await using world = await sites();
    await writeEverything(world.a);
    const { origin } = world.a.engine.replica;
    const own = (await opsOf(world.a)).filter(({ dot }) => dot.origin === origin);
    assert.deepEqual(
      own.map(({ dot }) => dot.seq),
      own.map((_, index) => index + 1),
    );
    assert.deepEqual(
      own.map(({ stamp }) => stamp),
      own.map(({ stamp }) => stamp).toSorted(),
    );
  });

  test('what the disk did not take is not acknowledged, and nothing of it is there', async () => {
    await using site = await wholeSite();
    const before = await site.engine.vector();
    const sync = site.chunkStore.sync.bind(site.chunkStore);
    site.chunkStore.sync = () => Promise.reject(new SkerryError('Io', 'the disk is gone'));
    await assert.rejects(put(site, 'k', noise(5000)), { code: 'Io' });
    site.chunkStore.sync = sync;
    assert.deepEqual([await site.engine.vector(), await read(site, 'k')], [before, 'NoSuchKey']);
    await put(site, 'k', 'x');
    assert.equal(await read(site, 'k'), 'x');
  });

  test('a transaction that fails leaves no op, no version and no number used', async () => {
    await using site = await wholeSite();
    const before = await site.engine.vector();
    const transact = site.metaStore.transact.bind(site.metaStore);
    site.metaStore.transact = (reads, decide) =>
      transact(reads, (values) => {
        const decided = decide(values);
        if (decided.kind === 'write') throw new SkerryError('Io', 'the disk is full');
        return decided;
      });
    await assert.rejects(put(site, 'k', noise(5000)), { code: 'Io' });
    site.metaStore.transact = transact;
    assert.deepEqual([await site.engine.vector(), await read(site, 'k')], [before, 'NoSuchKey']);
  });

  test('the clock goes on over a restart, even one into the past', async () => {
    const store = await memoryStore();
    const stamps: Stamp[] = [];
    for (const wallMs of [5000, 1000]) {
      const committer = committerOf(store, undefined, { clock: { ...CLOCK, wallMs: () => wallMs } });
      await committer.commit({
        reads: {},
        appended: [],
        decide: ({ author }) => void stamps.push(author({ type: 'principal.remove', id: 'p' }).stamp),
      });
      await committer.close();
    }
    const [first, second] = stamps.map(stampHlc);
    assert.ok(first !== undefined && second !== undefined && second > first, `${second} after ${first}`);
  });
});
