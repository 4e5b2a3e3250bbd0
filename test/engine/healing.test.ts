/** Bytes that are damaged or missing here are fetched from another site, put in their place, and answered (rule 13). */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SkerryError, type Locator, type ReadOptions } from '../../core/contracts/index.ts';
import type { WantedBytes } from '../../core/engine/healing.ts';
import { conflictKey, headKey } from '../../core/engine/keys.ts';
import { decodeRecord, type ChunkRow, type HeadRecord } from '../../core/engine/records.ts';
import { exchange, fetchBytes, pullOps, put, readVersion } from './exchange.ts';
import { BUCKET, noise, readAll, wholeSite, type WholeSite } from './whole-site.ts';

const OPTIONS = { chunkBytes: 16_384, dedupMinBytes: 8192 } as const;
const SMALL = noise(3000, 1);
const LARGE = noise(200_000, 2);

/** Asks another site as replication does, and says what was asked. */
function supplyFrom(from: WholeSite, to: WholeSite, asked: WantedBytes[] = []): readonly WantedBytes[] {
  to.engine.healing.useSupply({
    async fetch(chunk) {
      asked.push(chunk);
      const found = await from.engine.replica.readChunk(chunk.hash, chunk.holder);
      if (!found) return false;
      await to.engine.replica.storeChunks([{ hash: chunk.hash, ...found }]);
      return true;
    },
  });
  return asked;
}

async function locatorsOf({ metaStore }: WholeSite): Promise<readonly Locator[]> {
  const chunks = await metaStore.scan({ space: 'chunks', limit: 1000 });
  const heads = await metaStore.scan({ space: 'heads', limit: 1000 });
  const own = heads.flatMap(({ value }) => decodeRecord<HeadRecord>(value).local?.locator ?? []);
  return [...chunks.map(({ value }) => decodeRecord<ChunkRow>(value).locator), ...own];
}

/** From now on these records cannot be read: `Corrupt` by their checksum, or `NotFound`. */
function rot({ chunkStore }: WholeSite, locators: readonly Locator[], code: 'Corrupt' | 'NotFound' = 'Corrupt'): void {
  const bad = new Set(locators);
  const [read, readNow] = [chunkStore.read.bind(chunkStore), chunkStore.readNow?.bind(chunkStore)];
  const check = (locator: Locator): void => {
    if (bad.has(locator)) throw new SkerryError(code, 'bit rot');
  };
  chunkStore.read = async (locator: Locator, options?: ReadOptions) => (check(locator), read(locator, options));
  chunkStore.readNow = (locator) => (check(locator), readNow?.(locator));
}

async function pair(): Promise<readonly [WholeSite, WholeSite]> {
  const sites = [await wholeSite({ ...OPTIONS, siteId: 'a' }), await wholeSite({ ...OPTIONS, siteId: 'b' })] as const;
  await exchange(...sites);
  return sites;
}

describe('a damaged chunk', () => {
  for (const code of ['Corrupt', 'NotFound'] as const)
    for (const [name, bytes] of Object.entries({ 'a small body': SMALL, 'a large object': LARGE }))
      test(`${name} whose records are ${code} is answered right, and is whole afterwards without a peer`, async () => {
        const [a, b] = await pair();
        await using _ = a;
        await using __ = b;
        await put(a, 'k', bytes);
        await exchange(a, b);
        const lost = await locatorsOf(b);
        rot(b, lost, code);
        supplyFrom(a, b);
        assert.deepEqual(await readAll(b.objects, 'k'), bytes);
        b.engine.healing.useSupply({ fetch: async () => assert.fail('nothing is missing any more') });
        assert.deepEqual(await readAll(b.objects, 'k'), bytes);
        assert.deepEqual(await readAll(b.objects, 'k', 1000, 1500), bytes.subarray(1000, 2500));
        assert.ok(
          (await locatorsOf(b)).every((locator) => !lost.includes(locator)),
          'nothing refers to what is bad',
        );
        const { damaged, repaired } = b.engine.auditor.damage();
        assert.deepEqual([damaged, repaired], [lost.length, lost.length]);
        assert.equal(await b.chunkCount(), (await locatorsOf(b)).length, 'what was bad is given back');
      });

  test('that no site within reach has is Unavailable with a time to come back; without peers it is Corrupt', async () => {
    const [a, b] = await pair();
    await using _ = a;
    await using __ = b;
    await put(b, 'k', LARGE);
    rot(b, await locatorsOf(b));
    await assert.rejects(readAll(b.objects, 'k'), { code: 'Corrupt' });
    supplyFrom(a, b);
    await assert.rejects(readAll(b.objects, 'k'), (error: SkerryError) => {
      assert.deepEqual([error.code, error.retryable, error.details['retryAfterMs']], ['Unavailable', true, 5000]);
      return true;
    });
  });

  test('counts as missing, so that a peer which comes by itself may bring it', async () => {
    const [a, b] = await pair();
    await using _ = a;
    await using __ = b;
    await put(a, 'k', LARGE);
    await exchange(a, b);
    const [row] = await b.metaStore.scan({ space: 'chunks', limit: 1 });
    const hash = Buffer.from(row?.key as Uint8Array).toString();
    rot(b, [decodeRecord<ChunkRow>(row?.value as Uint8Array).locator]);
    assert.deepEqual(await b.engine.replica.missing([hash]), []);
    await assert.rejects(b.engine.replica.readChunk(hash), { code: 'Corrupt' });
    assert.deepEqual(await b.engine.replica.missing([hash]), [hash]);
    const chunk = await a.engine.replica.readChunk(hash);
    assert.ok(chunk);
    await b.engine.replica.storeChunks([{ hash, ...chunk }]);
    assert.deepEqual(await b.engine.replica.missing([hash]), []);
    assert.deepEqual(await readAll(b.objects, 'k'), LARGE);
  });

  test('is not taken for healed because somebody says so', async () => {
    await using site = await wholeSite(OPTIONS);
    await put(site, 'k', SMALL);
    rot(site, await locatorsOf(site));
    site.engine.healing.useSupply({ fetch: async () => true });
    await assert.rejects(readAll(site.objects, 'k'), { code: 'Unavailable' });
  });

  test('is asked for once, however many readers need it, and an aborted one does not stop it', async () => {
    const [a, b] = await pair();
    await using _ = a;
    await using __ = b;
    await put(a, 'k', SMALL);
    await exchange(a, b);
    rot(b, await locatorsOf(b));
    const asked = supplyFrom(a, b);
    const abort = new AbortController();
    const opened = await b.objects.openObject({ bucket: BUCKET, key: 'k' });
    const reading = Array.fromAsync(opened.read(0, SMALL.length, abort.signal));
    const others = [readAll(b.objects, 'k'), readAll(b.objects, 'k')];
    abort.abort();
    await assert.rejects(reading, { code: 'Aborted' });
    opened.close();
    for (const bytes of await Promise.all(others)) assert.deepEqual(bytes, SMALL);
    assert.equal(asked.length, 1);
  });

  test('is stored anew by whoever writes the same content, instead of being shared', async () => {
    await using site = await wholeSite(OPTIONS);
    await put(site, 'k', LARGE);
    const lost = await locatorsOf(site);
    rot(site, lost);
    await assert.rejects(readAll(site.objects, 'k'), { code: 'Corrupt' });
    await put(site, 'k2', LARGE.subarray(0, 16_384));
    const opened = await site.objects.openObject({ bucket: BUCKET, key: 'k' });
    const [piece] = await Array.fromAsync(opened.read(0, 1000), (bytes) => Buffer.from(bytes));
    opened.close();
    assert.deepEqual(piece, LARGE.subarray(0, 1000));
  });

  test('does not stop the ops behind it: the op goes without its body', async () => {
    const [a, b] = await pair();
    await using _ = a;
    await using __ = b;
    await put(a, 'k', SMALL);
    await put(a, 'after', noise(100, 9));
    const [row] = await a.metaStore.get([headKey(BUCKET, 'k')]);
    rot(a, [decodeRecord<HeadRecord>(row as Uint8Array).local?.locator as Locator]);
    await pullOps(a, b);
    assert.deepEqual(await readAll(b.objects, 'after'), noise(100, 9));
    assert.equal((await b.engine.replica.pending(10)).length, 1);
  });

  test('of a version that lost a conflict is healed where it is', async () => {
    const [a, b] = await pair();
    await using _ = a;
    await using __ = b;
    await put(a, 'k', SMALL);
    await put(b, 'k', noise(3000, 5));
    await exchange(a, b);
    const { entries } = await a.objects.listConflicts({ bucket: BUCKET, limit: 10 });
    const { losers } = await a.objects.getConflict({ bucket: BUCKET, key: entries[0]?.key ?? '' });
    const stamp = losers[0]?.stamp ?? '';
    const row = async () => (await a.metaStore.get([conflictKey(BUCKET, 'k', stamp)]))[0] as Uint8Array;
    const before = decodeRecord<{ loser: HeadRecord }>(await row()).loser.local?.locator as Locator;
    rot(a, [before]);
    supplyFrom(b, a);
    const versionId = losers[0]?.versionId ?? '';
    assert.equal((await readVersion(a, 'k', versionId)).length, 3000);
    assert.notEqual(decodeRecord<{ loser: HeadRecord }>(await row()).loser.local?.locator, before);
  });
});

describe('eager visibility', () => {
  test('rule 13: a version is current at once; what is read of it is fetched, and stays', async () => {
    await using a = await wholeSite({ ...OPTIONS, siteId: 'a' });
    await using b = await wholeSite({ ...OPTIONS, siteId: 'b', visibility: 'eager' });
    await put(a, 'k', SMALL);
    await exchange(a, b);
    await put(a, 'k', LARGE);
    await pullOps(a, b);
    const { info } = await b.objects.headObject({ bucket: BUCKET, key: 'k' });
    assert.equal(info.content.size, LARGE.length);
    const { entries } = await b.objects.listObjects({ bucket: BUCKET, limit: 10 });
    assert.deepEqual(
      entries.map(({ key, size }) => [key, size]),
      [['k', LARGE.length]],
    );
    await assert.rejects(readAll(b.objects, 'k'), { code: 'Unavailable' });
    const asked = supplyFrom(a, b);
    assert.deepEqual(await readAll(b.objects, 'k', 100_000, 10), LARGE.subarray(100_000, 100_010));
    assert.ok(asked.length <= 2, `a range asks for its own chunks only, not for ${asked.length}`);
    assert.deepEqual(await readAll(b.objects, 'k'), LARGE);
    const once = asked.length;
    assert.deepEqual(await readAll(b.objects, 'k'), LARGE);
    assert.equal(asked.length, once);
    await fetchBytes(a, b);
    assert.deepEqual(await b.engine.replica.pending(10), []);
    const [row] = await b.metaStore.get([headKey(BUCKET, 'k')]);
    assert.equal(decodeRecord<HeadRecord>(row as Uint8Array).local, undefined);
  });

  test('conditions see it', async () => {
    await using a = await wholeSite({ ...OPTIONS, siteId: 'a' });
    await using b = await wholeSite({ ...OPTIONS, siteId: 'b', visibility: 'eager' });
    await put(a, 'k', LARGE);
    await pullOps(a, b);
    const body = { bytes: Buffer.from('x') };
    const input = { bucket: BUCKET, key: 'k', owner: 'o', headers: {}, metadata: {}, storageClass: 'STANDARD', body };
    await assert.rejects(b.objects.putObject({ ...input, condition: { ifNoneMatch: ['*'] } }), {
      code: 'PreconditionFailed',
    });
  });
});
