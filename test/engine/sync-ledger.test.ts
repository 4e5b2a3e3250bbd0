import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SkerryError, type ChunkRecord, type ChunkStore } from '../../core/contracts/index.ts';
import { createCommitter } from '../../core/engine/committer.ts';
import { ledgerSyncs } from '../../core/engine/sync-ledger.ts';
import { createNodeRuntime } from '../../core/kernel/runtime/index.ts';
import { MemoryChunkStore } from '../../plugins/chunks-memory/store.ts';
import { silentLogger } from '../support/plugin-deps.ts';
import { memoryStore } from './support.ts';

const record: ChunkRecord = { kind: 'data', hash: `sha256:${'ab'.repeat(32)}`, data: [Buffer.from('x')] };

/** A chunk-store whose next sync fails, once. */
async function failingOnce(): Promise<{ readonly store: ChunkStore; fail(): void }> {
  const inner = new MemoryChunkStore({ capacityBytes: 1_000_000 });
  await inner.open();
  let failing = false;
  inner.sync = async () => {
    if (!failing) return;
    failing = false;
    throw new SkerryError('Io', 'fdatasync failed');
  };
  return { store: inner, fail: () => (failing = true) };
}

describe('records whose sync failed', () => {
  test('stay lost although a later sync succeeds, until they are freed', async () => {
    const { store, fail } = await failingOnce();
    const ledger = ledgerSyncs(store);
    const [before] = await ledger.append([record]);
    await ledger.sync();
    const [during] = await ledger.append([record]);
    fail();
    await assert.rejects(ledger.sync(), { code: 'Io' });
    const [after] = await ledger.append([record]);
    await ledger.sync();
    const lost = [before, during, after].map((locator) => ledger.isLost(locator as string));
    assert.deepEqual(lost, [false, true, false]);
    await ledger.free([during as string]);
    assert.equal(ledger.isLost(during as string), false);
  });

  test('are lost, too, when they were being appended while the sync failed', async () => {
    const { store, fail } = await failingOnce();
    const written = Promise.withResolvers<void>();
    const append = store.append.bind(store);
    store.append = async (records) => {
      const locators = await append(records);
      await written.promise;
      return locators;
    };
    const ledger = ledgerSyncs(store);
    const appending = ledger.append([record]);
    fail();
    await assert.rejects(ledger.sync(), { code: 'Io' });
    written.resolve();
    const [during] = await appending;
    await ledger.sync();
    assert.equal(ledger.isLost(during as string), true);
    const [after] = await ledger.append([record]);
    assert.equal(ledger.isLost(after as string), false);
  });

  test('refuse the write that relies on them, however much later it commits', async () => {
    const { store, fail } = await failingOnce();
    const ledger = ledgerSyncs(store);
    const { runtime } = createNodeRuntime(silentLogger);
    const metaStore = await memoryStore();
    const committer = createCommitter({
      ...runtime,
      metaStore,
      chunkStore: ledger,
      origin: 'a.0',
      maxClockDriftMs: 60_000,
      onCommitted: () => {},
    });
    const commit = (appended: readonly string[]): Promise<string> =>
      committer.commit({ reads: {}, appended, decide: () => 'committed' });
    const early = await ledger.append([record]);
    fail();
    const other = await ledger.append([record]);
    await assert.rejects(commit(other), { code: 'Io' });
    await assert.rejects(commit(early), { code: 'Io', retryable: true });
    assert.equal(await commit(await ledger.append([record])), 'committed');
    assert.equal(await commit([]), 'committed');
    await committer.close();
  });
});
