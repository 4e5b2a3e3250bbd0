/** Hooks: facts are told, vetoes are asked; a site's listeners are its own. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SkerryError, type BeforeWrite, type Committed } from '../../core/contracts/index.ts';
import { createHooks } from '../../core/kernel/hooks.ts';
import { memoryLogger } from './fixtures/logger.ts';

const WRITE: BeforeWrite = { action: 'object.put', bucket: 'b', key: 'k', userId: 'u' };
const COMMITTED: Committed = { ops: [] };

describe('facts', () => {
  test('a listener that throws is reported, the others hear, the caller does not notice', () => {
    const { logger, entries } = memoryLogger();
    const hooks = createHooks(logger);
    const heard: string[] = [];
    hooks.facade.onFact('committed', 'first', () => heard.push('first'));
    hooks.facade.onFact('committed', 'broken', () => {
      throw new Error('boom');
    });
    hooks.facade.onFact('committed', 'second', () => heard.push('second'));
    hooks.committed({ ...COMMITTED });
    assert.deepEqual(heard, ['first', 'second']);
    assert.equal(entries.length, 1);
    assert.deepEqual([entries[0]?.fields['listener'], entries[0]?.level], ['broken', 'error']);
  });

  test('an async listener that rejects is reported as well', async () => {
    const { logger, entries } = memoryLogger();
    const hooks = createHooks(logger);
    const late = async (): Promise<void> => {
      throw new Error('late');
    };
    hooks.facade.onFact('committed', 'async', () => late() as unknown as void);
    hooks.committed({ ...COMMITTED });
    await Promise.resolve();
    await Promise.resolve();
    assert.equal(entries[0]?.fields['listener'], 'async');
  });

  test('stages order the listeners', () => {
    const hooks = createHooks(memoryLogger().logger);
    const heard: string[] = [];
    hooks.facade.onFact('committed', 'c', () => heard.push('last'), 'last');
    hooks.facade.onFact('committed', 'b', () => heard.push('normal'));
    hooks.facade.onFact('committed', 'a', () => heard.push('first'), 'first');
    hooks.committed({ ...COMMITTED });
    assert.deepEqual(heard, ['first', 'normal', 'last']);
  });

  test('the record is frozen', () => {
    const hooks = createHooks(memoryLogger().logger);
    hooks.facade.onFact('committed', 'a', (record) => assert.ok(Object.isFrozen(record)));
    hooks.committed({ ...COMMITTED });
  });
});

describe('vetoes', () => {
  test('each is awaited before the next, and the first refusal ends it', async () => {
    const hooks = createHooks(memoryLogger().logger);
    const asked: string[] = [];
    const { promise: gate, resolve: openGate } = Promise.withResolvers<void>();
    hooks.facade.onVeto('beforeWrite', 'slow', async () => {
      asked.push('slow begins');
      await gate;
      asked.push('slow ends');
    });
    hooks.facade.onVeto('beforeWrite', 'no', async () => {
      asked.push('no');
      throw new SkerryError('AccessDenied', 'not today');
    });
    hooks.facade.onVeto('beforeWrite', 'never', async () => void asked.push('never'));
    const outcome = hooks.beforeWrite(WRITE);
    assert.deepEqual(asked, ['slow begins']);
    openGate();
    await assert.rejects(async () => outcome, { code: 'AccessDenied' });
    assert.deepEqual(asked, ['slow begins', 'slow ends', 'no']);
  });

  test('a listener that throws before its first await refuses too', async () => {
    const hooks = createHooks(memoryLogger().logger);
    hooks.facade.onVeto('beforeWrite', 'sync', () => {
      throw new SkerryError('TooLarge', 'too large');
    });
    await assert.rejects(async () => hooks.beforeWrite(WRITE), { code: 'TooLarge' });
  });

  test('nobody listens: nothing to wait for', () => {
    const hooks = createHooks(memoryLogger().logger);
    assert.equal(hooks.beforeWrite(WRITE), undefined);
    assert.equal(hooks.isUsed('beforeWrite'), false);
    hooks.facade.onVeto('beforeWrite', 'one', async () => {});
    assert.equal(hooks.isUsed('beforeWrite'), true);
    assert.equal(hooks.isUsed('committed'), false);
  });
});

describe('the facade', () => {
  test('is sealed after the start', () => {
    const hooks = createHooks(memoryLogger().logger);
    hooks.seal();
    assert.throws(() => hooks.facade.onFact('committed', 'late', () => {}), { code: 'Closed' });
    assert.throws(() => hooks.facade.onVeto('beforeWrite', 'late', async () => {}), { code: 'Closed' });
  });

  test('cannot call a hook', () => {
    const { facade } = createHooks(memoryLogger().logger);
    assert.deepEqual(Object.keys(facade).sort(), ['onFact', 'onVeto']);
    assert.ok(Object.isFrozen(facade));
  });

  test('belongs to one site', () => {
    const [one, other] = [createHooks(memoryLogger().logger), createHooks(memoryLogger().logger)];
    let heard = 0;
    one.facade.onFact('committed', 'one', () => heard++);
    other.committed({ ...COMMITTED });
    assert.equal(heard, 0);
  });
});
