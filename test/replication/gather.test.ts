/** Pages that come while one is applied are applied together, in order, and no more of them wait than may. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { SkerryError } from '../../core/contracts/index.ts';
import type { OpsCallFrame } from '../../core/replication/calls.ts';
import { gathered } from '../../core/replication/gather.ts';
import { Author, versionPut } from '../engine/support.ts';
import { turn } from '../support/turn.ts';

const author = new Author('waw');
const LIMITS = { maxOps: 5, maxBytes: 1000 };
const NEVER = new AbortController().signal;

const page = (ops: number, bytes = 10): OpsCallFrame => ({
  bytes,
  frame: {
    kind: 'page',
    ops: Array.from({ length: ops }, () => ({
      op: author.write(versionPut('k')),
    })),
  },
});
const caughtUp: OpsCallFrame = { bytes: 10, frame: { kind: 'caught-up', vector: {}, hlc: '0000000000000001' } };

/** A call whose frames come at once, that counts how many were read and knows whether it was stopped. */
function callOf(frames: readonly OpsCallFrame[], failure?: Error) {
  const call = { read: 0, isStopped: false };
  const open = async function* (signal: AbortSignal): AsyncGenerator<OpsCallFrame> {
    const stopped = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    for (const frame of frames) {
      call.read++;
      yield frame;
    }
    if (failure) throw failure;
    await stopped;
    call.isStopped = true;
    throw new SkerryError('Aborted', 'stopped');
  };
  return { call, open };
}

const seqs = ({ frame }: OpsCallFrame): readonly number[] | string =>
  frame.kind === 'page' ? frame.ops.map(({ op }) => op.dot.seq) : frame.kind;

describe('pages of a pull', () => {
  test('that came meanwhile are one, up to a limit, and never pass over another frame', async () => {
    const frames = [page(1), page(1), page(2), page(1), page(3), caughtUp, page(1), page(1)];
    const all = frames.map(seqs).flat();
    const { open } = callOf(frames, new Error('the end'));
    const taken: (readonly number[] | string)[] = [];
    await assert.rejects(async () => {
      for await (const frame of gathered(open, LIMITS, NEVER)) {
        taken.push(seqs(frame));
        await turn();
      }
    }, /the end/);
    assert.deepEqual(taken.flat(), all);
    assert.deepEqual(
      taken.map((one) => (typeof one === 'string' ? one : one.length)),
      [1, 4, 3, 'caught-up', 2],
    );
  });

  test('wait in a bounded number', async () => {
    const { call, open } = callOf(Array.from({ length: 100 }, () => page(1, 400)));
    const frames = gathered(open, LIMITS, NEVER);
    await frames.next();
    await turn();
    assert.ok(call.read <= 6, `${call.read} of 400 bytes each were read ahead of 1000`);
    await frames.return(undefined);
  });

  test('end when the taker stops, or the outer signal does: the call is stopped, and nothing is left behind', async () => {
    const first = callOf([page(1)]);
    for await (const _ of gathered(first.open, LIMITS, NEVER)) break;
    assert.equal(first.call.isStopped, true);
    const second = callOf([page(1)]);
    const outer = new AbortController();
    const frames = gathered(second.open, LIMITS, outer.signal);
    await frames.next();
    const next = frames.next();
    outer.abort();
    await assert.rejects(next, { code: 'Aborted' });
    assert.equal(second.call.isStopped, true);
  });
});
