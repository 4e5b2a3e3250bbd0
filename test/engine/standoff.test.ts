/** Rule 15: two sites, each half filled with the other's snapshot, come apart when one of them takes what the other has. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { MetaStore, VersionVector } from '../../core/contracts/index.ts';
import { clockKey } from '../../core/engine/keys.ts';
import { mergeInProgress } from '../../core/engine/merge-cut.ts';
import { decodeRecord, type ClockRecord } from '../../core/engine/records.ts';
import { openCut } from '../../core/engine/snapshot.ts';
import { bucketHistory, bucketSteps } from './bucket-histories.ts';
import { keyHistories, mergeFrom, mergeInto, restOf, someOf, sourceOf } from './cut-support.ts';
import { lockHistory, lockSteps } from './lock-histories.ts';
import { applyInOrder, dump, storeAfter } from './support.ts';

async function vectorOf(store: MetaStore): Promise<VersionVector> {
  const [row] = await store.get([clockKey]);
  return row ? decodeRecord<ClockRecord>(row).vector : {};
}

const plans = fc.record({
  write: fc.oneof(
    keyHistories,
    bucketSteps(50).map((plan) => () => bucketHistory(plan)),
    lockSteps(50).map((plan) => () => lockHistory(plan)),
  ),
  counts: fc.tuple(fc.nat(36), fc.nat(36)),
  picks: fc.tuple(fc.infiniteStream(fc.nat(1000)), fc.infiniteStream(fc.nat(1000))),
  breaks: fc.tuple(fc.nat(6), fc.nat(6)),
  pageEntities: fc.integer({ min: 1, max: 5 }),
});

const isHalf = async (store: MetaStore): Promise<boolean> =>
  (await mergeInProgress({ metaStore: store })) !== undefined;

test('what a half filled site is filled with tells nothing new to whoever has all of it: both end with all ops', async () => {
  let standoffs = 0;
  await fc.assert(
    fc.asyncProperty(plans, async ({ write, counts, picks, breaks, pageEntities }) => {
      const ops = await write();
      const [ofA, ofB] = [someOf(ops, counts[0], picks[0]), someOf(ops, counts[1], picks[1])];
      const [a, b] = [await storeAfter(ofA), await storeAfter(ofB)];
      await using fromB = await sourceOf(b, { cutId: 'of-b', pageEntities, breaksAt: breaks[0] });
      await using fromA = await sourceOf(a, { cutId: 'of-a', pageEntities, breaksAt: breaks[1] });
      await mergeFrom(a, fromB, { batchEntities: 2 }).catch(() => undefined);
      await mergeFrom(b, fromA, { batchEntities: 2 }).catch(() => undefined);
      fc.pre(ofA.length > 0 && ofB.length > 0 && (await isHalf(a)) && (await isHalf(b)));
      standoffs++;
      await assert.rejects(openCut(a), { code: 'Unavailable', details: { reason: 'merging' } });
      await mergeInto(b, a, { cutId: 'half', knows: await vectorOf(b), pageEntities });
      await mergeInto(a, b, { cutId: 'whole', pageEntities });
      const both = await dump(await storeAfter(ops.filter((op) => ofA.includes(op) || ofB.includes(op))));
      assert.equal(await dump(b), both);
      assert.equal(await dump(a), both);
      await applyInOrder(b, restOf(ops, await vectorOf(b)));
      assert.equal(await dump(b), await dump(await storeAfter(ops)));
    }),
    { numRuns: 120, seed: 7 },
  );
  assert.ok(standoffs > 30, `${standoffs} standoffs`);
});
