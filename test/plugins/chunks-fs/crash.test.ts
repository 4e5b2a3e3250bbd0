/** What chunks-fs keeps when power fails at any moment, and what it does with a disk that is full or broken. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { isSkerryError } from '../../../core/contracts/index.ts';
import type { ChunkStore, ErrorCode, Locator } from '../../../core/contracts/index.ts';
import { sameBytes, sampleBytes, sampleRecord } from '../../../harness/conformance/chunk-store-samples.ts';
import { scanAll } from '../../../harness/conformance/chunk-store.ts';
import { SimDisk } from '../../../harness/sim/disk.ts';
import { DIRECTORY, hearing, seeded, storeOver } from './fixture.ts';

const KIB = 1024;
const coded = (code: ErrorCode) => (error: unknown) => isSkerryError(error, code);

async function opened(disk: SimDisk, heard = hearing()): Promise<ChunkStore> {
  const store = storeOver(disk, {}, heard);
  await store.open();
  return store;
}

async function appendOne(store: ChunkStore, bytes: Uint8Array): Promise<Locator> {
  const [locator = ''] = await store.append([sampleRecord(bytes)]);
  return locator;
}

/** A run of appends, syncs and frees that ends in a crash; `survival` of the unsynced sectors come through. */
const stories = fc.record({
  seed: fc.nat(),
  survival: fc.constantFrom(0, 0.1, 0.5, 0.9, 1),
  steps: fc.array(
    fc.oneof(
      fc.record({ type: fc.constant('append' as const), sizes: fc.array(fc.nat({ max: 90 * KIB }), { maxLength: 4 }) }),
      fc.constant({ type: 'sync' as const }),
      fc.record({ type: fc.constant('free' as const), pick: fc.nat() }),
    ),
    { maxLength: 20 },
  ),
  crashes: fc.integer({ min: 1, max: 3 }),
});

test('what was synced survives any crash, what was not is whole or gone', async () => {
  const property = fc.asyncProperty(stories, async ({ seed, survival, steps, crashes }) => {
    const disk = new SimDisk({ random: seeded(seed) });
    const written = new Map<Locator, Uint8Array>();
    const durable = new Set<Locator>();
    const freed = new Set<Locator>();
    for (let crash = 0; crash < crashes; crash += 1) {
      const store = await opened(disk);
      const unsynced = new Set<Locator>();
      for (const step of steps) {
        if (step.type === 'append') {
          const contents = step.sizes.map((size, index) => sampleBytes(size, written.size + index));
          const locators = await store.append(contents.map((bytes) => sampleRecord(bytes)));
          for (const [index, locator] of locators.entries()) {
            assert.ok(!written.has(locator), 'a locator came twice');
            written.set(locator, contents[index] ?? new Uint8Array(0));
            unsynced.add(locator);
          }
        } else if (step.type === 'sync') {
          await store.sync();
          for (const locator of unsynced) durable.add(locator);
          unsynced.clear();
        } else {
          const locator = [...durable][step.pick % Math.max(1, durable.size)];
          if (locator === undefined) continue;
          await store.free([locator]);
          durable.delete(locator);
          freed.add(locator);
        }
      }
      disk.crash(survival);
      await checkAfterCrash(disk, written, durable);
    }
  });
  await fc.assert(property, { numRuns: 150, seed: 7 });
});

async function checkAfterCrash(
  disk: SimDisk,
  written: Map<Locator, Uint8Array>,
  durable: ReadonlySet<Locator>,
): Promise<void> {
  const store = await opened(disk);
  const damaged: Locator[] = [];
  const scanned = new Set<Locator>();
  for await (const batch of store.scan({ onDamage: (locator) => damaged.push(locator) })) {
    for (const { locator } of batch) scanned.add(locator);
  }
  for (const locator of durable) assert.ok(scanned.has(locator), 'a synced record is missing from the scan');
  for (const locator of damaged) assert.ok(!durable.has(locator), 'a synced record is damaged');
  for (const [locator, bytes] of written) {
    const outcome = await store.read(locator).catch((error: unknown) => error);
    if (outcome instanceof Uint8Array) sameBytes(outcome, bytes);
    else {
      assert.ok(!durable.has(locator), 'a synced record cannot be read');
      assert.ok(isSkerryError(outcome, 'NotFound') || isSkerryError(outcome, 'Corrupt'), String(outcome));
    }
  }
  await store.close();
  assert.equal(disk.openCount, 0, 'a handle was left open');
}

test('a failed sync is told to everyone it concerns, and the store moves on', async () => {
  const disk = new SimDisk({ random: seeded(1) });
  const heard = hearing();
  const store = await opened(disk, heard);
  const safe = await appendOne(store, sampleBytes(100, 1));
  await store.sync();
  const lost = await appendOne(store, sampleBytes(100, 2));
  disk.inject({ operation: 'sync', code: 'Io' });
  const outcomes = await Promise.allSettled([store.sync(), store.sync(), store.sync()]);
  for (const outcome of outcomes) {
    assert.equal(outcome.status, 'rejected');
    assert.ok(isSkerryError(outcome.reason, 'Io'));
  }
  const after = await appendOne(store, sampleBytes(100, 3));
  await store.sync();
  assert.equal(heard.errors.length, 1);
  disk.crash(0);
  const reopened = await opened(disk);
  sameBytes(await reopened.read(safe), sampleBytes(100, 1));
  sameBytes(await reopened.read(after), sampleBytes(100, 3));
  await assert.rejects(reopened.read(lost), coded('NotFound'));
  await reopened.close();
});

test('an append that runs while a sync fails is stored elsewhere and becomes durable', async () => {
  const disk = new SimDisk({ random: seeded(1) });
  const store = await opened(disk);
  await appendOne(store, sampleBytes(100, 1));
  disk.inject({ operation: 'sync', code: 'Io' });
  const failing = store.sync();
  const appending = appendOne(store, sampleBytes(200, 2));
  await assert.rejects(failing, coded('Io'));
  const locator = await appending;
  await store.sync();
  disk.crash(0);
  const reopened = await opened(disk);
  sameBytes(await reopened.read(locator), sampleBytes(200, 2));
  await reopened.close();
});

test('a sync that fails in the background is told by the next sync', async () => {
  const disk = new SimDisk({ random: seeded(1) });
  const store = await opened(disk);
  await appendOne(store, sampleBytes(10));
  disk.inject({ operation: 'sync', code: 'Io' });
  await appendOne(store, sampleBytes(150 * KIB));
  await assert.rejects(store.sync(), coded('Io'));
  await store.sync();
  await store.close();
});

test('a full disk refuses the append whole, gives the space back and serves on', async () => {
  const disk = new SimDisk({ random: seeded(1) });
  const store = await opened(disk);
  const before = await appendOne(store, sampleBytes(10 * KIB));
  await store.sync();
  const { usedBytes } = disk;
  disk.capacityBytes = usedBytes + 5 * KIB;
  const records = [sampleRecord(sampleBytes(1 * KIB)), sampleRecord(sampleBytes(20 * KIB))];
  await assert.rejects(store.append(records), coded('OutOfSpace'));
  assert.equal(disk.usedBytes, usedBytes);
  sameBytes(await store.read(before), sampleBytes(10 * KIB));
  assert.equal((await scanAll(store)).length, 1);
  const small = await appendOne(store, sampleBytes(2 * KIB, 5));
  await store.sync();
  disk.capacityBytes = disk.usedBytes;
  await assert.rejects(appendOne(store, sampleBytes(300 * KIB)), coded('OutOfSpace'), 'no room for another segment');
  disk.capacityBytes = Infinity;
  const later = await appendOne(store, sampleBytes(300 * KIB, 6));
  sameBytes(await store.read(later), sampleBytes(300 * KIB, 6));
  sameBytes(await store.read(small), sampleBytes(2 * KIB, 5));
  await store.close();
});

test('a write error fails its append only, and the next one goes to a new segment', async () => {
  const disk = new SimDisk({ random: seeded(1) });
  const store = await opened(disk);
  const first = await appendOne(store, sampleBytes(100, 1));
  disk.inject({ operation: 'write', code: 'Io' });
  await assert.rejects(appendOne(store, sampleBytes(100, 2)), coded('Io'));
  const third = await appendOne(store, sampleBytes(100, 3));
  await store.sync();
  assert.equal((await disk.list(DIRECTORY)).length, 2);
  disk.crash(0);
  const reopened = await opened(disk);
  sameBytes(await reopened.read(first), sampleBytes(100, 1));
  sameBytes(await reopened.read(third), sampleBytes(100, 3));
  await reopened.close();
});

test('a segment that cannot be created fails the append with the disk as it was', async () => {
  for (const operation of ['open', 'write', 'sync', 'syncDirectory'] as const) {
    const disk = new SimDisk({ random: seeded(1) });
    const store = await opened(disk);
    disk.inject({ operation, code: 'Io' });
    await assert.rejects(appendOne(store, sampleBytes(10)), coded('Io'));
    assert.deepEqual(await disk.list(DIRECTORY), []);
    await appendOne(store, sampleBytes(10));
    await store.close();
    assert.equal(disk.openCount, 0);
  }
});

test('a close whose last sync fails says so and still gives everything back', async () => {
  const disk = new SimDisk({ random: seeded(1) });
  const store = await opened(disk);
  await appendOne(store, sampleBytes(10));
  disk.inject({ operation: 'sync', code: 'Io' });
  await assert.rejects(store.close(), coded('Io'));
  assert.equal(disk.openCount, 0);
});
