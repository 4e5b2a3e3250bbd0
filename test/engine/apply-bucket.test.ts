import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import type { MetaStore, Op, OpBody } from '../../core/contracts/index.ts';
import { bucketKey, counterKey } from '../../core/engine/keys.ts';
import { decodeRecord, type BucketRecord, type CounterRecord } from '../../core/engine/records.ts';
import {
  BUCKETS,
  bucketHistory,
  bucketSteps,
  expectedBucket,
  hasContent,
  type ExpectedBucket,
} from './bucket-histories.ts';
import { MiniSite, causalOrders, someOrder } from './mini-site.ts';
import { dump, storeAfter, versionPut } from './support.ts';

async function bucketOf(store: MetaStore, bucket: string): Promise<ExpectedBucket | undefined> {
  const [row] = await store.get([bucketKey(bucket)]);
  if (!row) return undefined;
  const { owner, objectLock, settings } = decodeRecord<BucketRecord>(row);
  const set = Object.entries(settings).flatMap(([name, { value }]) => (value === null ? [] : [[name, value]]));
  return { owner, objectLock: objectLock === true, settings: Object.fromEntries(set) };
}

const create = (owner: string): OpBody => ({ type: 'bucket.create', bucket: 'b', owner, createdAtMs: 1 });
const remove: OpBody = { type: 'bucket.remove', bucket: 'b' };
const policy = (value: string): OpBody => ({ type: 'bucket.setting', bucket: 'b', name: 'policy', value });
const put = (key: string): OpBody => versionPut(key, { bucket: 'b' });

/** Two sites that have both seen `before`, and then write unseen by each other. */
async function apart(before: OpBody): Promise<{ readonly a: MiniSite; readonly b: MiniSite; readonly first: Op }> {
  const [a, b] = [await MiniSite.open('a'), await MiniSite.open('b')];
  const first = await a.write(before);
  await b.pull([first], a);
  return { a, b, first };
}

/** What each causal order leaves; all must agree. */
async function inEveryOrder(ops: readonly Op[]): Promise<ExpectedBucket | undefined> {
  const stores = await Promise.all([...causalOrders(ops)].map(storeAfter));
  const texts = new Set(await Promise.all(stores.map(dump)));
  assert.equal(texts.size, 1, 'every order gives the same state');
  return bucketOf(stores[0] as MetaStore, 'b');
}

describe('buckets', () => {
  test('rules 8 and 9: what exists, who owns it and what is set follow from the set of ops, in two different orders', async () => {
    await fc.assert(
      fc.asyncProperty(bucketSteps(40), fc.infiniteStream(fc.nat(1000)), async (plan, picks) => {
        const ops = await bucketHistory(plan);
        const store = await storeAfter(ops);
        const other = await storeAfter(someOrder(ops, picks));
        assert.equal(await dump(other), await dump(store));
        for (const bucket of BUCKETS)
          assert.deepEqual(await bucketOf(store, bucket), expectedBucket(ops, bucket), bucket);
      }),
      { numRuns: 400 },
    );
  });

  test('rule 8: a bucket without content has no counters, one with content has', async () => {
    await fc.assert(
      fc.asyncProperty(bucketSteps(40), async (plan) => {
        const ops = await bucketHistory(plan);
        const store = await storeAfter(ops);
        for (const bucket of BUCKETS) {
          const [row] = await store.get([counterKey(bucket)]);
          assert.equal(
            row !== undefined,
            hasContent(ops, bucket),
            row && JSON.stringify(decodeRecord<CounterRecord>(row)),
          );
        }
      }),
      { numRuns: 200 },
    );
  });

  test('rule 8: a version that the removal has not seen revives the bucket as it was', async () => {
    const { a, b, first } = await apart(create('ann'));
    const set = await a.write(policy('p'));
    await b.pull([first, set], a);
    const removal = await a.write(remove);
    const version = await b.write(put('k'));
    assert.deepEqual(await inEveryOrder([first, set, removal, version]), {
      owner: 'ann',
      objectLock: false,
      settings: { policy: 'p' },
    });
  });

  test('rule 8: a version that lost to a deletion which had not seen it revives the bucket too', async () => {
    const { a, b, first } = await apart(create('ann'));
    const version = await b.write(put('k'));
    const deletion = await a.write({ type: 'version.remove', bucket: 'b', key: 'k', target: null }, 1000);
    const removal = await a.write(remove);
    assert.equal((await inEveryOrder([first, version, deletion, removal]))?.owner, 'ann');
  });

  test('rule 8: a setting that the removal has not seen revives the bucket, and survives', async () => {
    const { a, b, first } = await apart(create('ann'));
    const removal = await a.write(remove);
    const set = await b.write(policy('p'));
    assert.deepEqual((await inEveryOrder([first, removal, set]))?.settings, { policy: 'p' });
  });

  test('rule 8: a revived bucket ends with the last of what revived it', async () => {
    const { a, b, first } = await apart(create('ann'));
    const removal = await a.write(remove);
    const version = await b.write(put('k'));
    const deletion = await b.write({ type: 'version.remove', bucket: 'b', key: 'k', target: null });
    assert.equal(await inEveryOrder([first, removal, version, deletion]), undefined);
  });

  test('rule 8: a bucket created anew after its removal is a new one', async () => {
    const { a, first } = await apart(create('ann'));
    const ops = [first, await a.write(policy('p')), await a.write(remove), await a.write(create('bob'))];
    assert.deepEqual(await inEveryOrder(ops), { owner: 'bob', objectLock: false, settings: {} });
  });

  test('rule 8: a bucket that was created anew and is revived is the new one, without what was set before', async () => {
    const { a, b, first } = await apart(create('ann'));
    const before = [await a.write(policy('p')), await a.write(remove), await a.write(create('bob'))];
    await b.pull([first, ...before], a);
    const after = [await a.write(remove), await b.write(put('k'))];
    assert.deepEqual(await inEveryOrder([first, ...before, ...after]), {
      owner: 'bob',
      objectLock: false,
      settings: {},
    });
  });

  test('rule 9: created on two sites it is one bucket of the first creator, with the settings of both', async () => {
    const [a, b] = [await MiniSite.open('a'), await MiniSite.open('b')];
    const ops = [
      await a.write(create('ann')),
      await a.write({ type: 'bucket.setting', bucket: 'b', name: 'cors', value: 'c' }),
      await b.write({ ...create('bob'), objectLock: true } as OpBody, 1000),
      await b.write(policy('p'), 1000),
    ];
    assert.deepEqual(await inEveryOrder(ops), {
      owner: 'ann',
      objectLock: true,
      settings: { cors: 'c', policy: 'p' },
    });
  });

  test('rule 9: a removal ends the creation that it has seen, the other one stays', async () => {
    const [a, b] = [await MiniSite.open('a'), await MiniSite.open('b')];
    const ops = [await a.write(create('ann')), await a.write(policy('p')), await a.write(remove)];
    const other = await b.write(create('bob'), 1000);
    assert.deepEqual(await inEveryOrder([...ops, other]), { owner: 'bob', objectLock: false, settings: {} });
  });
});
