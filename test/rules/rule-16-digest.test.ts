/** Rule 16: convergence is checkable: equal vectors give equal roots, and unequal ones lead to what differs. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { digestEntities, digestLeaves, digestRoot, recount, rootOf } from '../../core/engine/digest-tree.ts';
import { headKey } from '../../core/engine/keys.ts';
import { decodeRecord, type HeadRecord } from '../../core/engine/records.ts';
import { transact } from '../../core/engine/txn.ts';
import { differingEntities, differingLeaves } from '../../core/engine/validate.ts';
import { pullOps, put, remove } from '../engine/exchange.ts';
import { BUCKET, noise, type WholeSite } from '../engine/whole-site.ts';
import { meet, pass, setBucket, sites } from './support.ts';

async function counted({ metaStore }: WholeSite): Promise<ReadonlyMap<number, string>> {
  await using snapshot = await metaStore.snapshot();
  return await recount(snapshot);
}

async function writeMuch({ a, b }: { readonly a: WholeSite; readonly b: WholeSite }): Promise<void> {
  for (let i = 0; i < 20; i++) await put(a, `k${i}`, `body ${i}`);
  await put(b, 'k1', 'rival');
  await remove(a, 'k2');
  await setBucket(b, 'policy', 'p');
  await a.objects.putVersionSetting({ bucket: BUCKET, key: 'k3' }, 'tags', 't');
}

describe('rule 16: the digest tells', () => {
  test('equal vectors give equal roots, whatever came in which order; the digest as kept is as counted', async () => {
    await using world = await sites();
    const { a, b } = world;
    await writeMuch(world);
    await meet(a, b);
    for (const site of [a, b]) assert.equal(rootOf(await digestLeaves(site.metaStore)), rootOf(await counted(site)));
  });

  test('a row that was changed behind the site’s back is found, by name', async () => {
    await using world = await sites();
    const { a, b } = world;
    await writeMuch(world);
    await meet(a, b);
    const row = headKey(BUCKET, 'k7');
    const [value] = await b.metaStore.get([row]);
    const head = decodeRecord<HeadRecord>(value as Uint8Array);
    await transact(b.metaStore, {}, (txn) => txn.put(row, { ...head, owner: 'somebody else' }));
    const [ours, theirs] = [await counted(a), await counted(b)];
    const leaves = new Set(differingLeaves(ours, theirs));
    assert.equal(leaves.size, 1);
    await using mine = await a.metaStore.snapshot();
    await using other = await b.metaStore.snapshot();
    const differences = differingEntities(
      await Array.fromAsync(digestEntities(mine, leaves)),
      await Array.fromAsync(digestEntities(other, leaves)),
    );
    assert.deepEqual(
      differences.map(({ path, has }) => ({ path, has })),
      [{ path: { kind: 'version', bucket: BUCKET, key: 'k7', stamp: head.stamp }, has: 'both' }],
    );
  });

  test('a site that lacks an op has another root, and the same one when it has it; bytes that are under way do not matter', async () => {
    await using world = await sites();
    const { a, b } = world;
    pass(1000, a);
    await put(a, 'k', noise(20_000));
    const root = await digestRoot(a.metaStore);
    assert.notEqual(await digestRoot(b.metaStore), root);
    await pullOps(a, b);
    assert.equal(await digestRoot(b.metaStore), root);
  });
});
