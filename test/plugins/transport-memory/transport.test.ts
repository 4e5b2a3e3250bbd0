/** transport-memory keeps the contract of transports. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import * as fc from 'fast-check';

import { SkerryError, type IncomingCall, type PeerIdentity, type ServeCall } from '../../../core/contracts/index.ts';
import { rejectsWith } from '../../../harness/conformance/traits.ts';
import { createMemoryHub, namedHub, type MemoryHub } from '../../../plugins/transport-memory/hub.ts';
import plugin from '../../../plugins/transport-memory/index.ts';
import { FRAME_MAX_BYTES, WINDOW_FRAMES } from '../../../plugins/transport-memory/stream.ts';
import { MemoryTransport } from '../../../plugins/transport-memory/transport.ts';
import { pluginDeps } from '../../support/plugin-deps.ts';
import { turn } from '../../support/turn.ts';

const identity = (site: string): PeerIdentity => ({ site, origin: `${site}.0123456789abcdef` });
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const NONE = bytes();

async function* nothing(): AsyncGenerator<Uint8Array> {}

async function joined(hub: MemoryHub, site: string, serve: ServeCall = nothing) {
  const transport = new MemoryTransport(hub);
  await transport.open();
  const [url = ''] = await transport.listen(identity(site), serve);
  return { transport, address: { site, url } };
}

/** A caller `a` with a link to a server `b`. */
async function pair(serve: ServeCall) {
  const hub = createMemoryHub();
  const a = await joined(hub, 'a');
  const b = await joined(hub, 'b', serve);
  return { a: a.transport, b: b.transport, link: a.transport.dial(b.address), address: b.address };
}

async function collect(frames: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for await (const frame of frames) all.push(frame);
  return all;
}

/** Yields `count` frames and records how it went. */
function counting(count = Number.POSITIVE_INFINITY) {
  const seen = { yielded: 0, returned: 0, calls: [] as IncomingCall[] };
  async function* serve(call: IncomingCall): AsyncGenerator<Uint8Array> {
    seen.calls.push(call);
    try {
      while (seen.yielded < count) yield bytes(seen.yielded++ % 256);
    } finally {
      seen.returned++;
    }
  }
  return { seen, serve };
}

/** Yields one frame, then says nothing until its signal aborts. */
function silent() {
  const seen = { aborted: 0, returned: 0 };
  async function* serve({ signal }: IncomingCall): AsyncGenerator<Uint8Array> {
    try {
      yield bytes(1);
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      seen.aborted++;
    } finally {
      seen.returned++;
    }
  }
  return { seen, serve };
}

describe('calls', () => {
  test('frames arrive whole and in order, and the server knows who calls', async () => {
    const { seen, serve } = counting(100);
    const { link } = await pair(serve);
    const frames = await collect(link.call('op-log', bytes(7, 8)));
    assert.deepEqual(
      frames.map(([value]) => value),
      Array.from({ length: 100 }, (_, index) => index),
    );
    const [call] = seen.calls;
    assert.deepEqual([call?.name, call?.from, call?.body], ['op-log', identity('a'), bytes(7, 8)]);
  });

  test('any frames, empty ones included, come back as sent', () => {
    const frames = fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 40 });
    const property = fc.asyncProperty(frames, async (sent) => {
      const { link } = await pair(async function* () {
        yield* sent;
      });
      assert.deepEqual(await collect(link.call('c', NONE)), sent);
    });
    return fc.assert(property, { seed: 5, numRuns: 50 });
  });

  test('many calls at once do not mix', async () => {
    const { link } = await pair(async function* ({ body }) {
      for (let index = 0; index < 40; index++) yield bytes(body[0] ?? 0, index);
    });
    const answers = await Promise.all(Array.from({ length: 20 }, (_, id) => collect(link.call('c', bytes(id)))));
    for (const [id, frames] of answers.entries()) {
      assert.deepEqual(
        frames,
        Array.from({ length: 40 }, (_, index) => bytes(id, index)),
      );
    }
  });

  test('bytes are copied both ways', async () => {
    const sent = bytes(1, 2, 3);
    const bodies: Uint8Array[] = [];
    const { link } = await pair(async function* ({ body }) {
      bodies.push(body);
      body.fill(9);
      yield sent;
    });
    const body = bytes(4, 5);
    const [frame] = await collect(link.call('c', body));
    frame?.fill(0);
    assert.deepEqual([sent, body, bodies], [bytes(1, 2, 3), bytes(4, 5), [bytes(9, 9)]]);
  });

  test('a reader that pauses stops the server at the window', async () => {
    const { seen, serve } = counting();
    const { link } = await pair(serve);
    const frames = link.call('c', NONE)[Symbol.asyncIterator]();
    for (let taken = 1; taken <= 40; taken++) {
      await frames.next();
      for (let turns = 0; turns < 3; turns++) await turn();
      assert.ok(seen.yielded <= taken + WINDOW_FRAMES, `${seen.yielded} yielded when ${taken} were taken`);
    }
    assert.equal(plugin.supports.windowFrames, WINDOW_FRAMES);
    await frames.return?.();
  });

  test('nothing runs before the first frame is asked for', async () => {
    const { seen, serve } = counting();
    const { link } = await pair(serve);
    link.call('c', NONE);
    await turn();
    assert.equal(seen.calls.length, 0);
  });
});

describe('ends of a call', () => {
  test('the error of the server arrives after its frames, as a copy', async () => {
    const thrown = new SkerryError('SlowDown', 'later', {
      details: { retryAfterMs: 5, odd: () => 1 },
      cause: new Error('x'),
    });
    const { link } = await pair(async function* () {
      yield bytes(1);
      throw thrown;
    });
    const frames = link.call('c', NONE)[Symbol.asyncIterator]();
    assert.deepEqual((await frames.next()).value, bytes(1));
    await assert.rejects(
      async () => frames.next(),
      (error: SkerryError) => {
        const { code, message, retryable, details } = error;
        assert.deepEqual(
          { code, message, retryable, details },
          { code: 'SlowDown', message: 'later', retryable: true, details: { retryAfterMs: 5 } },
        );
        return error !== thrown && error.cause === undefined;
      },
    );
  });

  test('any other error is Internal and tells nothing', async () => {
    const { link } = await pair(() => {
      throw new Error('password');
    });
    await assert.rejects(collect(link.call('c', NONE)), ({ code, message }: SkerryError) => {
      return code === 'Internal' && !message.includes('password');
    });
  });

  for (const [how, end] of Object.entries({
    'return of the reader': async (frames: AsyncIterator<Uint8Array>) => void (await frames.return?.()),
    'the signal of the caller': async (_: unknown, abort: AbortController) => abort.abort(),
  })) {
    test(`${how} releases a server that says nothing`, async () => {
      const { seen, serve } = silent();
      const { link } = await pair(serve);
      const abort = new AbortController();
      const frames = link.call('c', NONE, abort.signal)[Symbol.asyncIterator]();
      await frames.next();
      const waiting = rejectsWith('Aborted', async () => frames.next());
      await end(frames, abort);
      await waiting;
      await turn();
      assert.deepEqual(seen, { aborted: 1, returned: 1 });
    });
  }

  test('a signal that has aborted before starts nothing', async () => {
    const { seen, serve } = counting();
    const { link } = await pair(serve);
    await rejectsWith('Aborted', () => collect(link.call('c', NONE, AbortSignal.abort())));
    assert.equal(seen.calls.length, 0);
  });

  test('leaving the loop returns from a generator that waits at the window', async () => {
    const { seen, serve } = counting();
    const { link } = await pair(serve);
    for await (const _frame of link.call('c', NONE)) break;
    await turn();
    assert.equal(seen.returned, 1);
  });

  test('closing the link, or the transport of the reader, ends its calls with Closed', async () => {
    for (const which of ['link', 'a'] as const) {
      const { seen, serve } = silent();
      const world = await pair(serve);
      const frames = world.link.call('c', NONE)[Symbol.asyncIterator]();
      await frames.next();
      const waiting = rejectsWith('Closed', async () => frames.next());
      await world[which].close();
      await waiting;
      await rejectsWith('Closed', () => collect(world.link.call('c', NONE)));
      await turn();
      assert.equal(seen.returned, 1);
    }
  });

  test('closing the transport of the server breaks the stream and waits for its generators', async () => {
    const { seen, serve } = silent();
    const { b, link } = await pair(serve);
    const frames = link.call('c', NONE)[Symbol.asyncIterator]();
    await frames.next();
    const waiting = rejectsWith('Unavailable', async () => frames.next());
    await b.close();
    assert.equal(seen.returned, 1);
    await waiting;
    await rejectsWith('Unavailable', () => collect(link.call('c', NONE)));
  });
});

describe('refusals', () => {
  test('bad names, bodies and frames', async () => {
    const huge = new Uint8Array(FRAME_MAX_BYTES + 1);
    const { link } = await pair(async function* () {
      yield huge;
    });
    for (const name of ['', 'Upper', '1st', 'a b', 'a/b']) {
      await rejectsWith('InvalidArgument', () => collect(link.call(name, NONE)));
    }
    await rejectsWith('TooLarge', () => collect(link.call('c', huge)));
    await rejectsWith('TooLarge', () => collect(link.call('c', NONE)));
  });

  test('nobody there, somebody else there, nobody who calls', async () => {
    const hub = createMemoryHub();
    const { transport, address } = await joined(hub, 'a');
    const call = (site: string, url: string) => collect(transport.dial({ site, url }).call('c', NONE));
    await rejectsWith('Unavailable', () => call('b', 'memory://hub/b'));
    await rejectsWith('Unavailable', () => call('b', address.url));
    const mute = new MemoryTransport(hub);
    await mute.open();
    await rejectsWith('Unauthenticated', () => collect(mute.dial(address).call('c', NONE)));
  });

  test('a link outlives a peer that restarts', async () => {
    const hub = createMemoryHub();
    const { transport } = await joined(hub, 'a');
    const first = await joined(hub, 'b');
    const link = transport.dial(first.address);
    await first.transport.close();
    await rejectsWith('Unavailable', () => collect(link.call('c', NONE)));
    await joined(hub, 'b', counting(2).serve);
    assert.equal((await collect(link.call('c', NONE))).length, 2);
  });

  test('listen: once, one site once a hub, and never when shut', async () => {
    const hub = createMemoryHub();
    const shut = new MemoryTransport(hub);
    await rejectsWith('Closed', () => shut.listen(identity('z'), nothing));
    const { transport } = await joined(hub, 'a');
    await rejectsWith('InvalidArgument', () => transport.listen(identity('a'), nothing));
    await rejectsWith('AlreadyExists', () => joined(hub, 'a'));
    await transport.close();
    await transport.close();
    await rejectsWith('Closed', () => transport.listen(identity('a'), nothing));
    await rejectsWith('Closed', () => collect(transport.dial({ site: 'b', url: 'memory://hub/b' }).call('c', NONE)));
    await shut.close();
    await rejectsWith('Closed', () => shut.open());
  });
});

test('sites whose configs name one hub reach each other, others do not', async () => {
  const deps = pluginDeps('unused');
  const [one, two, other] = ['shared', 'shared', 'apart'].map((hub) => plugin.create(deps, { hub }));
  assert.ok(one && two && other);
  for (const transport of [one, two, other]) await transport.open();
  await one.listen(identity('one'), nothing);
  const [url = ''] = await two.listen(identity('two'), counting(3).serve);
  await other.listen(identity('one'), nothing);
  assert.equal((await collect(one.dial({ site: 'two', url }).call('c', NONE))).length, 3);
  await rejectsWith('Unavailable', () =>
    collect(other.dial({ site: 'two', url: url.replace('shared', 'apart') }).call('c', NONE)),
  );
  assert.equal(namedHub('shared'), namedHub('shared'));
  for (const transport of [one, two, other]) await transport.close();
});
