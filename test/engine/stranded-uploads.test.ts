/** Uploads into a bucket that another site removed: nobody can go on with them or end them, so their parts must not stay for ever. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { MetaSpace } from '../../core/contracts/index.ts';
import { dropAllRest } from '../../core/engine/ended-uploads.ts';
import { endedUploadKey } from '../../core/engine/keys.ts';
import { transact } from '../../core/engine/txn.ts';
import { committerOf } from './cut-support.ts';
import { exchange, pullOps, put } from './exchange.ts';
import { silentLogger } from './fake-stores.ts';
import { memoryStore } from './support.ts';
import { createUpload, named, putAll, refuses } from './upload-helpers.ts';
import { BUCKET, noise, readAll, wholeSite, type WholeSite } from './whole-site.ts';

const OPTIONS = { chunkBytes: 1000, dedupMinBytes: 100 } as const;

const rows = async ({ metaStore }: WholeSite, space: MetaSpace): Promise<number> =>
  (await metaStore.scan({ space, limit: 1000 })).length;

describe('uploads in flight', () => {
  test('whose bucket was removed elsewhere end with the next collection, many parts and all', async () => {
    await using a = await wholeSite({ ...OPTIONS, siteId: 'a' });
    await using b = await wholeSite({ ...OPTIONS, siteId: 'b' });
    await exchange(a, b);
    const upload = await createUpload(b.objects);
    await putAll(
      b.objects,
      upload,
      Array.from({ length: 130 }, (_, at) => noise(1000, at + 1)),
    );
    for (let at = 0; at < 30; at++) await createUpload(b.objects, { key: `k${at}` });
    await b.objects.createBucket({ bucket: 'stays', owner: 'o' });
    const kept = await createUpload(b.objects, { bucket: 'stays' });
    const parts = await putAll(b.objects, kept, [noise(1000, 500)]);
    await a.objects.deleteBucket(BUCKET);
    await pullOps(a, b);
    await refuses(b.objects.abortUpload(upload), 'NoSuchBucket');
    await b.engine.space.gcRun();
    assert.deepEqual([await rows(b, 'uploads'), await rows(b, 'parts'), await rows(b, 'refs')], [1, 1, 1]);
    assert.equal(await b.chunkCount(), 1);
    await b.objects.completeUpload({ ...kept, parts: named(parts) });
  });

  test('go on when the bucket came back before', async () => {
    await using a = await wholeSite({ ...OPTIONS, siteId: 'a' });
    await using b = await wholeSite({ ...OPTIONS, siteId: 'b' });
    await exchange(a, b);
    const upload = await createUpload(b.objects);
    const parts = await putAll(b.objects, upload, [noise(1000, 1)]);
    await a.objects.deleteBucket(BUCKET);
    await put(b, 'unseen', 'x');
    await pullOps(a, b);
    await b.engine.space.gcRun();
    await b.objects.completeUpload({ ...upload, parts: named(parts) });
    assert.deepEqual(await readAll(b.objects, upload.key), noise(1000, 1));
  });
});

describe('ended uploads', () => {
  test('are let go of at the start, however many an earlier run left', async () => {
    const store = await memoryStore();
    const ids = Array.from({ length: 1200 }, (_, at) => `u${at}`);
    await transact(store, {}, (txn) => ids.forEach((id) => txn.set(endedUploadKey(id), new Uint8Array(0))));
    const committer = committerOf(store);
    await dropAllRest({ reader: store, committer, logger: silentLogger });
    assert.deepEqual(await store.scan({ space: 'queues', limit: 10 }), []);
    await committer.close();
  });
});
