/** What is closed while it opens: nothing of it stays open. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { createLifecycle } from '../../core/kernel/lifecycle.ts';
import { memoryLogger } from './fixtures/logger.ts';
import { recording } from './fixtures/plugins.ts';

const { logger } = memoryLogger();

/** `a` opens, then `b` when it is let; `c` would be next. */
function opening(events: string[], fail: { readonly open?: Error } = {}) {
  const held = Promise.withResolvers<void>();
  const b = recording('b', events, fail);
  const slow = { open: () => held.promise.then(() => b.open()), close: () => b.close() };
  const steps = [
    { name: 'a', part: recording('a', events) },
    { name: 'b', part: slow },
    { name: 'c', part: recording('c', events) },
  ];
  return { lifecycle: createLifecycle(steps, logger), release: () => held.resolve() };
}

describe('parts that are closed while they open', () => {
  test('are all closed when close resolves', async () => {
    const events: string[] = [];
    const { lifecycle, release } = opening(events);
    const opened = lifecycle.open();
    const closed = lifecycle.close().then(() => events.push('closed'));
    release();
    await Promise.all([opened, closed]);
    assert.deepEqual(events, ['open a', 'open b', 'open c', 'close c', 'close b', 'close a', 'closed']);
  });

  test('are closed too where one fails to open, and that is told by open alone', async () => {
    const events: string[] = [];
    const { lifecycle, release } = opening(events, { open: new Error('no room') });
    const opened = assert.rejects(lifecycle.open(), /no room/);
    const closed = lifecycle.close();
    release();
    await Promise.all([opened, closed]);
    assert.deepEqual(events, ['open a', 'open b', 'close a']);
  });
});
