/** Space comes back when nobody holds it any more, and not a moment earlier. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isSkerryError } from '../../core/contracts/index.ts';
import { createReclaimer } from '../../core/engine/reclaim.ts';
import { putOf, remove } from './exchange.ts';
import { FakeChunkStore, silentLogger } from './fake-stores.ts';
import { BUCKET, noise, readAll, wholeSite, type WholeSite } from './whole-site.ts';

const CHUNKS = { chunkBytes: 1000, dedupMinBytes: 100 };

/** Rows that say where chunks lie, and who holds them. */
async function rows({ metaStore }: WholeSite): Promise<number> {
  const spaces = await Promise.all(
    (['chunks', 'refs'] as const).map((space) => metaStore.scan({ space, limit: 10_000 })),
  );
  return spaces.flat().length;
}

describe('garbage', () => {
  test('of a large object goes, nodes and rows too; what another object shares stays until that goes', async () => {
    await using site = await wholeSite(CHUNKS);
    const shared = noise(5000, 1);
    await site.objects.putObject(putOf('one', Buffer.concat([shared, noise(60_000, 2)])));
    await site.objects.putObject(putOf('two', shared));
    const before = await site.chunkCount();
    assert.ok(before > 65, `${before} chunks`);
    await remove(site, 'one');
    assert.equal(await site.chunkCount(), 5);
    assert.deepEqual(await readAll(site.objects, 'two'), shared);
    await remove(site, 'two');
    assert.equal(await site.chunkCount(), 0);
    assert.equal(await rows(site), 0);
  });

  test('of an overwritten object goes; of a copied one it does not', async () => {
    await using site = await wholeSite(CHUNKS);
    await site.objects.putObject(putOf('a', noise(9000, 1)));
    await site.objects.copyObject({
      source: { bucket: BUCKET, key: 'a' },
      bucket: BUCKET,
      key: 'b',
      owner: 'o',
      copyTags: true,
    });
    await site.objects.putObject(putOf('a', noise(2000, 2)));
    assert.equal(await site.chunkCount(), 11);
    assert.deepEqual(await readAll(site.objects, 'b'), noise(9000, 1));
    await remove(site, 'b');
    assert.equal(await site.chunkCount(), 2);
  });

  test('of small bodies goes at once, without a row', async () => {
    await using site = await wholeSite({ dedupMinBytes: 10_000 });
    for (let at = 0; at < 20; at++) await site.objects.putObject(putOf('same', noise(5000, at + 1)));
    assert.equal(await site.chunkCount(), 1);
    assert.equal(await rows(site), 0);
  });

  test('of a write that fails half way goes', async () => {
    await using site = await wholeSite(CHUNKS);
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield noise(7000, 1);
      throw new Error('the client went away');
    }
    const input = { ...putOf('k', noise(1)), body: { stream: broken(), size: 20_000 } };
    await assert.rejects(site.objects.putObject(input), (error) => isSkerryError(error, 'IncompleteBody'));
    const refused = { ...putOf('k', noise(7000, 3)), condition: { ifMatch: ['x'] } };
    await assert.rejects(site.objects.putObject(refused), (error) => isSkerryError(error, 'NoSuchKey'));
    assert.equal(await site.chunkCount(), 0);
    assert.equal(await rows(site), 0);
  });

  test('that a reader is still reading waits for it', async () => {
    await using site = await wholeSite(CHUNKS);
    const bytes = noise(50_000, 1);
    await site.objects.putObject(putOf('k', bytes));
    const object = await site.objects.openObject({ bucket: BUCKET, key: 'k' });
    await remove(site, 'k');
    const collected = site.engine.garbage.run();
    const pieces: Buffer[] = [];
    for await (const piece of object.read(0, bytes.length)) pieces.push(Buffer.from(piece));
    assert.deepEqual(Buffer.concat(pieces), bytes);
    object.close();
    assert.ok((await collected) > 0);
    assert.equal(await site.chunkCount(), 0);
  });
});

describe('reclamation', () => {
  test('frees once every read that ran then has ended, whichever ends last', async () => {
    const chunkStore = new FakeChunkStore();
    const [first = '', second = ''] = await chunkStore.append(
      [1, 2].map((at) => ({ kind: 'data', hash: `sha256:${at}`, data: [noise(10, at)] })),
    );
    const reclaimer = createReclaimer({ chunkStore, logger: silentLogger });
    const endOld = reclaimer.beginRead();
    reclaimer.free([first]);
    const endNew = reclaimer.beginRead();
    reclaimer.free([second]);
    endNew();
    endNew();
    await reclaimer.settle();
    assert.equal(chunkStore.freed, 0, 'the old read could still need both');
    endOld();
    await reclaimer.settle();
    assert.equal(chunkStore.freed, 2);
    reclaimer.beginRead();
    reclaimer.free(await chunkStore.append([{ kind: 'data', hash: 'sha256:3', data: [noise(10)] }]));
    await reclaimer.settle();
    assert.equal(chunkStore.freed, 2, 'a read that never ends keeps what was freed after it began');
  });
});

describe('a group commit', () => {
  test('fails the one that refuses and no other, and its effects are as if it had not been there', async () => {
    await using site = await wholeSite(CHUNKS);
    await site.objects.putObject(putOf('taken', noise(10)));
    const writes = Array.from({ length: 20 }, (_, at) => putOf(`k${at}`, noise(3000 + at, at + 1)));
    const outcomes = await Promise.allSettled([
      ...writes.slice(0, 10).map((input) => site.objects.putObject(input)),
      site.objects.putObject({ ...putOf('taken', noise(4000, 99)), condition: { ifNoneMatch: ['*'] } }),
      site.objects.putObject({ ...putOf('k', noise(5)), bucket: 'absent' }),
      ...writes.slice(10).map((input) => site.objects.putObject(input)),
    ]);
    const codes = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason.code] : []));
    assert.deepEqual(codes, ['PreconditionFailed', 'NoSuchBucket']);
    for (const [at, { key }] of writes.entries())
      assert.deepEqual(await readAll(site.objects, key), noise(3000 + at, at + 1));
    assert.deepEqual(await readAll(site.objects, 'taken'), noise(10));
    const vector = await site.engine.vector();
    assert.deepEqual(Object.values(vector), [22], 'a bucket and 21 objects: no number was given to a refused write');
  });
});
