import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import * as fc from 'fast-check';
import { isSkerryError, type ChunkHash, type Manifest, type ManifestEntry } from '../../core/contracts/index.ts';
import { createDamage } from '../../core/engine/damage.ts';
import { createHealing } from '../../core/engine/healing.ts';
import { chunkKey } from '../../core/engine/keys.ts';
import { wrapManifest } from '../../core/engine/manifest.ts';
import { createObjectReader } from '../../core/engine/read-object.ts';
import { encodeRecord } from '../../core/engine/records.ts';
import { createNodeHashing } from '../../core/kernel/runtime/hashing.ts';
import { FakeChunkStore, FakeMetaStore, silentLogger } from './fake-stores.ts';

const { hashing, close } = createNodeHashing();
after(close);

async function bench(lengths: readonly number[], topMax = 32, memoryBytes?: number) {
  const chunkStore = new FakeChunkStore();
  const reader = new FakeMetaStore();
  const whole = Buffer.concat(lengths.map((length, i) => Buffer.alloc(length, i + 1)));
  const put = async (kind: 'data' | 'node', hash: ChunkHash, bytes: Uint8Array): Promise<void> => {
    const [locator = ''] = await chunkStore.append([{ kind, hash, data: [bytes] }]);
    reader.set(chunkKey(hash), encodeRecord({ locator, length: bytes.length, kind }));
  };
  const entries: ManifestEntry[] = [];
  for (const [i, length] of lengths.entries()) {
    const bytes = Buffer.alloc(length, i + 1);
    const hash = `sha256:${Buffer.from(hashing.hash('sha256', bytes)).toString('hex')}`;
    await put('data', hash, bytes);
    entries.push({ hash, length });
  }
  const { manifest, nodes } = wrapManifest(entries, hashing, topMax);
  for (const node of nodes) await put('node', node.hash, node.bytes);
  const replica = { readChunk: async () => undefined, storeChunks: async () => undefined };
  const healing = createHealing({ reader, replica, damage: createDamage(), logger: silentLogger });
  const objects = createObjectReader({
    chunkStore,
    reader,
    healing,
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
  });
  return { chunkStore, reader, objects, manifest, entries, whole };
}

async function drain(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const copies: Buffer[] = [];
  for await (const piece of pieces) copies.push(Buffer.from(piece));
  return Buffer.concat(copies);
}

const range = (manifest: Manifest, start: number, length: number) => ({ manifest, start, length });

test('any range of any object, whatever memory there is', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 700_000 }), { minLength: 1, maxLength: 12 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.integer({ min: 1, max: 12 }),
      fc.constantFrom(0, 1_000_000, 33_554_432),
      async (lengths, a, b, topMax, memoryBytes) => {
        const { objects, manifest, whole } = await bench(lengths, topMax, memoryBytes);
        const start = Math.floor(a * whole.length);
        const length = Math.ceil(b * (whole.length - start));
        const bytes = await drain(objects.readRange(range(manifest, start, length)));
        assert.ok(bytes.equals(whole.subarray(start, start + length)));
      },
    ),
    { seed: 5, numRuns: 40 },
  );
});

test('a range reads no more than itself', async () => {
  const { objects, manifest, chunkStore } = await bench([4_000_000, 4_000_000, 4_000_000]);
  await drain(objects.readRange(range(manifest, 3_999_999, 2)));
  assert.equal(chunkStore.readBytes, 2);
});

test('a consumer that stops early stops the reading', async () => {
  const { objects, manifest, chunkStore } = await bench(Array.from({ length: 20 }, () => 1_000_000));
  for await (const piece of objects.readRange(range(manifest, 0, 20_000_000))) {
    assert.equal(piece[0], 1);
    break;
  }
  assert.ok(chunkStore.readBytes <= 3 * 524_288);
});

test('a piece stays unchanged until the next is asked for', async () => {
  const { objects, manifest } = await bench([524_288, 524_288, 524_288, 524_288, 524_288, 524_288]);
  let expected = 0;
  for await (const piece of objects.readRange(range(manifest, 0, 6 * 524_288))) {
    expected += 1;
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
    assert.ok(piece.every((byte) => byte === expected));
  }
});

test('a chunk that this site has no row for is unavailable', async () => {
  const { objects, manifest, entries, reader } = await bench([10, 20]);
  reader.set(chunkKey(entries[1]?.hash ?? ''), undefined);
  await assert.rejects(
    drain(objects.readRange(range(manifest, 0, 30))),
    (error) => isSkerryError(error, 'Unavailable') && error.retryable,
  );
});

test('a record that moved is found, one that is gone is corrupt', async () => {
  const { objects, manifest, chunkStore, entries, reader, whole } = await bench([1000]);
  const key = chunkKey(entries[0]?.hash ?? '');
  const moving = objects.readRange(range(manifest, 0, 1000));
  const get = reader.get.bind(reader);
  let looks = 0;
  reader.get = async (keys) => {
    const rows = await get(keys);
    looks += 1;
    if (looks > 1) return rows;
    const [locator = ''] = await chunkStore.append([{ kind: 'data', hash: 'h', data: [whole] }]);
    await chunkStore.free(['L1']);
    reader.set(key, encodeRecord({ locator, length: 1000, kind: 'data' }));
    return rows;
  };
  assert.ok((await drain(moving)).equals(whole));
  await chunkStore.free([...chunkStore.records.keys()]);
  await assert.rejects(drain(objects.readRange(range(manifest, 0, 1000))), (error) => isSkerryError(error, 'Corrupt'));
});

test('abort and a bad range reject', async () => {
  const { objects, manifest } = await bench([1000]);
  const aborted = objects.readRange({ ...range(manifest, 0, 10), signal: AbortSignal.abort() });
  await assert.rejects(drain(aborted), (error) => isSkerryError(error, 'Aborted'));
  await assert.rejects(drain(objects.readRange(range(manifest, 999, 2))), (error) =>
    isSkerryError(error, 'RangeNotSatisfiable'),
  );
  assert.equal((await drain(objects.readRange(range(manifest, 5, 0)))).length, 0);
});

test('small bodies that their version owns are answered at once, others are not', async () => {
  const { objects, manifest, whole, chunkStore } = await bench([1000]);
  const owned = { ...range(manifest, 10, 20), locator: 'L1' };
  assert.deepEqual(Buffer.from(objects.readNow(owned) ?? []), whole.subarray(10, 30));
  assert.ok((await drain(objects.readRange(owned))).equals(whole.subarray(10, 30)));
  assert.equal(objects.readNow(range(manifest, 10, 20)), undefined);
  assert.equal(objects.readNow(range([], 0, 0))?.length, 0);
  await chunkStore.free(['L1']);
  assert.equal(objects.readNow(owned), undefined);
});

test('fifty slow readers all get on, within the memory', async () => {
  const { objects, manifest, whole } = await bench(
    Array.from({ length: 4 }, () => 600_000),
    32,
    4_000_000,
  );
  const readers = Array.from({ length: 50 }, () =>
    objects.readRange(range(manifest, 0, whole.length))[Symbol.asyncIterator](),
  );
  const firsts = await Promise.all(readers.map((reader) => reader.next()));
  const held = firsts.reduce((sum, first) => sum + ((first.value as Uint8Array | undefined)?.length ?? 0), 0);
  assert.ok(held < 8_000_000, `${held} bytes`);
  for (const [i, reader] of readers.entries()) {
    let size = (firsts[i]!.value as Uint8Array).length;
    for (let next = await reader.next(); next.done !== true; next = await reader.next()) size += next.value.length;
    assert.equal(size, whole.length);
  }
});
