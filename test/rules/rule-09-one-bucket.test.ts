/** Rule 9: buckets of one name created on two sites are one bucket. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { put } from '../engine/exchange.ts';
import type { WholeSite } from '../engine/whole-site.ts';
import { meet, pass, pull, read, sites } from './support.ts';

const NAME = 'twice';

describe('rule 9: one name is one bucket', () => {
  test('same bucket created twice with different settings: each setting holds, and the first creation owns it', async () => {
    await using world = await sites();
    const { a, b } = world;
    await a.objects.createBucket({ bucket: NAME, owner: 'of a', settings: { cors: 'of a', policy: 'older' } });
    pass(1000, b);
    await b.objects.createBucket({ bucket: NAME, owner: 'of b', settings: { tagging: 'of b', policy: 'newer' } });
    await pull(a, b);
    await meet(a, b);
    for (const { objects } of [a, b]) {
      const { owner, createdAtMs, settings } = await objects.getBucket(NAME);
      assert.deepEqual([owner, createdAtMs], ['of a', a.clock.wallMs]);
      assert.deepEqual(settings, { cors: 'of a', tagging: 'of b', policy: 'newer' });
    }
  });

  test('the owner is the one of the smallest stamp, whichever creation came first', async () => {
    await using world = await sites();
    const { a, b } = world;
    pass(1000, a);
    await a.objects.createBucket({ bucket: NAME, owner: 'later' });
    await b.objects.createBucket({ bucket: NAME, owner: 'earlier' });
    await meet(a, b);
    const owners = await Promise.all([a, b].map(async ({ objects }) => (await objects.getBucket(NAME)).owner));
    assert.deepEqual(owners, ['earlier', 'earlier']);
  });

  test('Object Lock is in force if either creation wanted it; and what both wrote into it is there', async () => {
    await using world = await sites();
    const { a, b } = world;
    await a.objects.createBucket({ bucket: NAME, owner: 'o' });
    await b.objects.createBucket({ bucket: NAME, owner: 'o', objectLock: true });
    await put(a, 'of a', 'x');
    await put(b, 'of b', 'y');
    await meet(a, b);
    const locked = async ({ objects }: WholeSite): Promise<boolean> => (await objects.getBucket(NAME)).objectLock;
    assert.deepEqual([await locked(a), await locked(b)], [true, true]);
    assert.deepEqual([await read(b, 'of a'), await read(a, 'of b')], ['x', 'y']);
  });
});
