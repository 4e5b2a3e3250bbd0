/** Rule 8: bucket deletion removes only what it saw. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { put } from '../engine/exchange.ts';
import { BUCKET, type WholeSite } from '../engine/whole-site.ts';
import { meet, pass, pull, read, setBucket, sites } from './support.ts';

async function bucketNames({ objects }: WholeSite): Promise<readonly string[]> {
  return (await objects.listBuckets({ limit: 10 })).entries.map(({ name }) => name);
}

describe('rule 8: a removal of a bucket removes only what it saw', () => {
  for (const [when, ms] of [
    ['later', 1000],
    ['earlier', -1000],
  ] as const)
    test(`bucket delete vs unseen PUT: an acknowledged write keeps the bucket, also when the removal is ${when}`, async () => {
      await using world = await sites();
      const { a, b } = world;
      pass(5000, a, b);
      await put(a, 'k', 'acknowledged');
      pass(ms, b);
      await b.objects.deleteBucket(BUCKET);
      await pull(b, a);
      assert.deepEqual([await bucketNames(a), await read(a, 'k')], [[BUCKET], 'acknowledged']);
      await meet(a, b);
      assert.deepEqual([await bucketNames(b), await read(b, 'k')], [[BUCKET], 'acknowledged']);
    });

  test('a setting that the removal has not seen keeps it too, and what the removal has seen of settings holds', async () => {
    await using world = await sites();
    const { a, b } = world;
    await setBucket(a, 'policy', 'seen');
    await meet(a, b);
    await setBucket(a, 'cors', 'unseen');
    await b.objects.deleteBucket(BUCKET);
    await meet(a, b);
    assert.deepEqual((await b.objects.getBucket(BUCKET)).settings, { policy: 'seen', cors: 'unseen' });
  });

  test('a creation that the removal has not seen keeps it', async () => {
    await using world = await sites();
    const { a, b, c } = world;
    await a.objects.deleteBucket(BUCKET);
    await meet(a, b);
    assert.deepEqual([await bucketNames(a), await bucketNames(b)], [[], []]);
    await meet(b, c);
    assert.deepEqual([await bucketNames(b), await bucketNames(c)], [[BUCKET], [BUCKET]]);
  });

  test('what the removal has seen goes, everywhere', async () => {
    await using world = await sites();
    const { a, b } = world;
    await a.objects.deleteBucket(BUCKET);
    await meet(a, b);
    assert.deepEqual([await bucketNames(a), await bucketNames(b)], [[], []]);
    assert.equal(await read(b, 'k'), 'NoSuchBucket');
  });
});
