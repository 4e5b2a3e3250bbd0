/** What arrives: bodies and frames whole, in order, exactly as sent, apart from other calls, and not faster than it is read. */
import assert from 'node:assert/strict';

import * as fc from 'fast-check';

import type { IncomingCall } from '../../../core/contracts/index.ts';
import { NONE, bytes, collect, identity, reader, sameFrames, type TransportKit, type World } from './kit.ts';

const MAX_BYTES = 16 * 1024 * 1024;
/** Lengths around those at which implementations change their ways. */
const LENGTHS = [0, 1, 2, 255, 256, 1023, 1024, 1025, 16_383, 16_384, 65_535, 65_536, 65_537, 200_000, 1_048_577];

/** Bytes that do not repeat, so that a frame that was cut or shifted differs. */
function pattern(length: number, seed = 1): Uint8Array {
  const filled = new Uint8Array(length);
  let state = seed * 2_654_435_761;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    filled[at] = state >>> 24;
  }
  return filled;
}

async function* echo({ body }: IncomingCall): AsyncGenerator<Uint8Array> {
  yield body;
}

export function registerStreams(kit: TransportKit): void {
  frameTests(kit);
  callTests(kit);
  windowTests(kit);
}

function frameTests({ withSites, test, inWorld, seed, runs }: TransportKit): void {
  const many = Array.from({ length: 500 }, (_, index) => bytes(index >> 8, index & 255));
  withSites(
    'frames arrive in order',
    async function* () {
      yield* many;
    },
    async ({ link }) => sameFrames(await collect(link.call('c', NONE)), many),
  );
  const sizes = LENGTHS.map((length) => pattern(length));
  withSites(
    'frames of any length arrive whole, the empty one included',
    async function* () {
      yield* sizes;
    },
    async ({ link }) => sameFrames(await collect(link.call('c', NONE)), sizes),
  );
  withSites('bodies of any length arrive whole', echo, async ({ link }) => {
    for (const body of sizes) sameFrames(await collect(link.call('c', body)), [body]);
  });
  withSites('what packs well arrives unpacked', echo, async ({ link }) => {
    const body = new Uint8Array(300_000).fill(7);
    sameFrames(await collect(link.call('c', body)), [body]);
  });
  withSites('a body and a frame of 16 MiB', echo, async ({ link }) => {
    const body = pattern(MAX_BYTES);
    sameFrames(await collect(link.call('c', body)), [body]);
  });
  test('any frames come back as sent', async () => {
    const sent: Uint8Array[] = [];
    await inWorld(
      async function* () {
        yield* sent.slice();
      },
      async ({ link }) => {
        const frames = fc.array(fc.uint8Array({ maxLength: 3000 }), { maxLength: 40 });
        const property = fc.asyncProperty(frames, async (drawn) => {
          sent.splice(0, sent.length, ...drawn);
          sameFrames(await collect(link.call('c', NONE)), drawn);
        });
        await fc.assert(property, { seed, numRuns: runs });
      },
    );
  });
  withSites(
    'an answer without frames ends',
    async function* () {},
    async ({ link }) => {
      assert.deepEqual(await collect(link.call('c', NONE)), []);
    },
  );
}

function callTests({ withSites, test, inWorld }: TransportKit): void {
  test('the server gets name and body, and knows who calls', async () => {
    const calls: IncomingCall[] = [];
    await inWorld(
      async function* (call) {
        calls.push(call);
        yield NONE;
      },
      async ({ link, b, c }) => {
        await collect(link.call('op-log-2', bytes(7, 8)));
        await collect(c.transport.dial(b.address).call('x', NONE));
        assert.deepEqual(
          calls.map(({ name, from, body }) => ({ name, from, body: [...body] })),
          [
            { name: 'op-log-2', from: identity('a'), body: [7, 8] },
            { name: 'x', from: identity('c'), body: [] },
          ],
        );
        assert.equal(calls[0]?.signal.aborted, false, 'a call that ended well was aborted');
      },
    );
  });
  const counted = async function* ({ body }: IncomingCall): AsyncGenerator<Uint8Array> {
    for (let index = 0; index < 40; index++) yield bytes(body[0] ?? 0, index);
  };
  withSites('many calls at once do not mix', counted, async ({ link }) => {
    const answers = await Promise.all(Array.from({ length: 20 }, (_, id) => collect(link.call('c', bytes(id)))));
    for (const [id, frames] of answers.entries())
      sameFrames(
        frames,
        Array.from({ length: 40 }, (_, index) => bytes(id, index)),
      );
  });
  test('calls run at the same time: none waits for another to end', async () => {
    const all = Promise.withResolvers<void>();
    let running = 0;
    await inWorld(
      async function* () {
        running++;
        if (running === 8) all.resolve();
        await all.promise;
        yield bytes(1);
      },
      async ({ link }) => {
        await Promise.all(Array.from({ length: 8 }, () => collect(link.call('c', NONE))));
      },
    );
  });
  test('two sites call each other at once', () => bothWays(inWorld));
  withSites('what is received is the receiver’s own', echo, async ({ link }) => {
    const body = bytes(1, 2, 3);
    const [first] = await collect(link.call('c', body));
    first?.fill(9);
    assert.deepEqual([...body], [1, 2, 3]);
  });
}

/** The answer of `b` is made of one of `c`, asked for while `a` waits; meanwhile `b` calls `a`. */
async function bothWays(inWorld: TransportKit['inWorld']): Promise<void> {
  let back: World | undefined;
  await inWorld(
    async function* ({ name }) {
      if (back === undefined || name === 'inner') return;
      yield* back.b.transport.dial(back.c.address).call('inner', NONE);
      yield bytes(5);
    },
    async (world) => {
      back = world;
      const backwards = world.b.transport.dial(world.a.address);
      const [there, here] = await Promise.all([
        collect(world.link.call('outer', NONE)),
        collect(backwards.call('outer', NONE)),
      ]);
      sameFrames(there, [bytes(5)]);
      sameFrames(here, []);
    },
  );
}

function windowTests({ test, inWorld, supports }: TransportKit): void {
  test('the server is never further ahead of the reader than the window', async () => {
    const { windowFrames } = supports;
    const total = 4 * windowFrames;
    // A frame that the reader waits for counts as taken.
    const seen = { yielded: 0, asked: 0, aheadMax: 0 };
    await inWorld(
      async function* ({ name }) {
        if (name === 'other') return;
        while (seen.yielded < total) {
          seen.yielded++;
          seen.aheadMax = Math.max(seen.aheadMax, seen.yielded - seen.asked);
          yield bytes(1);
        }
      },
      async ({ link }) => {
        const frames = reader(link.call('c', NONE));
        const stops = new Set([1, 2, windowFrames, windowFrames + 1, 2 * windowFrames]);
        while (seen.asked < total) {
          seen.asked++;
          const { done } = await frames.next();
          assert.ok(done !== true, `the stream ended before frame ${seen.asked}`);
          // Other calls over the same link give a server that runs ahead the time to do so.
          if (stops.has(seen.asked)) for (let call = 0; call < 3; call++) await collect(link.call('other', NONE));
        }
        assert.equal((await frames.next()).done, true);
        assert.ok(seen.aheadMax <= windowFrames, `${seen.aheadMax} frames ahead, at most ${windowFrames}`);
      },
    );
  });
}
