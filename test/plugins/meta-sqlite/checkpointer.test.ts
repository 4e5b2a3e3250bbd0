/** When the log is copied back, and how far each round goes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Logger } from '../../../core/contracts/index.ts';
import { Checkpointer } from '../../../plugins/meta-sqlite/checkpointer.ts';
import type { CheckpointResult } from '../../../plugins/meta-sqlite/sqlite-adapter.ts';
import { silentLogger } from '../../support/plugin-deps.ts';

const PAGE = 4096;
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const frames = (logFrames: number, doneFrames = logFrames): CheckpointResult => ({ logFrames, doneFrames });

/** A checkpointer that is due every 100 pages, whose passes answer `results` in turn; `seen` is what it did. */
function scripted(results: readonly (CheckpointResult | Error)[]) {
  const seen: string[] = [];
  const logger: Logger = { ...silentLogger, warn: (_fields, message) => seen.push(`warn: ${message}`) };
  let next = 0;
  const checkpointer = new Checkpointer({
    pass: async () => {
      const result = results[next++] ?? frames(0);
      seen.push('pass');
      if (result instanceof Error) throw result;
      return result;
    },
    sync: async () => void seen.push('sync'),
    finish: () => (seen.push('finish'), frames(0)),
    logger,
    checkpointBytes: 100 * PAGE,
  });
  return { checkpointer, seen };
}

test('a round begins when enough was written, and not before', async () => {
  const { checkpointer, seen } = scripted([frames(100)]);
  for (let commit = 0; commit < 99; commit++) checkpointer.wrote(PAGE);
  await settled();
  assert.deepEqual(seen, []);
  checkpointer.wrote(PAGE);
  await settled();
  assert.deepEqual(seen, ['pass']);
  checkpointer.wrote(99 * PAGE);
  await settled();
  assert.deepEqual(seen, ['pass'], 'what the round has copied is not owed again');
});

test('one round runs at a time; what was written meanwhile counts for the next', async () => {
  const { checkpointer, seen } = scripted([frames(100), frames(100)]);
  checkpointer.wrote(100 * PAGE);
  checkpointer.wrote(100 * PAGE);
  await settled();
  assert.deepEqual(seen, ['pass']);
  checkpointer.wrote(1);
  await settled();
  assert.deepEqual(seen, ['pass', 'pass']);
});

test('a long log is synced, copied until little is left, and finished', async () => {
  const { checkpointer, seen } = scripted([frames(5000), frames(7000), frames(7400)]);
  checkpointer.wrote(100 * PAGE);
  await settled();
  assert.deepEqual(seen, ['pass', 'sync', 'pass', 'sync', 'pass', 'finish']);
});

test('a log that never runs low is finished all the same', async () => {
  const { checkpointer, seen } = scripted(Array.from({ length: 20 }, (_, index) => frames(5000 * (index + 1))));
  checkpointer.wrote(100 * PAGE);
  await settled();
  assert.equal(seen.at(-1), 'finish');
  assert.equal(seen.filter((what) => what === 'pass').length, 5);
});

test('a log that a snapshot pins is left until later', async () => {
  for (const results of [[frames(5000, 10)], [frames(5000), frames(5600, 5000)]]) {
    const { checkpointer, seen } = scripted(results);
    checkpointer.wrote(100 * PAGE);
    await settled();
    assert.ok(!seen.includes('finish'));
  }
});

test('a failed round is logged and the next one tries again', async () => {
  const { checkpointer, seen } = scripted([new Error('disk'), frames(100)]);
  for (let round = 0; round < 2; round++) {
    checkpointer.wrote(100 * PAGE);
    await settled();
  }
  assert.deepEqual(seen, ['pass', 'warn: checkpoint of the write-ahead log failed', 'pass']);
});

test('close waits for the round that runs and no other begins', async () => {
  const { checkpointer, seen } = scripted([frames(5000)]);
  checkpointer.wrote(100 * PAGE);
  await checkpointer.close();
  assert.deepEqual(seen, ['pass', 'sync', 'pass'].slice(0, seen.length));
  const before = seen.length;
  checkpointer.wrote(1000 * PAGE);
  await settled();
  assert.equal(seen.length, before);
});
