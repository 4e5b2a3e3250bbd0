/** How a call ends before its stream does: by the reader, by its signal, by the link, by either transport. */
import assert from 'node:assert/strict';

import { rejectsWith } from '../traits.ts';
import { NONE, collect, endless, reader, silent, type TransportKit, type World } from './kit.ts';

export function registerEnds(kit: TransportKit): void {
  readerTests(kit);
  closeTests(kit);
}

function readerTests({ test, inWorld, soon }: TransportKit): void {
  const ways: Readonly<Record<string, (frames: AsyncIterator<Uint8Array>, abort: AbortController) => unknown>> = {
    'return()': (frames) => frames.return?.(),
    'the signal': (_frames, abort) => abort.abort(),
  };
  for (const [how, end] of Object.entries(ways)) {
    test(`${how} of the reader reaches a server that says nothing`, () => {
      const { serve, aborted, ended } = silent();
      return inWorld(serve, async ({ link }) => {
        const abort = new AbortController();
        const frames = reader(link.call('c', NONE, abort.signal));
        await frames.next();
        const waiting = rejectsWith('Aborted', async () => frames.next());
        await end(frames, abort);
        await soon(waiting, `the next() that ${how} interrupts`);
        await soon(aborted, "the server's signal");
        await soon(ended, "the server's generator");
      });
    });
  }
  test('leaving the loop returns from a generator that waits at the window', () => {
    const { serve, ended } = endless();
    return inWorld(serve, async ({ link }) => {
      for await (const _frame of link.call('c', NONE)) break;
      await soon(ended, "the server's generator");
    });
  });
  test('behind the end, and behind return(), next() is done', () =>
    inWorld(silent().serve, async ({ link }) => {
      const frames = reader(link.call('c', NONE));
      await frames.next();
      await frames.return?.();
      assert.equal((await frames.next()).done, true);
      assert.equal((await frames.next()).done, true);
    }));
  test('a signal that has aborted before starts nothing', () => {
    const { serve, seen } = endless();
    return inWorld(serve, async ({ link }) => {
      await rejectsWith('Aborted', () => collect(link.call('c', NONE, AbortSignal.abort())));
      assert.equal(seen.yielded, 0);
    });
  });
  test('the link goes on working after a call was given up', () => {
    const { serve } = endless();
    return inWorld(serve, async ({ link }) => {
      for (let call = 0; call < 5; call++) for await (const _frame of link.call('c', NONE)) break;
    });
  });
}

function closeTests({ test, inWorld, soon }: TransportKit): void {
  const closers: Readonly<Record<string, (world: World) => Promise<void>>> = {
    'the link': ({ link }) => link.close(),
    'the transport': ({ a }) => a.transport.close(),
  };
  for (const [what, close] of Object.entries(closers)) {
    test(`closing ${what} of the reader ends its calls with Closed, running and new ones`, () => {
      const { serve, ended } = silent();
      return inWorld(serve, async (world) => {
        const frames = reader(world.link.call('c', NONE));
        await frames.next();
        const waiting = rejectsWith('Closed', async () => frames.next());
        await close(world);
        await soon(waiting, 'the running call');
        await rejectsWith('Closed', () => collect(world.link.call('c', NONE)));
        await soon(ended, "the server's generator");
      });
    });
  }
  test('closing one link leaves the others alone', () =>
    inWorld(silent().serve, async ({ a, b, link }) => {
      const other = reader(a.transport.dial(b.address).call('c', NONE));
      await link.close();
      await link.close();
      assert.equal((await other.next()).done, false);
      await other.return?.();
    }));
  test('closing the server breaks its streams: they reject, they do not end', () => {
    const { serve, aborted, ended } = silent();
    return inWorld(serve, async ({ b, link }) => {
      const frames = reader(link.call('c', NONE));
      await frames.next();
      const waiting = rejectsWith('Unavailable', async () => frames.next());
      await soon(b.transport.close(), 'close');
      await soon(waiting, 'the running call');
      await soon(Promise.all([aborted, ended]), "the server's generator");
      await rejectsWith('Unavailable', () => collect(link.call('c', NONE)));
    });
  });
  test('close waits for the generators that it runs', () => {
    let hasEnded = false;
    const { serve, ended } = endless();
    void ended.then(() => (hasEnded = true));
    return inWorld(serve, async ({ b, link }) => {
      const frames = reader(link.call('c', NONE));
      await frames.next();
      await b.transport.close();
      assert.ok(hasEnded, 'close resolved before a generator had ended');
      await frames.return?.();
    });
  });
}
