import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import type { MetaStore, Op, OpBody } from '../../core/contracts/index.ts';
import { LEAVES, keyLeaf, versionDigest } from '../../core/engine/digest.ts';
import { digestEntities, digestLeaves, digestRoot, recount, rootOf } from '../../core/engine/digest-tree.ts';
import { bucketTombstoneKey, headKey } from '../../core/engine/keys.ts';
import { decodeRecord, encodeRecord, type HeadRecord } from '../../core/engine/records.ts';
import { differingEntities, differingLeaves } from '../../core/engine/validate.ts';
import { bucketHistory, bucketSteps } from './bucket-histories.ts';
import { mergeInto, someOf, spread } from './cut-support.ts';
import { history, steps } from './histories.ts';
import { lockHistory, lockSteps } from './lock-histories.ts';
import { someOrder } from './mini-site.ts';
import {
  Author,
  applyInOrder,
  completeVersion,
  content,
  memoryStore,
  storeAfter,
  versionPut as put,
} from './support.ts';

const histories: fc.Arbitrary<() => Promise<readonly Op[]>> = fc.oneof(
  steps(40).map((plan) => async () => spread(history(plan), ['k', 'l', 'm'])),
  bucketSteps(40).map((plan) => () => bucketHistory(plan)),
  lockSteps(40).map((plan) => () => lockHistory(plan)),
);

async function counted(store: MetaStore): Promise<ReadonlyMap<number, string>> {
  await using snapshot = await store.snapshot();
  return await recount(snapshot);
}

async function entitiesOf(store: MetaStore, leaves?: ReadonlySet<number>) {
  await using snapshot = await store.snapshot();
  return await Array.fromAsync(digestEntities(snapshot, leaves));
}

const sorted = (leaves: ReadonlyMap<number, string>): readonly (readonly [number, string])[] =>
  [...leaves].toSorted(([a], [b]) => a - b);

describe('rule 16: the digest', () => {
  test('as kept by commits is as counted from the state, after every op of any history', async () => {
    await fc.assert(
      fc.asyncProperty(histories, async (write) => {
        const store = await memoryStore();
        for (const op of await write()) {
          await applyInOrder(store, [op]);
          assert.deepEqual(sorted(await digestLeaves(store)), sorted(await counted(store)));
        }
      }),
      { numRuns: 60 },
    );
  });

  test('is equal for equal sets of ops, whatever their order', async () => {
    await fc.assert(
      fc.asyncProperty(histories, fc.infiniteStream(fc.nat(1000)), async (write, picks) => {
        const ops = await write();
        const [one, other] = [await storeAfter(ops), await storeAfter(someOrder(ops, picks))];
        assert.equal(await digestRoot(one), await digestRoot(other));
        assert.deepEqual(sorted(await digestLeaves(one)), sorted(await counted(other)));
      }),
      { numRuns: 200 },
    );
  });

  test('follows when a snapshot is merged', async () => {
    const picks = fc.infiniteStream(fc.nat(1000));
    await fc.assert(
      fc.asyncProperty(histories, fc.nat(36), fc.nat(36), picks, picks, async (write, a, b, picksA, picksB) => {
        const ops = await write();
        const from = await storeAfter(someOf(ops, a, picksA));
        const to = await storeAfter(someOf(ops, b, picksB));
        await mergeInto(to, from);
        assert.deepEqual(sorted(await digestLeaves(to)), sorted(await counted(to)));
      }),
      { numRuns: 60 },
    );
  });

  test('does not tell whether bytes are here', async () => {
    const op = new Author('a').write(put('k'));
    const [here, pending] = [await storeAfter([op]), await memoryStore()];
    await applyInOrder(pending, [op], () => ({ version: { pending: true } }));
    assert.equal(await digestRoot(pending), await digestRoot(here));
    await completeVersion(pending, 'bkt', 'k', op.stamp);
    assert.equal(await digestRoot(pending), await digestRoot(here));
  });

  test('of a state that is empty again is that of an empty one', async () => {
    const author = new Author('a');
    const store = await storeAfter([
      author.write(put('k')),
      author.write({ type: 'version.remove', bucket: 'bkt', key: 'k', target: null }),
      author.write({ type: 'policy.put', id: 'p', value: 1 }),
      author.write({ type: 'policy.remove', id: 'p' }),
    ]);
    assert.equal(await digestRoot(store), rootOf(new Map()));
    assert.deepEqual(await store.scan({ space: 'digest', limit: 10 }), []);
  });

  test('notices whatever an op says: owner, time, content, mode, settings, and where it is', async () => {
    const variants: readonly OpBody[] = [
      put('k'),
      put('l'),
      put('k', { bucket: 'other' }),
      put('k', { owner: 'p' }),
      put('k', { modifiedAtMs: 2 }),
      put('k', { content: content('y') }),
      put('k', { content: { ...content('k'), etag: 'e' } }),
      put('k', { content: { ...content('k'), partsManifest: content('p').manifest } }),
      put('k', { nullVersion: false }),
      put('k', { settings: { tags: 't' } }),
      { type: 'bucket.create', bucket: 'k', owner: 'o', createdAtMs: 1 },
      { type: 'bucket.create', bucket: 'k', owner: 'p', createdAtMs: 1 },
      { type: 'bucket.create', bucket: 'k', owner: 'o', createdAtMs: 2 },
      { type: 'bucket.create', bucket: 'k', owner: 'o', createdAtMs: 1, objectLock: true },
      { type: 'policy.put', id: 'k', value: 1 },
      { type: 'policy.put', id: 'k', value: 2 },
      { type: 'member.put', id: 'k', value: 1 },
    ];
    const roots = new Set<string>();
    // The same dot and stamp each time: it is not the stamp alone that tells.
    for (const body of variants) roots.add(await digestRoot(await storeAfter([new Author('a').write(body)])));
    assert.equal(roots.size, variants.length);
  });

  test('tells a version that lost from a live one, and not a setting that was cleared from one never set', async () => {
    const record = { stamp: 's', deps: {}, owner: 'o', modifiedAtMs: 1 };
    assert.notDeepEqual(versionDigest('b', 'k', record, true), versionDigest('b', 'k', record, false));
    const author = new Author('a');
    const created = author.write({ type: 'bucket.create', bucket: 'bkt', owner: 'o', createdAtMs: 1 });
    const cleared = author.write({ type: 'bucket.setting', bucket: 'bkt', name: 'cors', value: null });
    assert.equal(await digestRoot(await storeAfter([created, cleared])), await digestRoot(await storeAfter([created])));
  });

  test('follows when a snapshot brings the news that a bucket is gone and forgotten', async () => {
    const author = new Author('a');
    const created = author.write({ type: 'bucket.create', bucket: 'bkt', owner: 'o', createdAtMs: 1 });
    const removed = author.write({ type: 'bucket.remove', bucket: 'bkt' });
    const [from, to] = [await storeAfter([created, removed]), await storeAfter([created])];
    const writes = [{ ...bucketTombstoneKey('bkt'), value: undefined }];
    await from.transact({}, () => ({ kind: 'write', writes, result: undefined }));
    await mergeInto(to, from);
    assert.equal(await digestRoot(to), rootOf(new Map()));
  });

  test('spreads keys over its leaves', () => {
    const used = new Set<number>();
    for (let i = 0; i < 20_000; i++) used.add(keyLeaf('bucket', `photos/2026/${String(i).padStart(8, '0')}.jpg`));
    assert.ok(used.size > LEAVES * 0.9, `${used.size} leaves of ${LEAVES} are used`);
    assert.ok(Math.max(...used) < LEAVES);
  });
});

describe('comparing two sites', () => {
  test('names what one lacks and what is not the same, and looks into no other leaf', async () => {
    const author = new Author('a');
    const write = (body: OpBody): Op => author.write(body);
    const common = [write({ type: 'bucket.create', bucket: 'bkt', owner: 'o', createdAtMs: 1 }), write(put('same'))];
    const tagged = write(put('tagged'));
    const missing = write(put('missing'));
    const [ours, theirs] = [await storeAfter([...common, tagged, missing]), await storeAfter([...common, tagged])];
    await damage(theirs, 'tagged');
    const leaves = differingLeaves(await digestLeaves(ours), await counted(theirs));
    assert.deepEqual(
      [...leaves],
      [keyLeaf('bkt', 'missing'), keyLeaf('bkt', 'tagged')].toSorted((a, b) => a - b),
    );
    const wanted = new Set(leaves);
    const found = differingEntities(await entitiesOf(ours, wanted), await entitiesOf(theirs, wanted));
    assert.deepEqual(
      found.map(({ path, has }) => [path.kind === 'version' && path.key, has]),
      [
        ['missing', 'ours'],
        ['tagged', 'both'],
      ],
    );
    const mirrored = differingEntities(await entitiesOf(theirs), await entitiesOf(ours));
    assert.deepEqual(
      mirrored.map(({ has }) => has),
      ['theirs', 'both'],
    );
  });

  test('finds nothing between sites that hold the same', async () => {
    await fc.assert(
      fc.asyncProperty(histories, async (write) => {
        const ops = await write();
        const [one, other] = [await storeAfter(ops), await storeAfter(ops)];
        assert.deepEqual(differingLeaves(await digestLeaves(one), await digestLeaves(other)), []);
        assert.deepEqual(differingEntities(await entitiesOf(one), await entitiesOf(other)), []);
      }),
      { numRuns: 50 },
    );
  });
});

/** A row that is not what its op made of it: what recounting is for. */
async function damage(store: MetaStore, key: string): Promise<void> {
  const row = headKey('bkt', key);
  const [value] = await store.get([row]);
  const head = decodeRecord<HeadRecord>(value as Uint8Array);
  const writes = [{ ...row, value: encodeRecord({ ...head, owner: 'somebody' }) }];
  await store.transact({}, () => ({ kind: 'write', writes, result: undefined }));
}
