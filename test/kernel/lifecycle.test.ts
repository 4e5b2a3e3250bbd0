/** Open in order, close in reverse, and leave nothing open or unreported. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SkerryError } from '../../core/contracts/index.ts';
import { createLifecycle } from '../../core/kernel/lifecycle.ts';
import { memoryLogger } from './fixtures/logger.ts';
import { recording } from './fixtures/plugins.ts';

const { logger } = memoryLogger();

describe('lifecycle', () => {
  test('opens in order and closes in reverse', async () => {
    const events: string[] = [];
    const lifecycle = createLifecycle(
      ['a', 'b', 'c'].map((name) => ({ name, part: recording(name, events) })),
      logger,
    );
    await lifecycle.open();
    await lifecycle.close();
    assert.deepEqual(events, ['open a', 'open b', 'open c', 'close c', 'close b', 'close a']);
  });

  test('a failed open closes those before it, in reverse, and keeps the code', async () => {
    const events: string[] = [];
    const cause = new SkerryError('OutOfSpace', 'disk full', { details: { path: 'p' } });
    const steps = [
      { name: 'a', part: recording('a', events) },
      { name: 'b', part: recording('b', events, { close: new Error('b stuck') }) },
      { name: 'c', part: recording('c', events, { open: cause }) },
      { name: 'd', part: recording('d', events) },
    ];
    await assert.rejects(createLifecycle(steps, logger).open(), (error: SkerryError) => {
      assert.equal(error.code, 'OutOfSpace');
      assert.equal(error.message, 'c did not open: disk full; b did not close: b stuck');
      assert.equal(error.details['part'], 'c');
      assert.equal(error.details['path'], 'p');
      assert.equal((error.cause as AggregateError).errors[0], cause);
      return true;
    });
    assert.deepEqual(events, ['open a', 'open b', 'open c', 'close b', 'close a']);
  });

  test('closing goes on over failures and reports all of them', async () => {
    const events: string[] = [];
    const steps = [
      { name: 'a', part: recording('a', events, { close: new Error('first') }) },
      { name: 'b', part: recording('b', events) },
      { name: 'c', part: recording('c', events, { close: new SkerryError('Io', 'second') }) },
    ];
    const lifecycle = createLifecycle(steps, logger);
    await lifecycle.open();
    await assert.rejects(lifecycle.close(), { code: 'Io', message: 'c did not close: second; a did not close: first' });
    assert.deepEqual(events.slice(3), ['close c', 'close b', 'close a']);
  });

  test('close is idempotent, shared by concurrent calls, and fine before open', async () => {
    const events: string[] = [];
    const lifecycle = createLifecycle([{ name: 'a', part: recording('a', events) }], logger);
    await lifecycle.open();
    await Promise.all([lifecycle.close(), lifecycle.close()]);
    await lifecycle.close();
    assert.deepEqual(events, ['open a', 'close a']);
    const unopened = createLifecycle([{ name: 'a', part: recording('a', events) }], logger);
    await unopened.close();
    await assert.rejects(unopened.open(), { code: 'Closed' });
  });
});
