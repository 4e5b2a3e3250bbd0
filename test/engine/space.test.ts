/** Garbage collection as a whole: what nobody names is found and given back, and nothing else. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ChunkStore, Locator } from '../../core/contracts/index.ts';
import { chunkKey } from '../../core/engine/keys.ts';
import { transact } from '../../core/engine/txn.ts';
import { exchange, pullOps, put, putOf, readVersion, remove } from './exchange.ts';
import { SimDisk } from '../../harness/sim/disk.ts';
import { seeded, storeOver } from '../plugins/chunks-fs/fixture.ts';
import { createUpload, putAll } from './upload-helpers.ts';
import { BUCKET, noise, readAll, wholeSite, type WholeSite } from './whole-site.ts';

const CHUNKS = { chunkBytes: 1000, dedupMinBytes: 100 };
const NOTHING = { records: 0, bytes: 0 };

/** What a crash between storing and committing leaves. */
async function orphan({ chunkStore }: WholeSite, length: number): Promise<Locator> {
  const [locator] = await chunkStore.append([
    { kind: 'data', hash: `sha256:${'ab'.repeat(32)}`, data: [noise(length)] },
  ]);
  return locator as Locator;
}

async function locatorsIn(chunkStore: ChunkStore): Promise<readonly Locator[]> {
  const found: Locator[] = [];
  for await (const batch of chunkStore.scan())
    found.push(...batch.filter(({ kind }) => kind !== 'op').map(({ locator }) => locator));
  return found;
}

describe('a plan', () => {
  test('says what is live, what nobody names and what nothing holds, and changes nothing', async () => {
    await using site = await wholeSite(CHUNKS);
    await site.objects.putObject(putOf('small', noise(50)));
    await site.objects.putObject(putOf('large', noise(3000)));
    const left = await orphan(site, 700);
    const [row] = await site.metaStore.scan({ space: 'chunks', limit: 1 });
    const hash = Buffer.from(row?.key ?? []).toString();
    const [ref] = await site.metaStore.scan({ space: 'refs', limit: 1 });
    await transact(site.metaStore, {}, (txn) => txn.remove({ space: 'refs', key: ref?.key ?? new Uint8Array() }));
    const before = await locatorsIn(site.chunkStore);
    const plan = await site.engine.space.gcPlan();
    assert.deepEqual(plan.live, { records: 4, bytes: 3050 });
    assert.deepEqual(plan.garbage.orphans, { records: 1, bytes: 700, samples: [left] });
    assert.deepEqual(plan.garbage.unreferenced, { records: 1, bytes: 1000, samples: [hash] });
    assert.deepEqual([plan.inFlight, plan.missing.count, plan.damaged.count, plan.blocked], [NOTHING, 0, 0, undefined]);
    assert.deepEqual(await locatorsIn(site.chunkStore), before);
  });

  test('counts what stays although readers do not see it', async () => {
    await using site = await wholeSite(CHUNKS);
    const upload = await createUpload(site.objects);
    await putAll(site.objects, upload, [noise(2500)]);
    const { kept, garbage } = await site.engine.space.gcPlan();
    assert.deepEqual(kept.uploadParts, { records: 1, bytes: 2500 });
    assert.deepEqual([garbage.orphans.records, garbage.unreferenced.records], [0, 0]);
    await site.engine.space.gcRun();
    assert.equal((await locatorsIn(site.chunkStore)).length, 3, 'parts of an open upload stay');
  });

  test('counts what lost a conflict, what a lock may bring back, and what readers see meanwhile; a run keeps it all', async () => {
    await using a = await wholeSite({ siteId: 'a', chunkBytes: 1000 });
    await using b = await wholeSite({ siteId: 'b', chunkBytes: 1000 });
    const lock = { bucket: 'locked', key: 'k', owner: 'o' };
    await b.objects.createBucket({ ...lock, objectLock: true, settings: { versioning: 'Enabled' } });
    const { versionId = '' } = await b.objects.putObject({ ...putOf('k', noise(30, 9)), bucket: 'locked' });
    await b.objects.deleteObject({ ...lock, versionId });
    await Promise.all([put(a, 'fought', noise(40, 1)), put(b, 'fought', noise(50, 2)), put(b, 'old', noise(60, 3))]);
    await exchange(a, b);
    await put(a, 'old', noise(200_000, 4));
    await pullOps(a, b);
    const before = await locatorsIn(b.chunkStore);
    const { plan, freed } = await b.engine.space.gcRun();
    assert.deepEqual([plan.kept.conflictLosers, plan.kept.removedVersions, plan.kept.pendingVersions], [1, 1, 1]);
    assert.deepEqual([freed.orphans, freed.chunks], [NOTHING, 0]);
    assert.deepEqual([before.length, await locatorsIn(b.chunkStore)], [4, before]);
    assert.deepEqual(await readAll(b.objects, 'old'), noise(60, 3));
    const [loser] = (await b.objects.getConflict({ bucket: BUCKET, key: 'fought' })).losers;
    const lost = await readVersion(b, 'fought', loser?.versionId);
    assert.ok([40, 50].includes(lost.length));
  });

  test('names rows whose record is gone, and a run hides none of them', async () => {
    await using site = await wholeSite(CHUNKS);
    const { stamp } = await site.objects.putObject(putOf('lost', noise(60)));
    await site.objects.putObject(putOf('shared', noise(2000)));
    const [row] = await site.metaStore.scan({ space: 'chunks', limit: 1 });
    const { locator } = JSON.parse(Buffer.from(row?.value ?? []).toString()) as { locator: Locator };
    const bodies = (await locatorsIn(site.chunkStore)).slice(0, 1);
    await site.chunkStore.free([locator, ...bodies]);
    const { missing } = (await site.engine.space.gcRun()).plan;
    assert.equal(missing.count, 2);
    assert.deepEqual(
      missing.samples.map(({ key, stamp: at }) => [key, at]),
      [
        [undefined, undefined],
        ['lost', stamp],
      ],
    );
    assert.equal((await site.engine.space.gcPlan()).missing.count, 2);
  });

  test('names chunks that a version holds and that have no row, but not those that are on their way', async () => {
    await using a = await wholeSite({ ...CHUNKS, siteId: 'a' });
    await using b = await wholeSite({ ...CHUNKS, siteId: 'b' });
    await put(a, 'k', noise(2500));
    const page = await a.engine.replica.opsAfter({}, { maxOps: 100, maxBytes: 1_000_000 });
    await b.engine.replica.apply(page.kind === 'ops' ? page.ops : []);
    const pending = await b.engine.space.gcPlan();
    assert.deepEqual([pending.missing.count, pending.kept.pendingVersions], [0, 1]);
    await exchange(a, b);
    const [row] = await b.metaStore.scan({ space: 'chunks', limit: 1 });
    await transact(b.metaStore, {}, (txn) => txn.remove({ space: 'chunks', key: row?.key ?? new Uint8Array() }));
    assert.equal((await b.engine.space.gcPlan()).missing.count, 1);
  });
});

describe('a run', () => {
  test('gives back what nobody names, and what nothing holds although nothing queued it', async () => {
    await using site = await wholeSite(CHUNKS);
    const body = noise(3000);
    await site.objects.putObject(putOf('kept', body));
    await orphan(site, 5000);
    await orphan(site, 20);
    const [locator] = await site.chunkStore.append([{ kind: 'data', hash: 'sha256:unheld', data: [noise(400)] }]);
    await transact(site.metaStore, {}, (txn) =>
      txn.put(chunkKey('sha256:unheld'), { locator, length: 400, kind: 'data' }),
    );
    const { freed, before, after } = await site.engine.space.gcRun();
    assert.deepEqual([freed.orphans, freed.chunks], [{ records: 2, bytes: 5020 }, 1]);
    assert.ok(before.liveBytes - after.liveBytes >= 5420);
    assert.equal((await locatorsIn(site.chunkStore)).length, 3);
    assert.deepEqual(await readAll(site.objects, 'kept'), body);
  });

  test('leaves alone what a running write has stored and not yet committed, whenever it began', async () => {
    await using site = await wholeSite(CHUNKS);
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    const { promise: half, resolve: reached } = Promise.withResolvers<void>();
    const body = noise(9000);
    async function* slowly(): AsyncGenerator<Uint8Array> {
      yield body.subarray(0, 5000);
      reached();
      await gate;
      yield body.subarray(5000);
    }
    const writing = site.objects.putObject({ ...putOf('k', body), body: { stream: slowly(), size: body.length } });
    await half;
    const { plan, freed } = await site.engine.space.gcRun();
    assert.ok(plan.inFlight.records > 0, 'some of it was stored');
    assert.deepEqual(freed.orphans, NOTHING);
    open();
    await writing;
    assert.deepEqual(await readAll(site.objects, 'k'), body);
    assert.deepEqual((await site.engine.space.gcPlan()).inFlight, NOTHING);
  });

  test('among writes, overwrites, copies and deletions loses nothing that was acknowledged', async () => {
    await using site = await wholeSite(CHUNKS);
    const expected = new Map<string, Buffer>();
    const work = async (worker: number): Promise<void> => {
      for (let step = 0; step < 60; step++) {
        const key = `k${worker}-${step % 5}`;
        const body = noise((step * 977 + worker * 131) % 6000, step + 1);
        if (step % 7 === 6) {
          await site.objects.deleteObject({ bucket: BUCKET, key, owner: 'o' });
          expected.delete(key);
        } else {
          await site.objects.putObject(putOf(key, body));
          expected.set(key, body);
        }
      }
    };
    const over = new AbortController();
    const collecting = (async () => {
      while (!over.signal.aborted) await site.engine.space.gcRun();
    })();
    await Promise.all([1, 2, 3, 4].map(work));
    over.abort();
    await collecting;
    for (const [key, body] of expected) assert.deepEqual(await readAll(site.objects, key), body);
    const { plan, freed } = await site.engine.space.gcRun();
    assert.deepEqual([plan.missing.count, plan.inFlight, freed.orphans], [0, NOTHING, NOTHING]);
  });

  test('waits for a reader of a version that was just dropped', async () => {
    await using site = await wholeSite({ dedupMinBytes: 10_000 });
    const body = noise(5000);
    await site.objects.putObject(putOf('k', body));
    const object = await site.objects.openObject({ bucket: BUCKET, key: 'k' });
    await site.objects.deleteObject({ bucket: BUCKET, key: 'k', owner: 'o' });
    await site.engine.space.gcRun();
    const pieces: Buffer[] = [];
    for await (const piece of object.read(0, body.length)) pieces.push(Buffer.from(piece));
    object.close();
    assert.deepEqual(Buffer.concat(pieces), body);
    assert.equal(await site.chunkCount(), 0);
  });
});

describe('freed space among live records', () => {
  const SEGMENT_BYTES = 256 * 1024;

  async function fullSite(disk: SimDisk): Promise<WholeSite> {
    const chunkStore = storeOver(disk, { segmentMaxBytes: SEGMENT_BYTES });
    return wholeSite({ chunkStore, chunkBytes: 20_000, dedupMinBytes: 5000 });
  }

  test('comes back: small bodies, shared chunks, manifest nodes, losers and kept removals are moved and read right', async () => {
    const disk = new SimDisk({ random: seeded(3) });
    await using site = await fullSite(disk);
    await using peer = await wholeSite({ siteId: 'ber' });
    const lock = { bucket: 'locked', owner: 'o' };
    await site.objects.createBucket({ ...lock, objectLock: true, settings: { versioning: 'Enabled' } });
    const expected = new Map<string, Buffer>();
    for (let at = 0; at < 400; at++) {
      const body = noise(at % 5 === 4 ? 90_000 : 3000, at + 1);
      await site.objects.putObject(putOf(`k${at}`, body));
      if (at % 8 === 3 || at % 40 === 4) expected.set(`k${at}`, body);
      if (at % 100 === 50) await site.objects.putObject({ ...putOf(`r${at}`, noise(2000, at)), bucket: 'locked' });
    }
    await put(peer, 'k3', 'the other side');
    await exchange(site, peer);
    const { entries } = await site.objects.listVersions({ bucket: 'locked', limit: 100 });
    for (const { key, versionId } of entries) await site.objects.deleteObject({ ...lock, key, versionId });
    const conflict = await site.objects.getConflict({ bucket: BUCKET, key: 'k3' });
    const lost = await readVersion(site, 'k3', conflict.losers[0]?.versionId);
    for (let at = 0; at < 400; at++) if (!expected.has(`k${at}`)) await remove(site, `k${at}`);
    await site.chunkCount();
    const usedBefore = disk.usedBytes;

    const { moved, before, after, plan } = await site.engine.space.gcRun();
    assert.deepEqual([plan.missing.count, plan.garbage.orphans.records, plan.kept.removedVersions], [0, 0, 4]);
    assert.ok(before.deadBytes > 3_000_000, `${before.deadBytes} bytes dead`);
    assert.ok(moved.records > 50 && after.deadBytes < before.deadBytes / 5, JSON.stringify({ moved, before, after }));
    assert.deepEqual((await site.engine.space.gcPlan()).live, plan.live);
    assert.ok(disk.usedBytes < usedBefore - 2_000_000, `${disk.usedBytes} of ${usedBefore} bytes on disk`);
    const [k3, ...others] = [...expected];
    for (const [key, body] of others) assert.deepEqual(await readAll(site.objects, key), body);
    const winner = await readAll(site.objects, 'k3');
    assert.ok(
      [String(winner), String(lost)].includes('the other side') &&
        k3 &&
        [winner, lost].some((one) => one.equals(k3[1])),
    );
    assert.deepEqual(await readVersion(site, 'k3', conflict.losers[0]?.versionId), lost);
    // what was the open segment then may be sparse by now
    await site.engine.space.gcRun();
    const again = await site.engine.space.gcRun();
    assert.deepEqual([again.moved, again.plan.missing.count, again.freed.orphans], [NOTHING, 0, NOTHING]);
  });

  test('comes back while objects are read, overwritten and deleted', async () => {
    const disk = new SimDisk({ random: seeded(4) });
    await using site = await fullSite(disk);
    const expected = new Map<string, Buffer>();
    const write = async (key: string, seed: number): Promise<void> => {
      const body = noise(seed % 3 === 0 ? 60_000 : 2500, seed);
      await site.objects.putObject(putOf(key, body));
      expected.set(key, body);
    };
    for (let at = 0; at < 200; at++) await write(`k${at}`, at + 1);
    for (let at = 0; at < 200; at++) if (at % 4 > 0) await remove(site, `k${at}`);
    for (let at = 0; at < 200; at++) if (at % 4 > 0) expected.delete(`k${at}`);
    const over = new AbortController();
    const collecting = (async () => {
      let moves = 0;
      while (!over.signal.aborted) moves += (await site.engine.space.gcRun()).moved.records;
      return moves;
    })();
    for (let round = 0; round < 4; round++) {
      const work = [...expected].map(async ([key, body], at) => {
        assert.deepEqual(await readAll(site.objects, key), body);
        if (at % 3 === 0) await write(key, 1000 * round + at);
      });
      await Promise.all(work);
    }
    over.abort();
    assert.ok((await collecting) > 0, 'something was moved');
    for (const [key, body] of expected) assert.deepEqual(await readAll(site.objects, key), body);
    const { missing, inFlight } = await site.engine.space.gcPlan();
    assert.deepEqual([missing.count, inFlight], [0, NOTHING]);
  });
});
