/** Rule 14: leases protect replay; stability protects deletes. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { fetchBytes, put, pullOps, remove } from '../engine/exchange.ts';
import { noise, type WholeSite } from '../engine/whole-site.ts';
import { meet, pass, proveStable, read, sites } from './support.ts';

const TTL_MS = 60_000;

async function tombstones({ metaStore }: WholeSite): Promise<number> {
  return (await metaStore.scan({ space: 'tombstones', limit: 100 })).length;
}

/** For all that the holder lacks, from now on for `TTL_MS`. */
async function lease(source: WholeSite, holder: WholeSite): Promise<void> {
  const { origin, cut } = holder.engine.replica;
  await source.engine.keeping.leases.renew(origin, (await cut()).vector, TTL_MS);
}

/** What a peer is answered that has what `asker` has. */
async function answer(source: WholeSite, asker: WholeSite): Promise<string> {
  const { vector } = await asker.engine.replica.cut();
  return (await source.engine.replica.opsAfter(vector, { maxOps: 10, maxBytes: 1e6 })).kind;
}

describe('rule 14: leases protect replay', () => {
  test('ops that an active lease may ask for stay, whatever is stable', async () => {
    await using world = await sites({ keepOps: 0 });
    const { a, b, c } = world;
    await lease(a, c);
    await put(a, 'k', 'x');
    await meet(a, b);
    await proveStable(a, [b], await a.engine.replica.cut());
    assert.equal(await answer(a, c), 'ops');
    await pullOps(a, c);
    assert.equal(await read(c, 'k'), 'x');
  });

  test('lease expiry: the ops go, and who comes later is told `gap`, never that nothing is new', async () => {
    await using world = await sites({ keepOps: 0 });
    const { a, b, c } = world;
    await lease(a, c);
    await put(a, 'k', 'x');
    await meet(a, b);
    pass(TTL_MS, a);
    assert.deepEqual(await a.engine.keeping.leases.list(), []);
    assert.ok((await proveStable(a, [b], await a.engine.replica.cut())).ops > 0);
    assert.equal(await answer(a, c), 'gap');
    assert.equal(await answer(a, b), 'ops', 'who has it all misses nothing');
  });

  test('a lease that is renewed by use does not run out', async () => {
    await using world = await sites({ keepOps: 0 });
    const { a, b, c } = world;
    for (let use = 0; use < 3; use++) {
      await lease(a, c);
      pass(TTL_MS - 1, a);
    }
    await put(a, 'k', 'x');
    await proveStable(a, [b], await a.engine.replica.cut());
    assert.equal(await answer(a, c), 'ops');
  });

  test('a chunk goes with its last holder, never before', async () => {
    await using world = await sites();
    const { a, b } = world;
    const stored = await a.chunkCount();
    await put(a, 'one', noise(20_000));
    await put(a, 'two', noise(20_000));
    await pullOps(a, b);
    await remove(a, 'one');
    assert.ok((await a.chunkCount()) > stored, 'collected as hard as can be');
    await fetchBytes(a, b);
    assert.equal(await read(b, 'two'), noise(20_000).toString('latin1'));
    await remove(a, 'two');
    assert.equal(await a.chunkCount(), stored);
  });
});

describe('rule 14: stability protects deletes', () => {
  test('a tombstone stays until every member has its op and a later clock, however old it is', async () => {
    await using world = await sites({ keepOps: 0 });
    const { a, b } = world;
    await put(a, 'k', 'x');
    await meet(a, b);
    const unseen = await a.engine.replica.cut();
    await remove(a, 'k');
    pass(365 * 86_400_000, a);
    const seen = await a.engine.replicaState.tick();
    await proveStable(a, [b], { ...seen, vector: unseen.vector });
    assert.equal(await tombstones(a), 1, 'a member lacks the removal');
    await proveStable(a, [b], { ...seen, hlc: unseen.hlc });
    assert.equal(await tombstones(a), 1, 'a member may still write with an older clock');
    await proveStable(a, [b], seen);
    assert.equal(await tombstones(a), 0);
  });

  test('what is purged does not come back with an older write that arrives late', async () => {
    await using world = await sites({ keepOps: 0 });
    const { a, b } = world;
    await put(b, 'k', 'older, and unseen');
    pass(1000, a);
    await remove(a, 'k');
    await put(a, 'k', 'x');
    await remove(a, 'k');
    const { hlc } = await a.engine.replica.cut();
    await proveStable(a, [b], { hlc, vector: (await b.engine.replica.cut()).vector });
    await pullOps(b, a);
    assert.equal(await read(a, 'k'), 'NoSuchKey');
  });

  test('while nothing is proven, nothing goes', async () => {
    await using world = await sites({ keepOps: 0 });
    const { a, b } = world;
    await put(a, 'k', 'x');
    await remove(a, 'k');
    await meet(a, b);
    assert.deepEqual(await proveStable(a, [b], undefined), { ops: 0, tombstones: 0 });
  });
});
