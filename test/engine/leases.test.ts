/** Rule 14: what a peer may still ask for stays, and a log that was trimmed answers "gap", also while it is being read. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { MetaReader, Op } from '../../core/contracts/index.ts';
import { oplogPrefix, trimmedKey, tupleRange } from '../../core/engine/keys.ts';
import { createLeases } from '../../core/engine/leases.ts';
import { createDamage } from '../../core/engine/damage.ts';
import { serveOps } from '../../core/engine/replica-ops.ts';
import { createReclaimer } from '../../core/engine/reclaim.ts';
import { ledgerSyncs } from '../../core/engine/sync-ledger.ts';
import { transact } from '../../core/engine/txn.ts';
import { createNodeHashing } from '../../core/kernel/runtime/hashing.ts';
import { committerOf } from './cut-support.ts';
import { FakeChunkStore, silentLogger } from './fake-stores.ts';
import { Author, applyInOrder, memoryStore } from './support.ts';

const BER = 'ber.fedcba9876543210';
const LON = 'lon.fedcba9876543210';

describe('leases', () => {
  test('one that ran out is worth nothing, and is forgotten when the next one is granted', async () => {
    const metaStore = await memoryStore();
    const clock = { wallMs: 1000 };
    const time = { wallMs: () => clock.wallMs, monotonicMs: () => clock.wallMs };
    const committer = committerOf(metaStore, 'waw.0123456789abcdef', { clock: time });
    const leases = createLeases({ committer });
    await leases.renew(BER, { [BER]: 1 }, 500);
    clock.wallMs += 500;
    assert.deepEqual(await leases.list(), []);
    assert.equal((await metaStore.scan({ space: 'peers', limit: 10 })).length, 1);
    await leases.renew(LON, {}, 500);
    assert.equal((await metaStore.scan({ space: 'peers', limit: 10 })).length, 1);
    assert.deepEqual(
      (await leases.list()).map(({ peer }) => peer),
      [LON],
    );
    await committer.close();
  });
});

describe('ops that are trimmed while they are read', () => {
  test('are a gap: what was left of them is not given for all', async () => {
    const metaStore = await memoryStore();
    const author = new Author('waw');
    const ops = Array.from({ length: 4 }, (_, i): Op =>
      author.write({ type: 'bucket.create', bucket: `bucket-${i}`, owner: 'o', createdAtMs: 1 }, 1000 + i),
    );
    await applyInOrder(metaStore, ops);
    const [{ dot }] = ops as [Op];
    /** Trims between the look at the trim point and the look at the rows. */
    const trimming: MetaReader = {
      get: (keys) => metaStore.get(keys),
      async scan(range) {
        const gone = await metaStore.scan({ space: 'oplog', ...tupleRange(oplogPrefix(dot.origin)), limit: 2 });
        await transact(metaStore, {}, (txn) => {
          for (const { key } of gone) txn.remove({ space: 'oplog', key });
          txn.put(trimmedKey, { [dot.origin]: 2 });
        });
        return metaStore.scan(range);
      },
    };
    const { hashing, close } = createNodeHashing();
    const chunkStore = ledgerSyncs(new FakeChunkStore());
    const reclaimer = createReclaimer({ chunkStore, logger: silentLogger });
    const committer = committerOf(metaStore, dot.origin);
    const deps = {
      reader: trimming,
      committer,
      chunkStore,
      hashing,
      reclaimer,
      damage: createDamage(),
      origin: dot.origin,
    };
    const page = await serveOps(deps).opsAfter({}, { maxOps: 10, maxBytes: 1e6 });
    assert.deepEqual(page, { kind: 'gap', origin: dot.origin, trimmedTo: 2 });
    await committer.close();
    await close();
  });
});
