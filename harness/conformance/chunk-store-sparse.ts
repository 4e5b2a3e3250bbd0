/** What the chunk-store kit asks of `sparse`, where a store has it. */
import assert from 'node:assert/strict';
import type { ChunkStore, RecordKind, StoredRecord } from '../../core/contracts/index.ts';
import { sameBytes, sampleBytes, sampleRecord, type WithStore } from './chunk-store-samples.ts';
import { rejectsWith } from './traits.ts';

const KIB = 1024;

async function sparseIn(store: ChunkStore, deadShareMin: number, signal?: AbortSignal): Promise<StoredRecord[]> {
  const found: StoredRecord[] = [];
  for await (const batch of store.sparse?.({ deadShareMin, ...(signal ? { signal } : {}) }) ?? []) {
    assert.ok(batch.length >= 1 && batch.length <= 1000, `a batch of ${batch.length}`);
    found.push(...batch);
  }
  return found;
}

export function sparseTests(withStore: WithStore): void {
  withStore('sparse names live records among dead ones, each once and no op; moved, they make space', async (store) => {
    if (store.sparse === undefined) return;
    const contents = Array.from({ length: 48 }, (_, index) => sampleBytes(60 * KIB + index, index));
    const kindOf = (index: number): RecordKind => (index % 16 === 3 ? 'op' : index % 16 === 7 ? 'node' : 'data');
    const hashOf = (index: number): string => `sha256:${String(index).padStart(64, '0')}`;
    const locators = await store.append(contents.map((bytes, at) => sampleRecord(bytes, kindOf(at), hashOf(at))));
    await store.append([sampleRecord(sampleBytes(200 * KIB))]);
    const live = locators.flatMap((locator, at) => (at % 4 === 3 ? [{ locator, at }] : []));
    await store.free(locators.filter((_, at) => at % 4 !== 3));
    const before = await store.usage();
    const found = await sparseIn(store, 0.5);
    assert.ok(found.length > 0 || before.deadBytes < before.liveBytes, 'nothing is in the way, and yet most is dead');
    assert.equal(new Set(found.map(({ locator }) => locator)).size, found.length, 'a record was given twice');
    for (const record of found) {
      const at = live.find(({ locator }) => locator === record.locator)?.at ?? -1;
      const { kind, hash, length } = record;
      assert.deepEqual({ kind, hash, length }, { kind: kindOf(at), hash: hashOf(at), length: 60 * KIB + at });
      assert.notEqual(kind, 'op');
      const [moved = ''] = await store.append([sampleRecord(await store.read(record.locator), kind, hash)]);
      await store.sync();
      await store.free([record.locator]);
      sameBytes(await store.read(moved), contents[at]);
    }
    const after = await store.usage();
    assert.equal(after.liveBytes, before.liveBytes);
    if (found.length > 0) assert.ok(after.deadBytes < before.deadBytes, 'no space came back');
    const untouched = live.filter(({ locator }) => !found.some((record) => record.locator === locator));
    for (const { locator, at } of untouched) sameBytes(await store.read(locator), contents[at]);
  });
  withStore(
    'sparse names nothing where too little is dead, refuses shares that are none, and stops when aborted',
    async (store) => {
      if (store.sparse === undefined) return;
      const locators = await store.append(
        Array.from({ length: 40 }, (_, at) => sampleRecord(sampleBytes(60 * KIB, at))),
      );
      await store.free(locators.filter((_, at) => at % 4 === 0));
      assert.deepEqual(await sparseIn(store, 0.9), []);
      for (const share of [0, -1, 1.5, Number.NaN]) await rejectsWith('InvalidArgument', () => sparseIn(store, share));
      await rejectsWith('Aborted', () => sparseIn(store, 0.1, AbortSignal.abort()));
      await store.close();
      await rejectsWith('Closed', () => sparseIn(store, 0.5));
    },
  );
}
