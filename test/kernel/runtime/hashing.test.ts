import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import crypto from 'node:crypto';
import { test } from 'node:test';
import { promisify } from 'node:util';
import * as fc from 'fast-check';
import type { HashAlgorithm, HashSession } from '../../../core/contracts/index.ts';
import { isSkerryError } from '../../../core/contracts/index.ts';
import { createNodeHashing } from '../../../core/kernel/runtime/hashing.ts';
import type { NodeHashingOptions } from '../../../core/kernel/runtime/hashing.ts';

const KIB = 1024;
const CHECK_INPUT = Buffer.from('123456789');
/** Published check values of each algorithm for the bytes "123456789". */
const CHECK_VALUES: Readonly<Record<HashAlgorithm, string>> = {
  md5: '25f9e794323b453885f5181f1b624d0b',
  sha1: 'f7c3bc1d808e04732adf679965ccc34ca7ae3441',
  sha256: '15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225',
  crc32: 'cbf43926',
  crc32c: 'e3069283',
  crc64nvme: 'ae8b14860a799888',
};
const ALGORITHMS = Object.keys(CHECK_VALUES) as HashAlgorithm[];
const SMALL_POOL: NodeHashingOptions = { threadsMax: 2, inlineBelowBytes: 0, slotBytes: 1 * KIB, slotsMax: 3 };

async function withHashing(
  options: NodeHashingOptions,
  run: (made: ReturnType<typeof createNodeHashing>) => Promise<void>,
): Promise<void> {
  const made = createNodeHashing(options);
  try {
    await run(made);
  } finally {
    await made.close();
  }
}

function hex(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? []).toString('hex');
}

async function digestHex(session: HashSession): Promise<Record<string, string>> {
  return Object.fromEntries(Object.entries(await session.digest()).map(([name, bytes]) => [name, hex(bytes)]));
}

function expectedHex(bytes: Uint8Array, algorithms: readonly HashAlgorithm[]): Record<string, string> {
  const { hashing } = createNodeHashing();
  return Object.fromEntries(algorithms.map((algorithm) => [algorithm, hex(hashing.hash(algorithm, bytes))]));
}

test('every algorithm gives its published check value, one-shot and in sessions', async () => {
  await withHashing({}, async ({ hashing }) => {
    for (const algorithm of ALGORITHMS) {
      assert.equal(hex(hashing.hash(algorithm, CHECK_INPUT)), CHECK_VALUES[algorithm]);
      assert.equal(hex(await hashing.hashAsync(algorithm, CHECK_INPUT)), CHECK_VALUES[algorithm]);
    }
    for (const expectedBytes of [9, 1_000_000, undefined]) {
      const session = hashing.session(ALGORITHMS, expectedBytes === undefined ? {} : { expectedBytes });
      for (const byte of CHECK_INPUT) await session.update(Uint8Array.of(byte));
      assert.deepEqual(await digestHex(session), CHECK_VALUES);
    }
  });
});

test('the empty stream has a digest', async () => {
  await withHashing(SMALL_POOL, async ({ hashing }) => {
    assert.deepEqual(await digestHex(hashing.session(ALGORITHMS)), expectedHex(new Uint8Array(0), ALGORITHMS));
  });
});

test('worker threads give the same digests as this thread, whatever the pieces', async () => {
  await withHashing(SMALL_POOL, async ({ hashing }) => {
    const algorithmSets = fc.uniqueArray(fc.constantFrom(...ALGORITHMS), { minLength: 1 });
    const pieceSizes = fc.array(fc.integer({ min: 0, max: 3 * KIB }), { maxLength: 12 });
    const property = fc.asyncProperty(algorithmSets, pieceSizes, async (algorithms, sizes) => {
      const pieces = sizes.map((size) => crypto.randomBytes(size));
      const session = hashing.session(algorithms);
      for (const piece of pieces) await session.update(piece);
      assert.deepEqual(await digestHex(session), expectedHex(Buffer.concat(pieces), algorithms));
    });
    await fc.assert(property, { numRuns: 60, seed: 20_261_122 });
  });
});

test('updates that are not awaited one by one keep their order', async () => {
  await withHashing(SMALL_POOL, async ({ hashing }) => {
    const pieces = Array.from({ length: 40 }, (_, index) => Buffer.alloc(700, index));
    const session = hashing.session(['md5', 'sha256']);
    await Promise.all(pieces.map(async (piece) => session.update(piece)));
    assert.deepEqual(await digestHex(session), expectedHex(Buffer.concat(pieces), ['md5', 'sha256']));
  });
});

test('the caller may reuse its buffer once update resolves, and its bytes are untouched', async () => {
  await withHashing(SMALL_POOL, async ({ hashing }) => {
    const all: Buffer[] = [];
    const reused = Buffer.alloc(1500);
    const session = hashing.session(['sha256']);
    for (let round = 0; round < 10; round += 1) {
      const content = crypto.randomBytes(1500);
      reused.set(content);
      await session.update(reused);
      assert.deepEqual(reused, content);
      all.push(content);
    }
    reused.fill(0);
    assert.deepEqual(await digestHex(session), expectedHex(Buffer.concat(all), ['sha256']));
  });
});

test('more sessions than slots make progress together, even beside clients that stall', async () => {
  await withHashing(SMALL_POOL, async ({ hashing }) => {
    const stalled = Array.from({ length: 3 }, () => hashing.session(['md5']));
    for (const session of stalled) await session.update(Buffer.alloc(100, 1));
    const content = crypto.randomBytes(20 * KIB);
    const busy = Array.from({ length: 12 }, async () => {
      const session = hashing.session(['md5', 'sha256']);
      for (let at = 0; at < content.length; at += 900) await session.update(content.subarray(at, at + 900));
      return digestHex(session);
    });
    const expected = expectedHex(content, ['md5', 'sha256']);
    for (const digests of await Promise.all(busy)) assert.deepEqual(digests, expected);
    for (const session of stalled) {
      await session.update(Buffer.alloc(100, 2));
      const whole = Buffer.concat([Buffer.alloc(100, 1), Buffer.alloc(100, 2)]);
      assert.deepEqual(await digestHex(session), expectedHex(whole, ['md5']));
    }
  });
});

test('an abandoned session gives its memory back and refuses further calls', async () => {
  await withHashing(SMALL_POOL, async ({ hashing }) => {
    for (let round = 0; round < 20; round += 1) {
      const session = hashing.session(['md5']);
      await session.update(Buffer.alloc(round * 300, 7));
      session.abandon();
      session.abandon();
      assert.throws(
        () => session.update(Buffer.alloc(1)),
        (error) => isSkerryError(error, 'Closed'),
      );
      await assert.rejects(session.digest(), (error) => isSkerryError(error, 'Closed'));
    }
    assert.equal(hex(await hashing.hashAsync('md5', CHECK_INPUT)), CHECK_VALUES.md5);
  });
});

test('a session ends once', async () => {
  await withHashing(SMALL_POOL, async ({ hashing }) => {
    for (const expectedBytes of [0, 10 * KIB]) {
      const session = hashing.session(['crc32', 'md5'], { expectedBytes });
      await session.update(Buffer.alloc(expectedBytes));
      await session.digest();
      await assert.rejects(session.digest(), (error) => isSkerryError(error, 'Closed'));
    }
  });
});

test('bytes that no thread can read fail the session with a coded error; the next session gets a new thread', async () => {
  await withHashing(SMALL_POOL, async ({ hashing }) => {
    const unknown = 'md6' as HashAlgorithm;
    const session = hashing.session([unknown]);
    await assert.rejects(
      async () => {
        await session.update(Buffer.alloc(5 * KIB));
        await session.digest();
      },
      (error) => isSkerryError(error, 'Unavailable') && error.retryable,
    );
    const content = crypto.randomBytes(9 * KIB);
    assert.deepEqual(hex(await hashing.hashAsync('sha256', content)), expectedHex(content, ['sha256'])['sha256']);
  });
});

test('close rejects running sessions and new ones, twice is fine', async () => {
  const { hashing, close } = createNodeHashing(SMALL_POOL);
  const session = hashing.session(['md5']);
  await session.update(Buffer.alloc(5 * KIB));
  await Promise.all([close(), close()]);
  await assert.rejects(session.digest(), (error) => isSkerryError(error, 'Closed'));
  assert.throws(
    () => hashing.session(['md5']),
    (error) => isSkerryError(error, 'Closed'),
  );
});

test('idle workers let the process exit without close, owed digests do not', async () => {
  const source = `
    const { createNodeHashing } = await import(${JSON.stringify(new URL('../../../core/kernel/runtime/hashing.ts', import.meta.url).href)});
    const { hashing } = createNodeHashing({ inlineBelowBytes: 0, slotBytes: 1024 });
    const digest = await hashing.hashAsync('md5', Buffer.alloc(5000));
    process.stdout.write(Buffer.from(digest).toString('hex'));
  `;
  const run = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', source]);
  assert.equal(run.stdout, crypto.hash('md5', Buffer.alloc(5000)));
});
