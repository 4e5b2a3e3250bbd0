/** When the space of freed records really comes back, and what is kept free. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isSkerryError, type ChunkStore, type ErrorCode, type Locator } from '../../../core/contracts/index.ts';
import { sameBytes, sampleBytes, sampleRecord } from '../../../harness/conformance/chunk-store-samples.ts';
import { scanAll } from '../../../harness/conformance/chunk-store.ts';
import { SimDisk } from '../../../harness/sim/disk.ts';
import { DIRECTORY, seeded, storeOver } from './fixture.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const LARGE = { segmentMaxBytes: 64 * MIB, syncAheadBytes: 64 * MIB };
const coded = (code: ErrorCode) => (error: unknown) => isSkerryError(error, code);

async function opened(disk: SimDisk, options = {}): Promise<ChunkStore> {
  const store = storeOver(disk, { ...LARGE, ...options });
  await store.open();
  return store;
}

async function appendOne(store: ChunkStore, bytes: Uint8Array, kind: 'data' | 'op' = 'data'): Promise<Locator> {
  const [locator = ''] = await store.append([sampleRecord(bytes, kind)]);
  return locator;
}

describe('a dead end of the open segment', () => {
  test('goes at once, and none of its locators ever leads to other bytes', async () => {
    const disk = new SimDisk({ random: seeded(1) });
    const store = await opened(disk);
    const kept = await appendOne(store, sampleBytes(100 * KIB, 1));
    await store.sync();
    const { usedBytes } = disk;
    const failed = await Promise.all([2, 3, 4].map((seed) => appendOne(store, sampleBytes(2 * MIB, seed))));
    await store.free(failed);
    assert.ok(disk.usedBytes < usedBytes + 10 * KIB, `${disk.usedBytes} bytes of ${usedBytes}`);
    assert.deepEqual((await store.usage()).deadBytes, 0);
    const again = await Promise.all([5, 6, 7].map((seed) => appendOne(store, sampleBytes(2 * MIB, seed))));
    await store.sync();
    assert.equal(new Set([kept, ...failed, ...again]).size, 7);
    for (const locator of failed) await assert.rejects(store.read(locator), coded('NotFound'));
    sameBytes(await store.read(kept), sampleBytes(100 * KIB, 1));
    disk.crash(0);
    const reopened = await opened(disk);
    sameBytes(await reopened.read(kept), sampleBytes(100 * KIB, 1));
    for (const [at, locator] of again.entries()) sameBytes(await reopened.read(locator), sampleBytes(2 * MIB, 5 + at));
    assert.equal((await scanAll(reopened)).length, 4);
    await reopened.close();
    assert.equal(disk.openCount, 0);
  });

  test('survives a crash at any step of its going', async () => {
    for (const operation of ['truncate', 'sync', 'write'] as const) {
      for (const survival of [0, 0.5, 1]) {
        const disk = new SimDisk({ random: seeded(7) });
        const store = await opened(disk);
        const kept = await appendOne(store, sampleBytes(100 * KIB, 1));
        const dead = await appendOne(store, sampleBytes(5 * MIB, 2));
        await store.sync();
        disk.inject({ operation, code: 'Io' });
        await store.free([dead]);
        disk.crash(survival);
        const reopened = await opened(disk);
        sameBytes(await reopened.read(kept), sampleBytes(100 * KIB, 1));
        const scanned = (await scanAll(reopened)).map(({ locator }) => locator);
        assert.ok(scanned.includes(kept) && scanned.every((locator) => [kept, dead].includes(locator)));
        await reopened.close();
      }
    }
  });

  test('takes the whole segment with it when nothing else is in there', async () => {
    const disk = new SimDisk({ random: seeded(1) });
    const store = await opened(disk);
    await store.free([await appendOne(store, sampleBytes(6 * MIB))]);
    assert.deepEqual(await disk.list(DIRECTORY), []);
    await store.close();
  });

  test('stays while it is small, so that small deletions end no segment', async () => {
    const disk = new SimDisk({ random: seeded(1) });
    const store = await opened(disk);
    for (let at = 0; at < 20; at++) await store.free([await appendOne(store, sampleBytes(10 * KIB, at))]);
    assert.equal((await disk.list(DIRECTORY)).length, 1);
    await store.close();
  });
});

describe('ops', () => {
  test('lie in segments of their own and keep no dead data', async () => {
    const disk = new SimDisk({ random: seeded(1) });
    const store = await opened(disk, { segmentMaxBytes: 256 * KIB });
    const data: Locator[] = [];
    const ops: Locator[] = [];
    for (let at = 0; at < 40; at++) {
      data.push(await appendOne(store, sampleBytes(60 * KIB, at)));
      ops.push(await appendOne(store, sampleBytes(200, at), 'op'));
    }
    await store.sync();
    await store.free(data.slice(0, -4));
    assert.ok(disk.usedBytes < 2 * 256 * KIB, `${disk.usedBytes} bytes are still used`);
    for (const [at, locator] of ops.entries()) sameBytes(await store.read(locator), sampleBytes(200, at));
    await store.close();
  });

  test('and data in one append come or fail together', async () => {
    const disk = new SimDisk({ random: seeded(1) });
    const store = await opened(disk);
    const records = [
      sampleRecord(sampleBytes(10, 1), 'op'),
      sampleRecord(sampleBytes(20, 2)),
      sampleRecord(sampleBytes(30, 3), 'op'),
    ];
    const locators = await store.append(records);
    for (const [at, locator] of locators.entries())
      sameBytes(await store.read(locator), sampleBytes(10 + 10 * at, 1 + at));
    const { liveBytes } = await store.usage();
    disk.inject({ operation: 'write', code: 'Io', after: 1 });
    await assert.rejects(store.append(records), coded('Io'));
    assert.equal((await store.usage()).liveBytes, liveBytes);
    assert.equal((await scanAll(store)).length, 3);
    await store.close();
  });
});

describe('minFreeBytes', () => {
  test('is kept free of data, so that there is room to delete; ops may use it', async () => {
    const disk = new SimDisk({ random: seeded(1), capacityBytes: 10 * MIB });
    const store = await opened(disk, { minFreeBytes: 4 * MIB });
    const stored: Locator[] = [];
    const refused = await (async () => {
      for (;;) stored.push(await appendOne(store, sampleBytes(300 * KIB, stored.length)));
    })().catch((error: unknown) => error);
    assert.ok(isSkerryError(refused, 'OutOfSpace'), String(refused));
    assert.ok(stored.length >= 15 && disk.usedBytes <= 6 * MIB, `${stored.length} records, ${disk.usedBytes} bytes`);
    await appendOne(store, sampleBytes(MIB), 'op');
    await store.free(stored);
    await appendOne(store, sampleBytes(300 * KIB));
    await store.close();
  });
});
