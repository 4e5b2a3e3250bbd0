/** Random commands against a chunk-store and against a map, which must agree after each. */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { isSkerryError } from '../../core/contracts/index.ts';
import type { ChunkStore, ChunkStoreSupports, Locator, RecordKind } from '../../core/contracts/index.ts';
import type { KitOptions } from './runner.ts';
import { rejectsWith } from './traits.ts';

interface Remembered {
  readonly kind: RecordKind;
  readonly hash: string;
  readonly bytes: Uint8Array;
}

interface World {
  store: ChunkStore;
  readonly live: Map<Locator, Remembered>;
  readonly freed: Map<Locator, Remembered>;
}

type Command =
  | { readonly type: 'append'; readonly records: readonly Remembered[] }
  | { readonly type: 'free' | 'readFreed'; readonly pick: number }
  | { readonly type: 'read'; readonly pick: number; readonly from: number; readonly to: number }
  | { readonly type: 'scan' | 'sync' | 'reopen' | 'usage' };

const kinds = fc.constantFrom<RecordKind>('data', 'node', 'op');
const hashes = fc.oneof(
  fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => `sha256:${Buffer.from(bytes).toString('hex')}`),
  fc.constantFrom('sha256:ABC', 'blake3:00', 'sha256:', 'é'),
);
const contents = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.tuple(fc.integer({ min: 0, max: 200_000 }), fc.integer({ min: 0, max: 255 })).map(([length, byte]) => {
    const bytes = new Uint8Array(length).fill(byte);
    for (let at = 0; at < length; at += 997) bytes[at] = at & 0xff;
    return bytes;
  }),
);
const remembered: fc.Arbitrary<Remembered> = fc.record({ kind: kinds, hash: hashes, bytes: contents });
const picks = fc.nat({ max: 1000 });
const fractions = fc.double({ min: 0, max: 1, noNaN: true });

function commands(isDurable: boolean): fc.Arbitrary<Command[]> {
  const append = fc.array(remembered, { maxLength: 5 }).map((records): Command => ({ type: 'append', records }));
  const free = picks.map((pick): Command => ({ type: 'free', pick }));
  const read = fc
    .tuple(picks, fractions, fractions)
    .map(([pick, from, to]): Command => ({ type: 'read', pick, from, to }));
  const readFreed = picks.map((pick): Command => ({ type: 'readFreed', pick }));
  const plain = fc.constantFrom<Command>({ type: 'scan' }, { type: 'sync' }, { type: 'usage' });
  const reopen = fc.constant<Command>({ type: 'reopen' });
  const all = [append, append, free, read, readFreed, plain];
  return fc.array(fc.oneof(...(isDurable ? [...all, reopen] : all)), { maxLength: 25 });
}

/** Registers the model property. */
export function chunkStoreModelTests(options: KitOptions<ChunkStore, ChunkStoreSupports>): void {
  const { test, create, supports, seed = 1, runs = 30 } = options;
  test('any sequence of calls agrees with a map', () =>
    fc.assert(
      fc.asyncProperty(commands(supports.durable), async (sequence) => {
        const { port, again, cleanup } = await create();
        const world: World = { store: port, live: new Map(), freed: new Map() };
        try {
          await port.open();
          for (const command of sequence) await run(world, command, again);
          await checkScan(world);
          for (const locator of world.live.keys()) await checkRead(world, locator, 0, 1);
        } finally {
          await world.store.close();
          await cleanup?.();
        }
      }),
      { seed, numRuns: runs },
    ));
}

async function run(world: World, command: Command, again: (() => ChunkStore) | undefined): Promise<void> {
  switch (command.type) {
    case 'append':
      return append(world, command.records);
    case 'free':
      return free(world, command.pick);
    case 'read': {
      const locator = picked(world.live, command.pick);
      if (locator !== undefined) await checkRead(world, locator, command.from, command.to);
      return;
    }
    case 'readFreed':
      return checkFreed(world, command.pick);
    case 'scan':
      return checkScan(world);
    case 'usage':
      return checkUsage(world);
    case 'sync':
      return world.store.sync();
    case 'reopen':
      if (again === undefined) return;
      await world.store.close();
      world.store = again();
      await world.store.open();
  }
}

function picked(records: ReadonlyMap<Locator, Remembered>, pick: number): Locator | undefined {
  return [...records.keys()][pick % Math.max(1, records.size)];
}

async function append(world: World, records: readonly Remembered[]): Promise<void> {
  const locators = await world.store.append(records.map(({ kind, hash, bytes }) => ({ kind, hash, data: [bytes] })));
  assert.equal(locators.length, records.length);
  for (const [index, record] of records.entries()) {
    const locator = locators[index] ?? '';
    assert.ok(!world.live.has(locator) && !world.freed.has(locator), `the locator ${locator} came twice`);
    world.live.set(locator, record);
  }
}

async function free(world: World, pick: number): Promise<void> {
  const locator = picked(world.live, pick);
  const record = locator === undefined ? undefined : world.live.get(locator);
  if (locator === undefined || record === undefined) return;
  await world.store.free([locator]);
  world.live.delete(locator);
  world.freed.set(locator, record);
}

async function checkRead(world: World, locator: Locator, from: number, to: number): Promise<void> {
  const bytes = world.live.get(locator)?.bytes ?? new Uint8Array(0);
  const start = Math.floor(Math.min(from, to) * bytes.length);
  const end = Math.floor(Math.max(from, to) * bytes.length);
  const expected = Buffer.from(bytes.subarray(start, end));
  assert.ok(expected.equals(await world.store.read(locator, { start, length: end - start })), `read of ${locator}`);
  const now = world.store.readNow?.(locator);
  if (now !== undefined) assert.ok(Buffer.from(bytes).equals(now), `readNow of ${locator}`);
}

async function checkFreed(world: World, pick: number): Promise<void> {
  const locator = picked(world.freed, pick);
  if (locator === undefined) return;
  const outcome = await world.store.read(locator).catch((error: unknown) => error);
  if (isSkerryError(outcome)) await rejectsWith('NotFound', () => world.store.read(locator));
  else assert.equal(Buffer.compare(outcome as Uint8Array, world.freed.get(locator)?.bytes ?? new Uint8Array(0)), 0);
}

async function checkScan(world: World): Promise<void> {
  const missing = new Set(world.live.keys());
  const seen = new Set<Locator>();
  for await (const batch of world.store.scan()) {
    for (const { locator, kind, hash, length } of batch) {
      assert.ok(!seen.has(locator), `${locator} was scanned twice`);
      seen.add(locator);
      missing.delete(locator);
      const record = world.live.get(locator) ?? world.freed.get(locator);
      assert.deepEqual(
        { kind, hash, length },
        { kind: record?.kind, hash: record?.hash, length: record?.bytes.length },
      );
    }
  }
  assert.deepEqual([...missing], [], 'live records that the scan left out');
}

async function checkUsage(world: World): Promise<void> {
  let liveBytes = 0;
  for (const { bytes } of world.live.values()) liveBytes += bytes.length;
  const usage = await world.store.usage();
  assert.ok(usage.liveBytes >= liveBytes, `usage says ${usage.liveBytes} live bytes of at least ${liveBytes}`);
  if (world.live.size === 0) assert.equal(usage.liveBytes, 0);
}
