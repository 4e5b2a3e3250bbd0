/** Bodies that come with ops: those of ops that were applied are kept, whatever becomes of the others. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SkerryError, type Locator } from '../../core/contracts/index.ts';
import { MemoryChunkStore } from '../../plugins/chunks-memory/store.ts';
import { put } from './exchange.ts';
import { noise, readAll, wholeSite } from './whole-site.ts';

/** Fails to free so many times, as a disk that fails for a moment does. */
class BreakingChunkStore extends MemoryChunkStore {
  failures = 0;

  override async free(locators: readonly Locator[]): Promise<void> {
    if (this.failures === 0) return super.free(locators);
    this.failures--;
    throw new SkerryError('Io', 'the disk failed');
  }
}

describe('a batch of ops', () => {
  test('of which some are known keeps the bodies of the others, also when giving back fails', async () => {
    const chunkStore = new BreakingChunkStore({ capacityBytes: 0 });
    await using a = await wholeSite({ siteId: 'a' });
    await using b = await wholeSite({ siteId: 'b', chunkStore });
    await put(a, 'known', noise(100, 1));
    const { vector } = await b.engine.replica.cut();
    const all = async () => {
      const page = await a.engine.replica.opsAfter(vector, { maxOps: 100, maxBytes: 1_000_000 });
      assert.ok(page.kind === 'ops');
      return page.ops;
    };
    await b.engine.replica.apply(await all());
    await put(a, 'new', noise(100, 2));
    chunkStore.failures = 1;
    await b.engine.replica.apply(await all());
    assert.deepEqual(await readAll(b.objects, 'new'), noise(100, 2));
    assert.deepEqual(await readAll(b.objects, 'known'), noise(100, 1));
    assert.equal(chunkStore.failures, 0, 'the known body was to be given back');
  });
});
