/** What a copied site lacks is what the peer says that has most, not the one that answers first (rule 12). */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { MissingPast } from '../../core/kernel/data-directory.ts';
import { Past } from '../../core/kernel/past.ts';
import { memoryLogger } from './fixtures/logger.ts';

const WAS = 'waw.0123456789abcdef';

/** A site that has two ops of what it was, and does not know how many there are. */
function copied() {
  const state = { missing: { [WAS]: null } as MissingPast, ops: 2, waits: undefined as string | undefined };
  const past = new Past({
    directory: {
      get missing() {
        return state.missing;
      },
      setMissing: async (missing) => void (state.missing = missing),
    },
    engine: { vector: async () => ({ [WAS]: state.ops }) },
    logger: memoryLogger().logger,
    onWait: (reason) => (state.waits = reason),
  });
  return { past, state };
}

test('peers are asked at once and one of them lags behind: the site waits for what the other one has', async () => {
  const { past, state } = copied();
  past.look();
  past.claimed({ [WAS]: 1 });
  await past.settled();
  past.claimed({ [WAS]: 7 });
  past.greeted();
  await past.settled();
  assert.deepEqual(past.lacking(), { [WAS]: 7 });
  assert.match(state.waits ?? '', /2 of 7 ops are here/);
  state.ops = 7;
  past.look();
  await past.settled();
  assert.deepEqual([state.missing, state.waits], [{}, undefined]);
});

test('no peer could be asked: the first that comes later decides', async () => {
  const { past, state } = copied();
  past.greeted();
  await past.settled();
  assert.deepEqual([state.missing, state.waits], [{ [WAS]: null }, undefined]);
  past.claimed({ [WAS]: 5 });
  await past.settled();
  assert.deepEqual(state.missing, { [WAS]: 5 });
});
