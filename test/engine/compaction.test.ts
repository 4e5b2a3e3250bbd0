/** Moving what stands in the way of freed space takes as long as it takes: it must not pin what the meta-store had at its start. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { StoredRecord } from '../../core/contracts/index.ts';
import { nodeTimers } from '../../core/kernel/runtime/timers.ts';
import { MemoryChunkStore } from '../../plugins/chunks-memory/store.ts';
import { put } from './exchange.ts';
import { noise, readAll, wholeSite } from './whole-site.ts';

/** Says of every record that it stands in the way. */
class SparseChunkStore extends MemoryChunkStore {
  async *sparse(): AsyncGenerator<readonly StoredRecord[]> {
    for await (const batch of this.scan()) yield batch.filter(({ kind }) => kind !== 'op');
  }
}

describe('compaction', () => {
  test('of small bodies and chunks moves them all, with no snapshot open while it commits or pauses', async () => {
    let [open, openMax] = [0, 0];
    const timers = {
      ...nodeTimers,
      soon(run: () => void) {
        openMax = Math.max(openMax, open);
        nodeTimers.soon(run);
      },
    };
    const chunkStore = new SparseChunkStore({ capacityBytes: 0 });
    await using site = await wholeSite({ timers, chunkStore, chunkBytes: 1000, dedupMinBytes: 500 });
    const bodies = Array.from({ length: 300 }, (_, at) => noise(100 + (at % 2) * 900, at + 1));
    for (const [at, bytes] of bodies.entries()) await put(site, `k${at}`, bytes);
    const snapshot = site.metaStore.snapshot.bind(site.metaStore);
    site.metaStore.snapshot = async () => {
      const taken = await snapshot();
      open++;
      return {
        get: (keys) => taken.get(keys),
        scan: (range) => taken.scan(range),
        async [Symbol.asyncDispose]() {
          open--;
          await taken[Symbol.asyncDispose]();
        },
      };
    };
    const { moved } = await site.engine.space.gcRun();
    assert.equal(moved.records, bodies.length);
    assert.equal(openMax, 0);
    for (const [at, bytes] of bodies.entries()) assert.deepEqual(await readAll(site.objects, `k${at}`), bytes);
  });
});
