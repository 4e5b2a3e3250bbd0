/** Two engines that exchange ops and chunks by hand: what replication stands on. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import type { ManifestEntry } from '../../core/contracts/index.ts';
import type { FetchedChunk, PendingVersion, Replica } from '../../core/engine/replica.ts';
import { put } from './exchange.ts';
import { dump } from './support.ts';
import { BUCKET, noise, readAll, wholeSite, type WholeSite } from './whole-site.ts';

const SIZES = [0, 10, 5000, 9000, 70_000, 200_000] as const;
const OPTIONS = { chunkBytes: 16_384, dedupMinBytes: 8192 } as const;

async function pull(from: Replica, to: Replica, maxOps = 3): Promise<void> {
  for (;;) {
    const page = await from.opsAfter((await to.cut()).vector, { maxOps, maxBytes: 1_000_000 });
    assert.equal(page.kind, 'ops');
    if (page.kind !== 'ops' || page.ops.length === 0) return;
    const { outcomes } = await to.apply(page.ops);
    assert.ok(outcomes.every((outcome) => outcome === 'applied'));
  }
}

/** Fetches one version's chunks, nodes first; false when the peer lacks some. */
async function fetchVersion(from: Replica, to: Replica, version: PendingVersion): Promise<boolean> {
  let level: readonly ManifestEntry[] = version.entries;
  while (level.length > 0) {
    const missing = new Set(await to.missing(level.map(({ hash }) => hash)));
    const chunks: FetchedChunk[] = [];
    for (const hash of missing) {
      const chunk = await from.readChunk(hash, version);
      if (!chunk) return false;
      chunks.push({ hash, ...chunk });
    }
    if (chunks.length > 0) await to.storeChunks(chunks);
    const nodes = level.filter(({ span }) => span !== undefined);
    level = (await Promise.all(nodes.map((entry) => to.children(entry)))).flat();
  }
  await to.complete(version);
  return true;
}

async function fetchAll(from: Replica, to: Replica): Promise<void> {
  for (const version of await to.pending(1000)) await fetchVersion(from, to, version);
}

async function listing(site: WholeSite): Promise<readonly string[]> {
  const { entries } = await site.objects.listObjects({ bucket: BUCKET, limit: 1000 });
  return entries.map(({ key, etag, size }) => `${key} ${etag} ${size}`);
}

describe('a replica', () => {
  test('rule 13: an object is shown when its bytes have arrived; until then the one before is', async () => {
    await using a = await wholeSite({ ...OPTIONS, siteId: 'a' });
    await using b = await wholeSite({ ...OPTIONS, siteId: 'b' });
    const [old, next] = [noise(9000, 1), noise(200_000, 2)];
    await put(a, 'k', old);
    await pull(a.engine.replica, b.engine.replica);
    await fetchAll(a.engine.replica, b.engine.replica);
    assert.deepEqual(await readAll(b.objects, 'k'), old);
    await put(a, 'k', next);
    await pull(a.engine.replica, b.engine.replica);
    assert.deepEqual(await readAll(b.objects, 'k'), old);
    assert.equal((await listing(b)).length, 1);
    await fetchAll(a.engine.replica, b.engine.replica);
    assert.deepEqual(await readAll(b.objects, 'k'), next);
    assert.deepEqual(await b.engine.replica.pending(10), []);
    assert.deepEqual(await listing(b), await listing(a));
  });

  test('a version that is shown while the bytes of a newer one are missing goes when its removal arrives', async () => {
    await using a = await wholeSite({ ...OPTIONS, siteId: 'a' });
    await using b = await wholeSite({ ...OPTIONS, siteId: 'b' });
    await using c = await wholeSite({ ...OPTIONS, siteId: 'c' });
    await put(a, 'k', noise(100, 9));
    for (const other of [b, c]) await pull(a.engine.replica, other.engine.replica);
    await c.objects.deleteObject({ bucket: BUCKET, key: 'k', owner: 'o' });
    a.clock.wallMs += 1000;
    await put(a, 'k', noise(50_000, 10));
    await pull(a.engine.replica, b.engine.replica);
    assert.deepEqual(await readAll(b.objects, 'k'), noise(100, 9));
    await pull(c.engine.replica, b.engine.replica);
    await assert.rejects(readAll(b.objects, 'k'), { code: 'NoSuchKey' });
    await fetchAll(a.engine.replica, b.engine.replica);
    assert.deepEqual(await readAll(b.objects, 'k'), noise(50_000, 10));
  });

  test('a manifest node that was fetched holds its chunks, so that no collection takes them', async () => {
    await using a = await wholeSite({ ...OPTIONS, siteId: 'a' });
    await using b = await wholeSite({ ...OPTIONS, siteId: 'b' });
    const bytes = noise(40 * OPTIONS.chunkBytes, 8);
    await put(a, 'k', bytes);
    await pull(a.engine.replica, b.engine.replica);
    await fetchAll(a.engine.replica, b.engine.replica);
    await b.chunkCount();
    assert.deepEqual(await readAll(b.objects, 'k'), bytes);
  });

  test('bytes that it has already are not asked for again', async () => {
    await using a = await wholeSite({ ...OPTIONS, siteId: 'a' });
    await using b = await wholeSite({ ...OPTIONS, siteId: 'b' });
    const bytes = noise(100_000, 3);
    await put(b, 'mine', bytes);
    await put(a, 'theirs', bytes);
    await pull(a.engine.replica, b.engine.replica);
    assert.deepEqual(await b.engine.replica.pending(10), []);
    assert.deepEqual(await readAll(b.objects, 'theirs'), bytes);
  });

  test('a chunk or an inline body that is not what its hash says is refused, and nothing changes', async () => {
    await using a = await wholeSite({ ...OPTIONS, siteId: 'a' });
    await using b = await wholeSite({ ...OPTIONS, siteId: 'b' });
    await put(a, 'small', noise(100, 4));
    await put(a, 'large', noise(50_000, 5));
    const before = await b.engine.replica.cut();
    const page = await a.engine.replica.opsAfter(before.vector, { maxOps: 100, maxBytes: 1_000_000 });
    assert.ok(page.kind === 'ops');
    const forged = page.ops.map(({ op, body }) => (body ? { op, body: noise(body.length, 6) } : { op }));
    await assert.rejects(b.engine.replica.apply(forged), { code: 'ChecksumMismatch' });
    assert.deepEqual(await b.engine.replica.cut(), before);
    await b.engine.replica.apply(page.ops);
    const [version] = await b.engine.replica.pending(10);
    const hash = version?.entries[0]?.hash ?? '';
    await assert.rejects(b.engine.replica.storeChunks([{ hash, kind: 'data', bytes: noise(16_384, 7) }]), {
      code: 'ChecksumMismatch',
    });
    assert.ok((await b.engine.replica.missing([hash])).includes(hash));
  });

  test('superseded versions are not fetched', async () => {
    await using a = await wholeSite({ ...OPTIONS, siteId: 'a' });
    await using b = await wholeSite({ ...OPTIONS, siteId: 'b' });
    for (const seed of [1, 2, 3]) await put(a, 'k', noise(50_000, seed));
    await pull(a.engine.replica, b.engine.replica);
    assert.equal((await b.engine.replica.pending(10)).length, 1);
    await put(b, 'k', noise(50_000, 9));
    assert.deepEqual(await b.engine.replica.pending(10), []);
  });

  test('two sites that write the same keys unseen by each other end alike, whoever pulls first', async () => {
    const action = fc.record({
      site: fc.nat(1),
      key: fc.constantFrom('x', 'y'),
      size: fc.constantFrom(...SIZES),
      kind: fc.constantFrom('put', 'put', 'delete', 'pull'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 25 }), async (actions) => {
        await using a = await wholeSite({ ...OPTIONS, siteId: 'a' });
        await using b = await wholeSite({ ...OPTIONS, siteId: 'b' });
        const sites = [a, b] as const;
        for (const [i, { site, key, size, kind }] of actions.entries()) {
          const [here, there] = site === 0 ? sites : [b, a];
          if (kind === 'put') await put(here, key, noise(size, i));
          else if (kind === 'delete') await here.objects.deleteObject({ bucket: BUCKET, key, owner: 'o' });
          else await pull(there.engine.replica, here.engine.replica, 1 + (i % 4));
        }
        await pull(a.engine.replica, b.engine.replica);
        await pull(b.engine.replica, a.engine.replica);
        await fetchAll(a.engine.replica, b.engine.replica);
        await fetchAll(b.engine.replica, a.engine.replica);
        assert.deepEqual((await a.engine.replica.cut()).vector, (await b.engine.replica.cut()).vector);
        assert.equal(await dump(a.metaStore), await dump(b.metaStore));
        assert.deepEqual(await listing(a), await listing(b));
        for (const { key } of (await a.objects.listObjects({ bucket: BUCKET, limit: 10 })).entries) {
          assert.deepEqual(await readAll(a.objects, key), await readAll(b.objects, key));
        }
      }),
      { numRuns: 60 },
    );
  });
});
