/** Torn tails, flipped bits, and files that are not what they should be. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSkerryError } from '../../../core/contracts/index.ts';
import type { ChunkStore, ErrorCode, Locator } from '../../../core/contracts/index.ts';
import { sameBytes, sampleBytes, sampleRecord } from '../../../harness/conformance/chunk-store-samples.ts';
import { scanAll } from '../../../harness/conformance/chunk-store.ts';
import { SimDisk } from '../../../harness/sim/disk.ts';
import { SEGMENT_HEADER_BYTES, TRAILER_BYTES } from '../../../plugins/chunks-fs/format.ts';
import { segmentName } from '../../../plugins/chunks-fs/segment.ts';
import { DIRECTORY, hearing, seeded, storeOver } from './fixture.ts';

const KIB = 1024;
const FIRST = `${DIRECTORY}/${segmentName(1)}`;
const SIZES = [5 * KIB, 70 * KIB, 0, 100];
const coded = (code: ErrorCode) => (error: unknown) => isSkerryError(error, code);

interface Filled {
  readonly disk: SimDisk;
  readonly locators: readonly Locator[];
}

/** One segment of four records; sealed when the store was closed, else as a crash leaves it. */
async function filled(isSealed: boolean): Promise<Filled> {
  const disk = new SimDisk({ random: seeded(3) });
  const store = storeOver(disk);
  await store.open();
  const locators = await store.append(SIZES.map((size, index) => sampleRecord(sampleBytes(size, index))));
  await store.sync();
  if (isSealed) await store.close();
  else disk.crash(0);
  return { disk, locators };
}

async function withStore(
  disk: SimDisk,
  body: (store: ChunkStore, heard: ReturnType<typeof hearing>) => Promise<void>,
): Promise<void> {
  const heard = hearing();
  const store = storeOver(disk, {}, heard);
  await store.open();
  try {
    await body(store, heard);
  } finally {
    await store.close();
  }
}

async function truncated(disk: SimDisk, length: number): Promise<void> {
  const handle = await disk.open(FIRST, 'update');
  await handle.truncate(length);
  await handle.sync();
  await handle.close();
}

/** Where each record of the segment begins, and where the last ends: `segment.offset.header.data.check`. */
function bounds(locators: readonly Locator[]): number[] {
  const parts = locators.map((locator) => locator.split('.').map((part) => Number.parseInt(part, 36)));
  const ends = parts.map(([, offset = 0, header = 0, data = 0]) => offset + header + data);
  return [SEGMENT_HEADER_BYTES, ...ends];
}

test('a tail torn at any kind of byte is cut behind the last whole record', async () => {
  const { locators } = await filled(false);
  const edges = bounds(locators);
  const cuts = new Set<number>();
  for (const edge of edges) for (const near of [-1, 0, 1, 4, 8, 19, 20, 40, 60, 64, 200]) cuts.add(edge + near);
  cuts.add(64 * KIB + (edges[1] ?? 0));
  const end = edges.at(-1) ?? 0;
  for (const cut of [...cuts].filter((at) => at > SEGMENT_HEADER_BYTES && at <= end)) {
    const { disk, locators: own } = await filled(false);
    await truncated(disk, cut);
    const whole = edges.slice(1).filter((edge) => edge <= cut).length;
    for (let round = 0; round < 2; round += 1) {
      await withStore(disk, async (store) => {
        assert.deepEqual(
          (await scanAll(store)).map((record) => record.locator),
          own.slice(0, whole),
          `cut at ${cut}`,
        );
        for (const [index, locator] of own.entries()) {
          if (index < whole) sameBytes(await store.read(locator), sampleBytes(SIZES[index] ?? 0, index));
          else await assert.rejects(store.read(locator), coded('NotFound'));
        }
      });
    }
  }
});

test('a flipped bit anywhere in a record is reported, and only that record is lost', async () => {
  for (const isSealed of [true, false]) {
    const { locators } = await filled(isSealed);
    const edges = bounds(locators);
    const [start = 0, next = 0] = edges.slice(1);
    const positions = [0, 3, 4, 5, 6, 7, 8, 11, 12, 16, 17, 18, 20, 51, 52, 56, 60, 64, 100, 64 * KIB, 68 * KIB];
    for (const position of [...positions.map((at) => start + at), next - 1]) {
      const { disk, locators: own } = await filled(isSealed);
      disk.flip(FIRST, position, 0x10);
      await withStore(disk, async (store) => {
        const damaged: Locator[] = [];
        const found: Locator[] = [];
        for await (const batch of store.scan({ onDamage: (locator) => damaged.push(locator) })) {
          found.push(...batch.map((record) => record.locator));
        }
        const where = `bit flipped at ${position - start}, ${isSealed ? 'sealed' : 'unsealed'}`;
        assert.deepEqual(found, [own[0], own[2], own[3]], where);
        assert.equal(damaged.length, 1, where);
        if (isSealed) assert.deepEqual(damaged, [own[1]], where);
        await assert.rejects(store.read(own[1] ?? ''), coded('Corrupt'), where);
        sameBytes(await store.read(own[0] ?? ''), sampleBytes(SIZES[0] ?? 0, 0));
      });
    }
  }
});

test('a ranged read is refused when a block it touches is damaged, and only then', async () => {
  const { disk, locators } = await filled(true);
  const locator = locators[1] ?? '';
  disk.flip(FIRST, (bounds(locators)[2] ?? 0) - 1);
  await withStore(disk, async (store) => {
    sameBytes(
      await store.read(locator, { start: 10, length: 60 * KIB }),
      sampleBytes(70 * KIB, 1).subarray(10, 60 * KIB + 10),
    );
    await assert.rejects(store.read(locator, { start: 60 * KIB, length: 5 * KIB }), coded('Corrupt'));
    await assert.rejects(store.read(locator), coded('Corrupt'));
  });
});

test('readNow refuses damaged bytes as read does', async () => {
  const { disk, locators } = await filled(true);
  disk.flip(FIRST, (bounds(locators)[1] ?? 0) - 1);
  await withStore(disk, async (store) => {
    await store.read(locators[3] ?? '');
    assert.throws(() => store.readNow?.(locators[0] ?? ''), coded('Corrupt'));
    sameBytes(store.readNow?.(locators[3] ?? ''), sampleBytes(100, 3));
  });
});

test('a segment with a damaged header lives on by its trailer', async () => {
  const { disk, locators } = await filled(true);
  disk.flip(FIRST, 2);
  await withStore(disk, async (store, heard) => {
    assert.equal(heard.warnings.length, 1);
    for (const [index, locator] of locators.entries()) {
      sameBytes(await store.read(locator), sampleBytes(SIZES[index] ?? 0, index));
    }
  });
});

test('a segment with neither header nor trailer is reported and left alone', async () => {
  const { disk, locators } = await filled(true);
  const size = (await disk.stat(FIRST))?.size ?? 0;
  disk.flip(FIRST, 30);
  disk.flip(FIRST, size - 1);
  await withStore(disk, async (store, heard) => {
    assert.equal(heard.errors.length, 1);
    const damaged: string[] = [];
    for await (const batch of store.scan({ onDamage: (_locator, reason) => damaged.push(reason) }))
      assert.fail(`${batch.length} records`);
    assert.equal(damaged.length, 1);
    await assert.rejects(store.read(locators[0] ?? ''), coded('Corrupt'));
    const [added = ''] = await store.append([sampleRecord(sampleBytes(10))]);
    sameBytes(await store.read(added), sampleBytes(10));
  });
  assert.equal((await disk.stat(FIRST))?.size, size);
});

test('damage to the footer costs nothing but a reading', async () => {
  const { locators } = await filled(true);
  const end = bounds(locators).at(-1) ?? 0;
  for (const position of [end, end + 20, end + SIZES.length * 12, end + SIZES.length * 12 + TRAILER_BYTES - 1]) {
    const { disk, locators: own } = await filled(true);
    disk.flip(FIRST, position);
    for (let round = 0; round < 2; round += 1) {
      await withStore(disk, async (store) => {
        assert.deepEqual(
          (await scanAll(store)).map((record) => record.locator),
          own,
        );
      });
    }
  }
});

test('bytes of a record inside the data of another are never taken for a record', async () => {
  const { disk } = await filled(false);
  const segment = await disk.readFile(FIRST);
  assert.ok(segment !== undefined);
  await withStore(disk, async (store) => {
    const [carrier = ''] = await store.append([sampleRecord(segment), sampleRecord(sampleBytes(10))]);
    await store.sync();
    const path = `${DIRECTORY}/${segmentName(Number.parseInt(carrier.split('.')[0] ?? '', 36))}`;
    disk.flip(path, SEGMENT_HEADER_BYTES);
    const damaged: Locator[] = [];
    const found: Locator[] = [];
    for await (const batch of store.scan({ onDamage: (locator) => damaged.push(locator) })) {
      found.push(...batch.map((record) => record.locator));
    }
    assert.equal(found.length, SIZES.length + 1);
    assert.equal(damaged.length, 1);
  });
});

test('a segment whose records are all dead is deleted, the open one never', async () => {
  const disk = new SimDisk({ random: seeded(1) });
  await withStore(disk, async (store) => {
    const locators: Locator[] = [];
    for (let index = 0; index < 12; index += 1) {
      locators.push(...(await store.append([sampleRecord(sampleBytes(100 * KIB, index))])));
    }
    await store.sync();
    const count = (await disk.list(DIRECTORY)).length;
    assert.ok(count >= 6);
    await store.free(locators);
    assert.deepEqual((await disk.list(DIRECTORY)).length, 1);
    assert.equal((await store.usage()).liveBytes, 0);
  });
  assert.deepEqual(await disk.list(DIRECTORY), []);
});

test('freed records stay freed over a clean restart, and come back whole after a crash', async () => {
  const { disk, locators } = await filled(true);
  await withStore(disk, async (store) => store.free(locators.slice(0, 2)));
  const dying = storeOver(disk);
  await dying.open();
  assert.deepEqual(
    (await scanAll(dying)).map((record) => record.locator),
    locators.slice(2),
  );
  assert.ok((await dying.usage()).deadBytes >= 75 * KIB);
  await dying.free([...locators.slice(0, 2), locators[2] ?? '']);
  disk.crash(1);
  await withStore(disk, async (store) => {
    assert.deepEqual(
      (await scanAll(store)).map((record) => record.locator),
      locators.slice(2),
    );
    sameBytes(await store.read(locators[2] ?? ''), sampleBytes(0));
  });
});

test('open handles are bounded', async () => {
  const disk = new SimDisk({ random: seeded(1) });
  await withStore(disk, async (store) => {
    const locators: Locator[] = [];
    for (let index = 0; index < 20; index += 1) {
      locators.push(...(await store.append([sampleRecord(sampleBytes(200 * KIB, index))])));
    }
    await store.sync();
    const contents = await Promise.all(locators.map((locator) => store.read(locator)));
    for (const [index, bytes] of contents.entries()) sameBytes(bytes, sampleBytes(200 * KIB, index));
    for (const locator of locators) await store.read(locator, { length: 1 });
    assert.ok(disk.openCount <= 3, `${disk.openCount} handles`);
  });
  assert.equal(disk.openCount, 0);
});
