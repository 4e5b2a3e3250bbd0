/** The queue of the collector: what is damaged holds up nothing, and what is still read or written is not taken. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, test } from 'node:test';
import { SkerryError, type Locator } from '../../core/contracts/index.ts';
import { createReclaimer } from '../../core/engine/reclaim.ts';
import { decodeRecord, type ChunkRow } from '../../core/engine/records.ts';
import { put } from './exchange.ts';
import { FakeChunkStore, silentLogger } from './fake-stores.ts';
import { BUCKET, noise, wholeSite, type WholeSite } from './whole-site.ts';

const OPTIONS = { chunkBytes: 1000, dedupMinBytes: 100 } as const;

async function nodesOf({ metaStore }: WholeSite): Promise<readonly Locator[]> {
  const rows = await metaStore.scan({ space: 'chunks', limit: 10_000 });
  return rows
    .map(({ value }) => decodeRecord<ChunkRow>(value))
    .flatMap((row) => (row.kind === 'node' ? [row.locator] : []));
}

describe('collecting an object whose manifest node is damaged', () => {
  for (const damage of ['unreadable', 'gone', 'no list'] as const)
    test(`(${damage}) gives back all that nobody holds, and keeps what another object does`, async () => {
      await using site = await wholeSite(OPTIONS);
      const shared = noise(5000, 1);
      await put(site, 'kept', shared);
      await put(site, 'large', Buffer.concat([shared, noise(60_000, 2)]));
      await put(site, 'other', noise(3000, 3));
      const [node] = await nodesOf(site);
      const read = site.chunkStore.read.bind(site.chunkStore);
      site.chunkStore.read = async (locator, options) => {
        if (locator !== node) return read(locator, options);
        if (damage === 'no list') return Buffer.from('{');
        throw new SkerryError(damage === 'gone' ? 'NotFound' : 'Corrupt', 'rotten');
      };
      for (const key of ['large', 'other']) await site.objects.deleteObject({ bucket: BUCKET, key, owner: 'o' });
      assert.equal(await site.chunkCount(), 5);
      assert.equal((await site.metaStore.scan({ space: 'refs', limit: 100 })).length, 5);
      assert.deepEqual(await site.metaStore.scan({ space: 'queues', limit: 100 }), []);
    });
});

describe('a survey', () => {
  test('leaves in the queue who let go of a chunk last: the collector goes by that', async () => {
    await using site = await wholeSite(OPTIONS);
    const bytes = noise(1000, 1);
    await put(site, 'k', bytes);
    const { promise: rest, resolve: finish } = Promise.withResolvers<void>();
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    async function* body(): AsyncGenerator<Uint8Array> {
      yield bytes;
      yield noise(1000, 2);
      begin();
      await rest;
    }
    const writing = site.objects.putObject({
      bucket: BUCKET,
      key: 'same',
      body: { stream: body(), size: 2000 },
      owner: 'o',
      headers: {},
      metadata: {},
      storageClass: 'S',
    });
    await begun;
    await site.objects.deleteObject({ bucket: BUCKET, key: 'k', owner: 'o' });
    const queued = await site.metaStore.scan({ space: 'queues', limit: 10 });
    assert.equal(queued.length, 1);
    await site.engine.space.gcRun();
    assert.deepEqual(await site.metaStore.scan({ space: 'queues', limit: 10 }), queued, 'a running write relies on it');
    finish();
    await writing;
  });
});

describe('a collection', () => {
  test('that is asked for while another one runs takes what was let go of in between', async () => {
    await using site = await wholeSite(OPTIONS);
    for (const [at, key] of ['first', 'second'].entries()) await put(site, key, noise(3000, at + 1));
    const reading = await site.objects.openObject({ bucket: BUCKET, key: 'first' });
    await site.objects.deleteObject({ bucket: BUCKET, key: 'first', owner: 'o' });
    const running = site.engine.garbage.run();
    await new Promise((resolve) => setImmediate(resolve));
    await site.objects.deleteObject({ bucket: BUCKET, key: 'second', owner: 'o' });
    const asked = [site.engine.garbage.run(), site.engine.garbage.run()];
    reading.close();
    assert.deepEqual(await Promise.all([running, ...asked]), [3, 3, 3]);
    assert.deepEqual(await site.metaStore.scan({ space: 'queues', limit: 100 }), []);
  });
});

describe('waiting for running reads', () => {
  const reclaimerOf = () => createReclaimer({ chunkStore: new FakeChunkStore(), logger: silentLogger });

  test('leaves nothing behind at the signal, however often it is done', async () => {
    const { signal } = new AbortController();
    const reclaimer = reclaimerOf();
    for (let at = 0; at < 20; at++) await reclaimer.barrier(signal);
    assert.equal(getEventListeners(signal, 'abort').length, 0);
  });

  test('ends with the signal, also when that was before', { timeout: 10_000 }, async () => {
    const stop = new AbortController();
    const reclaimer = reclaimerOf();
    const endRead = reclaimer.beginRead();
    const waiting = reclaimer.barrier(stop.signal);
    stop.abort();
    await waiting;
    await reclaimer.barrier(stop.signal);
    endRead();
  });
});

describe('an engine', () => {
  test('closes all of itself when a collection that runs fails', async () => {
    const site = await wholeSite(OPTIONS);
    await put(site, 'k', noise(3000, 1));
    await site.objects.deleteObject({ bucket: BUCKET, key: 'k', owner: 'o' });
    const failure = new SkerryError('Io', 'the disk failed');
    const { promise: fails, reject: fail } = Promise.withResolvers<never>();
    site.metaStore.scan = () => fails;
    const failed = assert.rejects(site.engine.garbage.run(), failure);
    const closed = site[Symbol.asyncDispose]();
    await new Promise((resolve) => setImmediate(resolve));
    fail(failure);
    await Promise.all([failed, closed]);
    await assert.rejects(site.objects.createBucket({ bucket: 'late', owner: 'o' }), { code: 'Closed' });
  });
});
