/** Rule 15: a snapshot merged into a site, empty or not, leaves what applying all ops leaves. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import type { MetaStore } from '../../core/contracts/index.ts';
import { clockKey, trimmedKey } from '../../core/engine/keys.ts';
import { mergeInProgress } from '../../core/engine/merge-cut.ts';
import { decodeRecord, type ClockRecord } from '../../core/engine/records.ts';
import { bucketHistory, bucketSteps } from './bucket-histories.ts';
import { lockHistory, lockSteps } from './lock-histories.ts';
import { KEYS, keyHistories, mergeInto, restOf, someOf, spread } from './cut-support.ts';
import { applyInOrder, dump, memoryStore, storeAfter } from './support.ts';

async function clockOf(store: MetaStore): Promise<ClockRecord> {
  const [row] = await store.get([clockKey]);
  return decodeRecord<ClockRecord>(row as Uint8Array);
}

const plans = fc.record({
  write: fc.oneof(
    keyHistories,
    bucketSteps(50).map((plan) => () => bucketHistory(plan)),
    fc.tuple(lockSteps(50), fc.integer({ min: 1, max: 3 })).map(
      ([plan, keys]) =>
        async () =>
          spread(await lockHistory(plan), KEYS.slice(0, keys)),
    ),
  ),
  counts: fc.tuple(fc.nat(36), fc.nat(36)),
  picks: fc.tuple(fc.infiniteStream(fc.nat(1000)), fc.infiniteStream(fc.nat(1000))),
  sizes: fc.record({ pageEntities: fc.integer({ min: 1, max: 9 }), batchEntities: fc.integer({ min: 1, max: 9 }) }),
});

describe('merging a snapshot', () => {
  test('into an empty site: its state is the state of the site that served it, and the ops after it apply', async () => {
    await fc.assert(
      fc.asyncProperty(plans, async ({ write, counts, picks, sizes }) => {
        const ops = await write();
        const a = await storeAfter(someOf(ops, counts[0], picks[0]));
        const b = await memoryStore();
        await mergeInto(b, a, sizes);
        assert.equal(await dump(b), await dump(a));
        await applyInOrder(b, restOf(ops, (await clockOf(b)).vector));
        assert.equal(await dump(b), await dump(await storeAfter(ops)));
      }),
      { numRuns: 150 },
    );
  });

  test('into a site with a history of its own: its state is that of all ops of both', async () => {
    await fc.assert(
      fc.asyncProperty(plans, async ({ write, counts, picks, sizes }) => {
        const ops = await write();
        const [ofA, ofB] = [someOf(ops, counts[0], picks[0]), someOf(ops, counts[1], picks[1])];
        const [a, b] = [await storeAfter(ofA), await storeAfter(ofB)];
        await mergeInto(b, a, sizes);
        const both = ops.filter((op) => ofA.includes(op) || ofB.includes(op));
        assert.equal(await dump(b), await dump(await storeAfter(both)));
        await applyInOrder(b, restOf(ops, (await clockOf(b)).vector));
        assert.equal(await dump(b), await dump(await storeAfter(ops)));
      }),
      { numRuns: 400 },
    );
  });

  test('a transfer that breaks anywhere goes on where it was, or begins again with a later snapshot', async () => {
    await fc.assert(
      fc.asyncProperty(plans, fc.nat(12), fc.boolean(), async ({ write, counts, picks, sizes }, breaksAt, sameCut) => {
        const ops = await write();
        const [ofA, ofB] = [someOf(ops, counts[0], picks[0]), someOf(ops, counts[1], picks[1])];
        const [a, b] = [await storeAfter(ofA), await storeAfter(ofB)];
        const broken = await mergeInto(b, a, { ...sizes, cutId: 'first', breaksAt }).then(
          () => false,
          () => true,
        );
        assert.equal((await mergeInProgress({ metaStore: b })) !== undefined, broken);
        // what B hears meanwhile of what the snapshot does not cover
        const known = { ...(await clockOf(a).catch(() => undefined))?.vector };
        if (!sameCut) await applyInOrder(a, restOf(ops, known));
        await mergeInto(b, a, { ...sizes, cutId: sameCut ? 'first' : 'second' });
        assert.equal(await mergeInProgress({ metaStore: b }), undefined);
        const all = sameCut ? ops.filter((op) => ofA.includes(op) || ofB.includes(op)) : ops;
        assert.equal(await dump(b), await dump(await storeAfter(all)));
      }),
      { numRuns: 150 },
    );
  });

  test('vector and clock are those of both; the oplog is known to lack what the snapshot brought', async () => {
    await fc.assert(
      fc.asyncProperty(plans, async ({ write, counts, picks }) => {
        const ops = await write();
        const [ofA, ofB] = [someOf(ops, counts[0], picks[0]), someOf(ops, counts[1], picks[1])];
        fc.pre(ofA.length > 0);
        const [a, b] = [await storeAfter(ofA), await storeAfter(ofB)];
        const [clockOfA, clockOfB] = [await clockOf(a), await clockOf(b).catch(() => ({ hlc: '', vector: {} }))];
        await mergeInto(b, a);
        const merged = await clockOf(b);
        const [row] = await b.get([trimmedKey]);
        const trimmed = decodeRecord<Record<string, number>>(row as Uint8Array);
        assert.equal(merged.hlc, clockOfA.hlc > clockOfB.hlc ? clockOfA.hlc : clockOfB.hlc);
        assert.equal(merged.merging, undefined);
        for (const [origin, seq] of Object.entries(clockOfA.vector)) {
          const had = clockOfB.vector[origin as keyof typeof clockOfB.vector] ?? 0;
          assert.equal(merged.vector[origin], Math.max(seq, had));
          assert.equal(trimmed[origin] ?? 0, seq > had ? seq : 0);
        }
      }),
      { numRuns: 100 },
    );
  });
});
