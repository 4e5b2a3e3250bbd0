import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, test } from 'node:test';
import * as fc from 'fast-check';
import { SkerryError, type BodySource, type ChunkHash } from '../../core/contracts/index.ts';
import { createDamage } from '../../core/engine/damage.ts';
import { createIngest, type Ingested, type IngestOptions } from '../../core/engine/ingest.ts';
import { chunkKey } from '../../core/engine/keys.ts';
import { createPins } from '../../core/engine/pins.ts';
import { encodeRecord } from '../../core/engine/records.ts';
import { createNodeHashing } from '../../core/kernel/runtime/hashing.ts';
import { FakeChunkStore, FakeMetaStore, silentLogger } from './fake-stores.ts';
import { noise } from './whole-site.ts';

const { hashing, close } = createNodeHashing({ threadsMax: 2 });
after(close);

const KIB = 1024;
const digest = (algorithm: string, bytes: Uint8Array, encoding: 'hex' | 'base64' = 'hex'): string =>
  createHash(algorithm).update(bytes).digest(encoding);

function bench(options: IngestOptions = {}) {
  const chunkStore = new FakeChunkStore();
  const reader = new FakeMetaStore();
  const pins = createPins();
  const ingest = createIngest({
    chunkStore,
    reader,
    pins,
    damage: createDamage(),
    hashing,
    logger: silentLogger,
    options,
  });
  const stored = (done: Ingested): Buffer =>
    Buffer.concat(
      done.manifest.map(({ hash, length }) => {
        const locator = done.locator ?? done.placements.find((placement) => placement.hash === hash)?.locator ?? '';
        const bytes = chunkStore.records.get(locator)?.data[0] as Uint8Array;
        assert.equal(bytes.length, length);
        assert.equal(`sha256:${digest('sha256', bytes)}`, hash);
        return bytes;
      }),
    );
  return { chunkStore, reader, pins, ingest, stored };
}

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function* listed(parts: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts;
}

async function refuses(run: Promise<unknown>, code: string, which?: string): Promise<void> {
  await assert.rejects(run, (error) => {
    assert.ok(error instanceof SkerryError, String(error));
    assert.equal(error.code, code);
    if (which !== undefined) assert.equal(error.details['which'], which);
    return true;
  });
}

test('a small body is one chunk that its version owns', async () => {
  const { ingest, chunkStore, stored } = bench();
  const bytes = noise(4096);
  const done = await ingest({ bytes, size: 4096 }, { owner: 'version' });
  assert.equal(done.size, 4096);
  assert.equal(done.md5Hex, digest('md5', bytes));
  assert.deepEqual(done.placements, []);
  assert.ok(done.locator);
  assert.deepEqual(stored(done), bytes);
  await done.release();
  assert.equal(chunkStore.records.size, 0);
});

test('a small part gets a placement, so that it can be shared', async () => {
  const { ingest, pins } = bench();
  const done = await ingest({ bytes: noise(10) }, { owner: 'part' });
  assert.equal(done.locator, undefined);
  const [placement] = done.placements;
  assert.equal(placement?.fresh, true);
  assert.ok(pins.has(placement?.hash ?? ''));
  done.settled();
  done.settled();
  assert.ok(!pins.has(placement?.hash ?? ''));
});

test('an empty body stores nothing', async () => {
  const { ingest, chunkStore } = bench();
  for (const body of [
    { bytes: new Uint8Array(0) },
    { stream: listed([]) },
    { stream: listed([new Uint8Array(0)]), size: 0 },
  ]) {
    const done = await ingest(body, { owner: 'version' });
    assert.deepEqual([done.size, done.manifest], [0, []]);
    assert.equal(done.md5Hex, 'd41d8cd98f00b204e9800998ecf8427e');
  }
  assert.equal(chunkStore.appends, 0);
});

test('the border between owned and shared is dedupMinBytes', async () => {
  const { ingest } = bench({ dedupMinBytes: 100 });
  const at = await ingest({ stream: pieces(noise(100), 30) }, { owner: 'version' });
  assert.ok(at.locator);
  const above = await ingest({ stream: pieces(noise(101), 30) }, { owner: 'version' });
  assert.equal(above.locator, undefined);
  assert.equal(above.placements.length, 1);
});

test('any body in any pieces comes out whole, hashed and in chunks of the right size', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 90 * KIB }), { maxLength: 12 }),
      fc.boolean(),
      fc.boolean(),
      fc.boolean(),
      async (sizes, declared, signed, whole) => {
        const { ingest, stored, pins } = bench({ chunkBytes: 100 * KIB, dedupMinBytes: 8 * KIB });
        const parts = sizes.map((size, i) => noise(size, i + 7));
        const bytes = Buffer.concat(parts);
        const body: BodySource = {
          ...(whole ? { bytes } : { stream: listed(parts) }),
          ...(declared ? { size: bytes.length } : {}),
          ...(signed ? { sha256: digest('sha256', bytes) } : {}),
          md5: digest('md5', bytes, 'base64'),
          checksum: {
            algorithm: 'SHA256',
            expected: digest('sha256', bytes, 'base64'),
            trailer: () => digest('sha256', bytes, 'base64'),
          },
        };
        const done = await ingest(body, { owner: 'version' });
        assert.equal(done.size, bytes.length);
        assert.deepEqual(stored(done), bytes);
        assert.equal(done.md5Hex, digest('md5', bytes));
        assert.equal(done.manifest.length, Math.ceil(bytes.length / (100 * KIB)));
        assert.deepEqual(done.checksums, [
          { algorithm: 'SHA256', type: 'FULL_OBJECT', value: digest('sha256', bytes, 'base64') },
        ]);
        done.settled();
        for (const { hash } of done.manifest) assert.ok(!pins.has(hash));
      },
    ),
    { seed: 4711, numRuns: 60 },
  );
});

test('wrong digests are refused by name, and what was appended is freed', async () => {
  for (const size of [1000, 300 * KIB]) {
    const { ingest, chunkStore, pins } = bench({ chunkBytes: 100 * KIB });
    const bytes = noise(size);
    const wrong = Buffer.alloc(32).toString('hex');
    const cases: readonly (readonly [Partial<BodySource>, string])[] = [
      [{ sha256: wrong }, 'sha256'],
      [{ md5: 'AAAAAAAAAAAAAAAAAAAAAA==' }, 'md5'],
      [{ checksum: { algorithm: 'CRC32', expected: 'AAAAAA==' } }, 'checksum'],
      [{ checksum: { algorithm: 'CRC64NVME', trailer: () => undefined } }, 'checksum'],
      [{ checksum: { algorithm: 'SHA1', trailer: () => 'AAAA' } }, 'checksum'],
    ];
    for (const [claim, which] of cases) {
      await refuses(
        ingest({ stream: pieces(bytes, 64 * KIB), ...claim }, { owner: 'version' }),
        'ChecksumMismatch',
        which,
      );
      assert.equal(chunkStore.records.size, 0);
    }
    assert.ok(!pins.has(`sha256:${digest('sha256', bytes.subarray(0, 100 * KIB))}`));
  }
});

test('more or fewer bytes than declared are refused', async () => {
  const { ingest, chunkStore } = bench({ chunkBytes: 100 * KIB });
  for (const [sent, size] of [
    [10, 11],
    [11, 10],
    [300 * KIB, 300 * KIB + 1],
    [300 * KIB, 200 * KIB],
  ] as const) {
    await refuses(ingest({ stream: pieces(noise(sent), 50 * KIB), size }, { owner: 'version' }), 'IncompleteBody');
    await refuses(ingest({ bytes: noise(sent), size }, { owner: 'version' }), 'IncompleteBody');
  }
  assert.equal(chunkStore.records.size, 0);
});

test('content that is already stored is not stored again', async () => {
  const { ingest, chunkStore, reader, stored } = bench({ chunkBytes: 100 * KIB });
  const bytes = noise(250 * KIB);
  const first = await ingest({ bytes }, { owner: 'version' });
  for (const { hash, locator, length, kind } of first.placements)
    reader.set(chunkKey(hash), encodeRecord({ locator, length, kind }));
  first.settled();
  const second = await ingest({ stream: pieces(bytes, 7000) }, { owner: 'version' });
  assert.deepEqual(
    second.placements.map(({ fresh }) => fresh),
    [false, false, false],
  );
  assert.equal(chunkStore.appends, 3);
  assert.deepEqual(stored(second), bytes);
  await second.release();
  assert.equal(chunkStore.records.size, 3, 'shared chunks stay');
});

test('a body that repeats itself is stored once', async () => {
  const { ingest, chunkStore } = bench({ chunkBytes: 100 * KIB });
  const done = await ingest({ bytes: new Uint8Array(1000 * KIB) }, { owner: 'version' });
  assert.equal(done.manifest.length, 10);
  assert.equal(done.placements.length, 1);
  assert.equal(chunkStore.appends, 1);
});

test('a stream that breaks is an incomplete body, and its own coded errors pass', async () => {
  const { ingest, chunkStore } = bench({ chunkBytes: 100 * KIB });
  async function* breaking(error: Error): AsyncGenerator<Uint8Array> {
    yield noise(250 * KIB);
    throw error;
  }
  await refuses(ingest({ stream: breaking(new Error('ECONNRESET')) }, { owner: 'version' }), 'IncompleteBody');
  await refuses(
    ingest({ stream: breaking(new SkerryError('Unauthenticated', 'bad signature')) }, { owner: 'version' }),
    'Unauthenticated',
  );
  assert.equal(chunkStore.records.size, 0);
});

test('a failed append fails the write, returns the stream and frees the rest', async () => {
  const { ingest, chunkStore, pins } = bench({ chunkBytes: 100 * KIB });
  let returned = false;
  async function* endless(): AsyncGenerator<Uint8Array> {
    try {
      for (let i = 0; ; i++) {
        if (i === 4) chunkStore.failAppend = new SkerryError('OutOfSpace', 'full');
        yield noise(50 * KIB, i);
      }
    } finally {
      returned = true;
    }
  }
  await refuses(ingest({ stream: endless() }, { owner: 'version' }), 'OutOfSpace');
  assert.ok(returned);
  assert.equal(chunkStore.records.size, 0);
  const hash: ChunkHash = `sha256:${digest('sha256', Buffer.concat([noise(50 * KIB, 0), noise(50 * KIB, 1)]))}`;
  assert.ok(!pins.has(hash));
});

test('abort ends a write that waits for its client', async () => {
  const { ingest, chunkStore } = bench({ chunkBytes: 100 * KIB });
  const controller = new AbortController();
  let stalled = (): void => {};
  const stalling = new Promise<void>((resolve) => (stalled = resolve));
  async function* stuck(): AsyncGenerator<Uint8Array> {
    yield noise(250 * KIB);
    stalled();
    await new Promise(() => {});
  }
  const run = ingest({ stream: stuck() }, { owner: 'version', signal: controller.signal });
  await stalling;
  controller.abort();
  await refuses(run, 'Aborted');
  assert.equal(chunkStore.records.size, 0);
});

test('neither bytes nor stream, or both, is a wrong argument', async () => {
  const { ingest } = bench();
  await refuses(ingest({}, { owner: 'version' }), 'InvalidArgument');
  await refuses(ingest({ bytes: noise(1), stream: listed([]) }, { owner: 'version' }), 'InvalidArgument');
});

test('many uploads at once share the memory, stalled clients included, and all come out whole', async () => {
  const { ingest, stored } = bench({
    chunkBytes: 64 * KIB,
    tightChunkBytes: 32 * KIB,
    dedupMinBytes: KIB,
    memoryBytes: 256 * KIB,
  });
  let wake = (): void => {};
  const woken = new Promise<void>((resolve) => (wake = resolve));
  async function* stalling(bytes: Buffer): AsyncGenerator<Uint8Array> {
    yield bytes.subarray(0, 40 * KIB);
    await woken;
    yield bytes.subarray(40 * KIB);
  }
  const sleepers = Array.from({ length: 12 }, (_, i) => noise(60 * KIB, 100 + i));
  const busy = Array.from({ length: 12 }, (_, i) => noise(500 * KIB, 200 + i));
  const sleeping = sleepers.map((bytes) => ingest({ stream: stalling(bytes) }, { owner: 'version' }));
  const done = await Promise.all(
    busy.map((bytes, i) => ingest({ stream: pieces(bytes, 1000 + i * 3000) }, { owner: 'version' })),
  );
  done.forEach((one, i) => assert.deepEqual(stored(one), busy[i]));
  wake();
  const woke = await Promise.all(sleeping);
  woke.forEach((one, i) => assert.deepEqual(stored(one), sleepers[i]));
});
