/**
 * Conformance kit of the chunk-store contract. Adopt it with
 * `chunkStoreConformance({ test, create, supports })`; `create` gives a fresh store and, when it is durable, `again`.
 */
import assert from 'node:assert/strict';
import { isSkerryError } from '../../core/contracts/index.ts';
import type { ChunkStore, ChunkStoreSupports, Locator, RecordKind, StoredRecord } from '../../core/contracts/index.ts';
import { chunkStoreModelTests } from './chunk-store-model.ts';
import { sameBytes, sampleBytes, sampleRecord, type WithStore } from './chunk-store-samples.ts';
import { sparseTests } from './chunk-store-sparse.ts';
import { withOpen } from './runner.ts';
import type { Fixture, KitOptions } from './runner.ts';
import { lifecycleTrait, rejectsWith } from './traits.ts';

export type ChunkStoreKitOptions = KitOptions<ChunkStore, ChunkStoreSupports>;

const KIB = 1024;
const RECORD_MAX_BYTES = 16 * KIB * KIB;
const HASH = `sha256:${'0123456789abcdef'.repeat(4)}`;
/** Strings that no store gave out: they must be refused without harm. */
const GARBAGE_LOCATORS: readonly Locator[] = [
  '',
  '0',
  '../../etc/passwd',
  'a'.repeat(128),
  '\u0000',
  '1.2.3',
  'é',
  '-1',
  '0.0.0.0.0',
];

export async function scanAll(store: ChunkStore, after?: Locator): Promise<StoredRecord[]> {
  const found: StoredRecord[] = [];
  for await (const batch of store.scan(after === undefined ? {} : { after })) found.push(...batch);
  return found;
}

async function appendOne(store: ChunkStore, bytes: Uint8Array): Promise<Locator> {
  const [locator] = await store.append([sampleRecord(bytes)]);
  assert.ok(locator !== undefined, 'append gave no locator');
  return locator;
}

/** A fresh store has no record to read; that it looks is what counts. */
async function unlessNotFound(reading: Promise<unknown>): Promise<unknown> {
  return reading.catch((error: unknown) => {
    if (!isSkerryError(error, 'NotFound')) throw error;
  });
}

/** Registers the whole kit. */
export function chunkStoreConformance(options: ChunkStoreKitOptions): void {
  const { test, create } = options;
  const withStore = (title: string, body: (store: ChunkStore, fixture: Fixture<ChunkStore>) => Promise<void>): void => {
    test(title, () => withOpen(create, body));
  };
  lifecycleTrait({
    test,
    create,
    operations: {
      append: (store) => store.append([sampleRecord(sampleBytes(10))]),
      sync: (store) => store.sync(),
      read: (store) => unlessNotFound(store.read('1')),
      free: (store) => store.free([]),
      scan: (store) => scanAll(store),
      usage: (store) => store.usage(),
    },
  });
  appendTests(withStore);
  readTests(withStore);
  readNowTests(withStore);
  freeTests(withStore);
  scanTests(withStore);
  usageTests(withStore);
  sparseTests(withStore);
  if (options.supports.durable) durableTests(withStore);
  chunkStoreModelTests(options);
}

function appendTests(withStore: WithStore): void {
  withStore('append gives one locator a record, in order, ASCII, at most 128 characters', async (store) => {
    const lengths = [0, 1, 7, 8, 100, 4 * KIB, 64 * KIB, 64 * KIB + 1, 300 * KIB];
    const contents = lengths.map((length, index) => sampleBytes(length, index));
    const locators = await store.append(contents.map((bytes) => sampleRecord(bytes)));
    assert.equal(locators.length, contents.length);
    for (const [index, locator] of locators.entries()) {
      assert.match(locator, /^[\u0020-\u007e]{1,128}$/u);
      sameBytes(await store.read(locator), contents[index]);
    }
    assert.deepEqual(await store.append([]), []);
  });
  withStore('append joins the pieces of a record', async (store) => {
    const bytes = sampleBytes(200 * KIB);
    const cuts = [0, 0, 1, 5, 64 * KIB, 64 * KIB, 130 * KIB, bytes.length];
    const data = cuts.slice(1).map((cut, index) => bytes.subarray(cuts[index], cut));
    const [locator = ''] = await store.append([{ kind: 'node', hash: HASH, data }]);
    sameBytes(await store.read(locator), bytes);
    const [empty = ''] = await store.append([{ kind: 'node', hash: HASH, data: [] }]);
    assert.equal((await store.read(empty)).length, 0);
  });
  withStore('append takes 16 MiB and refuses more, all or none', async (store) => {
    const largest = sampleBytes(RECORD_MAX_BYTES);
    const locator = await appendOne(store, largest);
    sameBytes(await store.read(locator), largest);
    const tooLarge = { kind: 'data', hash: HASH, data: [largest, new Uint8Array(1)] } as const;
    await rejectsWith('InvalidArgument', () => store.append([sampleRecord(sampleBytes(10)), tooLarge]));
    assert.deepEqual(
      (await scanAll(store)).map((record) => record.locator),
      [locator],
    );
  });
  withStore('append refuses a record of no known kind', async (store) => {
    const odd = { ...sampleRecord(sampleBytes(10)), kind: 'other' as RecordKind };
    await rejectsWith('InvalidArgument', () => store.append([sampleRecord(sampleBytes(10)), odd]));
    assert.deepEqual(await scanAll(store), []);
  });
  withStore('append keeps no reference to the bytes', async (store) => {
    for (const length of [100, 100 * KIB]) {
      const bytes = sampleBytes(length);
      const locator = await appendOne(store, bytes);
      bytes.fill(0);
      sameBytes(await store.read(locator), sampleBytes(length));
    }
  });
  withStore('appending twice stores twice', async (store) => {
    const first = await appendOne(store, sampleBytes(50));
    const second = await appendOne(store, sampleBytes(50));
    assert.notEqual(first, second);
    await store.free([first]);
    sameBytes(await store.read(second), sampleBytes(50));
  });
  withStore('concurrent appends and syncs do not mix records', async (store) => {
    const contents = Array.from({ length: 100 }, (_, index) => sampleBytes((index * 977) % (90 * KIB), index));
    const locators = await Promise.all(
      contents.map(async (bytes) => {
        const [first = '', second = ''] = await store.append([sampleRecord(bytes), sampleRecord(bytes, 'op')]);
        await store.sync();
        return [first, second] as const;
      }),
    );
    assert.equal(new Set(locators.flat()).size, 200);
    for (const [index, pair] of locators.entries()) {
      for (const locator of pair) sameBytes(await store.read(locator), contents[index]);
    }
  });
}

function readTests(withStore: WithStore): void {
  withStore('read gives any range, into the buffer when one is given', async (store) => {
    const length = 200 * KIB + 3;
    const bytes = sampleBytes(length);
    const locator = await appendOne(store, bytes);
    const edges = [0, 1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 128 * KIB, 190 * KIB, length - 1, length];
    for (const start of edges) {
      for (const end of edges.filter((edge) => edge >= start)) {
        const expected = bytes.subarray(start, end);
        sameBytes(await store.read(locator, { start, length: end - start }), expected);
        const into = new Uint8Array(end - start + 5).fill(0xee);
        const view = await store.read(locator, { start, length: end - start, into });
        assert.equal(view.buffer, into.buffer);
        assert.equal(view.byteOffset, into.byteOffset);
        sameBytes(view, expected);
        assert.deepEqual([...into.subarray(end - start)], [0xee, 0xee, 0xee, 0xee, 0xee], 'wrote behind the range');
      }
      sameBytes(await store.read(locator, { start }), bytes.subarray(start));
    }
  });
  withStore('read refuses ranges that the record does not have', async (store) => {
    for (const size of [100, 100 * KIB]) {
      const locator = await appendOne(store, sampleBytes(size));
      const ranges = [
        { start: size + 1 },
        { start: 1, length: size },
        { length: size + 1 },
        { start: -1 },
        { start: 0.5 },
      ];
      for (const range of [...ranges, { length: -1 }, { start: Number.NaN }]) {
        await rejectsWith('InvalidArgument', () => store.read(locator, range));
      }
      await rejectsWith('InvalidArgument', () => store.read(locator, { into: new Uint8Array(size - 1) }));
      await rejectsWith('Aborted', () => store.read(locator, { signal: AbortSignal.abort() }));
    }
  });
  withStore('read of a locator that never existed is NotFound', async (store) => {
    const locator = await appendOne(store, sampleBytes(100));
    const altered = Array.from({ length: locator.length }, (_, at) => {
      const other = locator[at] === '1' ? '2' : '1';
      return locator.slice(0, at) + other + locator.slice(at + 1);
    });
    for (const garbage of [...GARBAGE_LOCATORS, ...altered, `${locator}0`]) {
      await rejectsWith('NotFound', () => store.read(garbage));
    }
    sameBytes(await store.read(locator), sampleBytes(100));
  });
  withStore('bytes that read returns belong to the caller', async (store) => {
    for (const size of [100, 100 * KIB]) {
      const locator = await appendOne(store, sampleBytes(size));
      const first = await store.read(locator);
      const second = await store.read(locator);
      first.fill(0);
      sameBytes(second, sampleBytes(size));
      sameBytes(await store.read(locator), sampleBytes(size));
    }
  });
}

function readNowTests(withStore: WithStore): void {
  withStore('readNow, where it answers, gives what read gives', async (store) => {
    if (store.readNow === undefined) return;
    const sizes = [0, 1, 4 * KIB, 64 * KIB, 64 * KIB + 1, 200 * KIB];
    for (const size of sizes) {
      const locator = await appendOne(store, sampleBytes(size));
      const first = store.readNow(locator);
      if (first === undefined) continue;
      assert.ok(size <= 64 * KIB, 'readNow answers for records of at most 64 KiB');
      sameBytes(first, sampleBytes(size));
      first.fill(0);
      sameBytes(store.readNow(locator), sampleBytes(size));
    }
  });
  withStore('readNow throws NotFound, and Closed after close', async (store) => {
    if (store.readNow === undefined) return;
    const readNow = async (locator: Locator): Promise<unknown> => store.readNow?.(locator);
    for (const garbage of GARBAGE_LOCATORS) await rejectsWith('NotFound', () => readNow(garbage));
    const locator = await appendOne(store, sampleBytes(10));
    await store.close();
    await rejectsWith('Closed', () => readNow(locator));
  });
}

function freeTests(withStore: WithStore): void {
  withStore('a freed record is gone or itself, never another', async (store) => {
    const freed = await Promise.all(
      Array.from({ length: 30 }, (_, index) => appendOne(store, sampleBytes(3 * KIB, index))),
    );
    const kept = await appendOne(store, sampleBytes(50, 99));
    await store.free(freed);
    for (let index = 0; index < 30; index += 1) await appendOne(store, sampleBytes(3 * KIB, 1000 + index));
    for (const [index, locator] of freed.entries()) {
      const outcome = await store.read(locator).catch((error: unknown) => error);
      if (outcome instanceof Uint8Array) sameBytes(outcome, sampleBytes(3 * KIB, index));
      else await rejectsWith('NotFound', () => store.read(locator));
    }
    sameBytes(await store.read(kept), sampleBytes(50, 99));
  });
  withStore('free ignores what is unknown or freed already, and counts once', async (store) => {
    const locator = await appendOne(store, sampleBytes(100));
    const kept = await appendOne(store, sampleBytes(1000));
    await store.free([...GARBAGE_LOCATORS, locator, locator]);
    const { liveBytes } = await store.usage();
    await store.free([locator, `${kept}0`]);
    assert.equal((await store.usage()).liveBytes, liveBytes);
    assert.ok(liveBytes >= 1000);
    sameBytes(await store.read(kept), sampleBytes(1000));
  });
}

function scanTests(withStore: WithStore): void {
  withStore('scan gives kind, hash and length of every record in batches of 1 to 1,000', async (store) => {
    const kinds: readonly RecordKind[] = ['data', 'node', 'op'];
    const expected = new Map<Locator, StoredRecord>();
    for (let round = 0; round < 5; round += 1) {
      const records = Array.from({ length: 450 }, (_, index) => {
        const hash = index % 7 === 0 ? `other:${index}` : `sha256:${String(round * 450 + index).padStart(64, '0')}`;
        return { kind: kinds[index % 3] ?? 'data', hash, data: [sampleBytes(index % 50, index)] };
      });
      for (const [index, locator] of (await store.append(records)).entries()) {
        const { kind = 'data', hash = '' } = records[index] ?? {};
        expected.set(locator, { locator, kind, hash, length: index % 50 });
      }
    }
    const found: StoredRecord[] = [];
    for await (const batch of store.scan()) {
      assert.ok(batch.length >= 1 && batch.length <= 1000, `a batch of ${batch.length}`);
      found.push(...batch);
    }
    assert.equal(found.length, expected.size);
    for (const record of found) assert.deepEqual({ ...record }, expected.get(record.locator));
    assert.deepEqual(await scanAll(store), found, 'the order is stable');
  });
  withStore('scan resumes behind any locator, a freed one too', async (store) => {
    const locators = await store.append(Array.from({ length: 20 }, (_, index) => sampleRecord(sampleBytes(index))));
    const order = (await scanAll(store)).map((record) => record.locator);
    assert.deepEqual([...order].sort(), [...locators].sort());
    for (const [index, after] of order.entries()) {
      const rest = (await scanAll(store, after)).map((record) => record.locator);
      assert.deepEqual(rest, order.slice(index + 1));
    }
    const [, second = '', third = ''] = order;
    await store.free([second]);
    assert.equal((await scanAll(store, second))[0]?.locator, third);
  });
  withStore('scan stops when aborted, and may be left early', async (store) => {
    await store.append(Array.from({ length: 1500 }, () => sampleRecord(sampleBytes(1))));
    await rejectsWith('Aborted', async () => {
      for await (const _batch of store.scan({ signal: AbortSignal.abort() }));
    });
    for await (const _batch of store.scan()) break;
    for await (const _batch of store.scan()) {
      await store.close();
      break;
    }
  });
}

function usageTests(withStore: WithStore): void {
  withStore('usage counts live bytes up and down', async (store) => {
    assert.equal((await store.usage()).liveBytes, 0);
    const locators = await store.append([sampleRecord(sampleBytes(1000)), sampleRecord(sampleBytes(100 * KIB))]);
    const full = await store.usage();
    assert.ok(full.liveBytes >= 1000 + 100 * KIB);
    await store.free(locators.slice(1));
    const less = await store.usage();
    assert.ok(less.liveBytes >= 1000 && less.liveBytes <= full.liveBytes - 100 * KIB);
    await store.free(locators);
    const none = await store.usage();
    assert.equal(none.liveBytes, 0);
    assert.ok(none.deadBytes >= 0 && (none.freeBytes ?? 0) >= 0);
  });
}

function durableTests(withStore: WithStore): void {
  withStore('everything is there after close and open, under the same locators', async (store, { again }) => {
    assert.ok(again !== undefined, 'a durable store needs `again`');
    const contents = Array.from({ length: 40 }, (_, index) => sampleBytes(index * 3 * KIB, index));
    const locators = await store.append(contents.map((bytes) => sampleRecord(bytes, 'op')));
    const scanned = await scanAll(store);
    const { liveBytes } = await store.usage();
    await store.close();
    const reopened = again();
    await reopened.open();
    try {
      assert.deepEqual(await scanAll(reopened), scanned);
      assert.equal((await reopened.usage()).liveBytes, liveBytes);
      const added = await appendOne(reopened, sampleBytes(5000, 77));
      assert.ok(!locators.includes(added));
      for (const [index, locator] of locators.entries()) {
        sameBytes(await reopened.read(locator), contents[index]);
      }
    } finally {
      await reopened.close();
    }
  });
}
