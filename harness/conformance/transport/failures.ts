/** What the caller is told when a call cannot be made, or the serving side fails. */
import assert from 'node:assert/strict';

import { SkerryError, type ErrorCode } from '../../../core/contracts/index.ts';
import { rejectsWith } from '../traits.ts';
import { NONE, bytes, collect, nothing, reader, sameFrames, type TransportKit } from './kit.ts';

const MAX_BYTES = 16 * 1024 * 1024;
const BAD_NAMES = ['', 'Upper', '1st', '-a', 'a b', 'a/b', '../a', 'a%2fb', 'a?b', 'a\r\nb', 'ä'];

export function registerFailures(kit: TransportKit): void {
  thrownTests(kit);
  refusalTests(kit);
  unreachableTests(kit);
}

/** What `call` rejects with. */
async function failure(call: () => Promise<unknown>): Promise<SkerryError> {
  try {
    await call();
  } catch (error) {
    assert.ok(error instanceof SkerryError, `rejected with ${String(error)}, no SkerryError`);
    return error;
  }
  return assert.fail('resolved instead of rejecting');
}

const thrown: readonly SkerryError[] = [
  new SkerryError('SlowDown', 'later', { details: { retryAfterMs: 5, nested: { list: [1, 'two', null] } } }),
  new SkerryError('Conflict', 'known vector differs: ü', { retryable: true }),
  new SkerryError('Unavailable', 'not again', { retryable: false }),
  new SkerryError('NotFound', '', { details: { chunk: 'sha256:00' } }),
];

function thrownTests({ withSites, test, inWorld }: TransportKit): void {
  test('an error of the server arrives as it was thrown, once', async () => {
    let calls = 0;
    const serve = (): AsyncIterable<Uint8Array> => throwing(thrown[calls++ % thrown.length]);
    await inWorld(serve, async ({ link }) => {
      for (const { code, message, retryable, details } of thrown) {
        const got = await failure(() => collect(link.call('c', NONE)));
        const seen = { code: got.code, message: got.message, retryable: got.retryable, details: got.details };
        assert.deepEqual(seen, { code, message, retryable, details });
      }
      assert.equal(calls, thrown.length, 'a failed call was repeated');
    });
  });
  withSites(
    'frames before an error arrive before it, and nothing behind it',
    async function* () {
      yield* [bytes(1), bytes(2)];
      throw new SkerryError('Conflict', 'third');
    },
    async ({ link }) => {
      const frames = reader(link.call('c', NONE));
      sameFrames(
        [(await frames.next()).value as Uint8Array, (await frames.next()).value as Uint8Array],
        [bytes(1), bytes(2)],
      );
      await rejectsWith('Conflict', async () => frames.next());
      assert.equal((await frames.next()).done, true);
    },
  );
  withSites(
    'any other error is Internal and tells nothing of itself',
    () => {
      throw new Error('the-secret');
    },
    async ({ link }) => {
      const { code, message, details } = await failure(() => collect(link.call('c', NONE)));
      assert.equal(code, 'Internal');
      assert.ok(!`${message}${JSON.stringify(details)}`.includes('the-secret'));
    },
  );
  withSites(
    'details that JSON cannot carry do not hide the error',
    () => throwing(new SkerryError('Conflict', 'odd', { details: { odd: () => 1, fine: 2 } })),
    async ({ link }) => {
      const { code, details } = await failure(() => collect(link.call('c', NONE)));
      assert.deepEqual([code, details], ['Conflict', { fine: 2 }]);
    },
  );
}

async function* throwing(error: SkerryError | undefined): AsyncGenerator<Uint8Array> {
  if (error !== undefined) throw error;
  yield NONE;
}

function refusalTests({ withSites, test, inWorld }: TransportKit): void {
  test('what is no name of a call is refused and reaches nobody', async () => {
    let calls = 0;
    const serve = (): AsyncIterable<Uint8Array> => {
      calls++;
      return nothing();
    };
    await inWorld(serve, async ({ link }) => {
      for (const name of BAD_NAMES) await rejectsWith('InvalidArgument', () => collect(link.call(name, NONE)));
      assert.equal(calls, 0);
    });
  });
  const huge = new Uint8Array(MAX_BYTES + 1);
  withSites(
    'a body or a frame above 16 MiB is TooLarge',
    async function* ({ name }) {
      yield name === 'big-frame' ? huge : NONE;
    },
    async ({ link }) => {
      await rejectsWith('TooLarge', () => collect(link.call('big-body', huge)));
      await rejectsWith('TooLarge', () => collect(link.call('big-frame', NONE)));
      assert.equal((await collect(link.call('c', NONE))).length, 1);
    },
  );
  withSites('a site cannot listen twice', nothing, async ({ a }) => {
    await rejectsWith('InvalidArgument', () => a.transport.listen(a.identity, nothing));
  });
}

function unreachableTests({ withSites }: TransportKit): void {
  const unavailable = async (call: () => Promise<unknown>): Promise<void> => {
    const { code, retryable } = await failure(call);
    assert.deepEqual([code, retryable], ['Unavailable' satisfies ErrorCode, true]);
  };
  withSites('where nobody listens any more it is Unavailable', nothing, async ({ a, c }) => {
    await c.transport.close();
    await unavailable(() => collect(a.transport.dial(c.address).call('c', NONE)));
  });
  withSites('another site than the one that was dialled is Unavailable', nothing, async ({ a, b, c }) => {
    const link = a.transport.dial({ site: 'c', url: b.address.url });
    await unavailable(() => collect(link.call('c', NONE)));
    assert.deepEqual(await collect(a.transport.dial(c.address).call('c', NONE)), []);
  });
}
