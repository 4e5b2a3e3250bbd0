import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCommitter } from '../../core/engine/committer.ts';
import { ledgerSyncs } from '../../core/engine/sync-ledger.ts';
import { nodeTimers } from '../../core/kernel/runtime/timers.ts';
import { FakeChunkStore, FakeMetaStore, silentLogger } from './fake-stores.ts';

test('an intent is answered, whatever the moment at which it comes after the last one', async () => {
  const committer = createCommitter({
    metaStore: new FakeMetaStore(),
    chunkStore: ledgerSyncs(new FakeChunkStore()),
    clock: { wallMs: () => 1, monotonicMs: () => 1 },
    timers: nodeTimers,
    logger: silentLogger,
    origin: 'waw.0123456789abcdef',
    onCommitted: () => {},
    maxClockDriftMs: 60_000,
  });
  const answered: number[] = [];
  // a committer that is just going idle has a gap of a few microtasks in which it must not forget anybody
  for (let turns = 0; turns < 12; turns++) {
    await committer.commit({ reads: {}, appended: [], decide: () => turns });
    for (let i = 0; i < turns; i++) await Promise.resolve();
    answered.push(await committer.commit({ reads: {}, appended: [], decide: () => turns }));
  }
  assert.deepEqual(
    answered,
    Array.from({ length: 12 }, (_, i) => i),
  );
  await committer.close();
});
