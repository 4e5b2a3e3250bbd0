/** Rule 16 between two sites: every difference is found and named, and put right without losing what was acknowledged. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';

import type { MetaKey, MetaSpace, MetaStore, Op, OpBody } from '../../core/contracts/index.ts';
import { digestLeaves, recount } from '../../core/engine/digest-tree.ts';
import { conflictKey, digestKey, headKey, registerKey, versionKey } from '../../core/engine/keys.ts';
import { decodeRecord, encodeRecord, type VersionRecord } from '../../core/engine/records.ts';
import { bucketHistory, bucketSteps } from '../engine/bucket-histories.ts';
import { committerOf, spread } from '../engine/cut-support.ts';
import { history, steps } from '../engine/histories.ts';
import { lockHistory, lockSteps } from '../engine/lock-histories.ts';
import { Author, content, storeAfter, versionPut as put } from '../engine/support.ts';
import { auditorOf, servedBy, validate } from './fixtures/audited.ts';

async function pairAfter(ops: readonly Op[]): Promise<readonly [MetaStore, MetaStore]> {
  return [await storeAfter(ops), await storeAfter(ops)];
}

const peerOf = (store: MetaStore) => servedBy(auditorOf(store));

async function write(store: MetaStore, key: MetaKey, value: Uint8Array | undefined): Promise<void> {
  await store.transact({}, () => ({ kind: 'write', writes: [{ ...key, value }], result: undefined }));
}

async function alter(store: MetaStore, key: MetaKey, change: (record: VersionRecord) => object): Promise<void> {
  const [value] = await store.get([key]);
  await write(store, key, encodeRecord(change(decodeRecord<VersionRecord>(value as Uint8Array))));
}

const rowsOf = (store: MetaStore, space: MetaSpace) => store.scan({ space, limit: 10_000 });

async function text(store: MetaStore, spaces: readonly MetaSpace[]): Promise<readonly string[]> {
  const all = await Promise.all(spaces.map((space) => rowsOf(store, space)));
  return all
    .flat()
    .map(({ key, value }) => `${Buffer.from(key).toString('latin1')} ${Buffer.from(value).toString('latin1')}`);
}

/** The digest is equal, adds up, and so do the counters. */
async function assertSame(ours: MetaStore, theirs: MetaStore): Promise<void> {
  const sorted = (leaves: ReadonlyMap<number, string>) => [...leaves].toSorted(([a], [b]) => a - b);
  await using snapshot = await ours.snapshot();
  const expected = sorted(await digestLeaves(theirs));
  assert.deepEqual(sorted(await digestLeaves(snapshot)), expected, 'digests');
  assert.deepEqual(sorted(await recount(snapshot)), expected, 'entities');
  assert.deepEqual(await text(ours, ['counters']), await text(theirs, ['counters']), 'counters');
}

const CREATE: OpBody = { type: 'bucket.create', bucket: 'bkt', owner: 'o', createdAtMs: 1 };

interface Damage {
  /** The entity that is found to differ. */
  readonly entity: object;
  readonly has: 'ours' | 'theirs' | 'both';
  readonly harm: (store: MetaStore) => Promise<void>;
}

/** A site with one of everything. */
function world() {
  const [a, b] = [new Author('a'), new Author('b')];
  const create = a.write(CREATE);
  b.see(create);
  const lost = a.write(put('torn'));
  const won = b.write(put('torn', { owner: 'p' }), 5);
  const old = a.write(put('v', { nullVersion: false }));
  const next = a.write(put('v', { nullVersion: false }));
  const tagged = a.write(put('tagged'));
  const setting = { bucket: 'bkt', key: 'tagged', target: tagged.stamp, name: 'tags', value: 't' } as const;
  const tags = a.write({ type: 'version.setting', ...setting });
  const { content: _, ...gone } = put('m', { nullVersion: false, marker: true });
  const marker = a.write(gone);
  const policy = a.write({ type: 'policy.put', id: 'p', value: 1 });
  const cors = a.write({ type: 'bucket.setting', bucket: 'bkt', name: 'cors', value: 'c' });
  return {
    ops: [create, lost, won, old, next, tagged, tags, marker, policy, cors] as readonly Op[],
    named: { lost, old, next, tagged, tags, marker },
  };
}

const version = (key: string, { stamp }: Op) => ({ kind: 'version', bucket: 'bkt', key, stamp });
const loses =
  (key: MetaKey): Damage['harm'] =>
  (store) =>
    write(store, key, undefined);
const alters =
  (key: MetaKey, change: (record: VersionRecord) => object): Damage['harm'] =>
  (store) =>
    alter(store, key, change);

function lostRows({ lost, old, next, tagged, marker }: ReturnType<typeof world>['named']): Record<string, Damage> {
  const has = 'theirs' as const;
  const oldRow = versionKey('bkt', 'v', old.stamp);
  const bucket = { space: 'buckets' as const, key: Buffer.from('bkt') };
  return {
    'a current version is lost': { entity: version('tagged', tagged), has, harm: loses(headKey('bkt', 'tagged')) },
    'a current version over an older one is lost': {
      entity: version('v', next),
      has,
      harm: loses(headKey('bkt', 'v')),
    },
    'an older version is lost': { entity: version('v', old), has, harm: loses(oldRow) },
    'a version that lost a conflict is lost': {
      entity: version('torn', lost),
      has,
      harm: loses(conflictKey('bkt', 'torn', lost.stamp)),
    },
    'a delete marker is lost': { entity: version('m', marker), has, harm: loses(headKey('bkt', 'm')) },
    'a bucket is lost': { entity: { kind: 'bucket', bucket: 'bkt' }, has, harm: loses(bucket) },
    'a register is lost': {
      entity: { kind: 'register', of: 'policy', id: 'p' },
      has,
      harm: loses(registerKey('policy', 'p')),
    },
  };
}

function alteredRows({ old, next, tagged, tags }: ReturnType<typeof world>['named']): Record<string, Damage> {
  const has = 'both' as const;
  const [v, taggedHead] = [headKey('bkt', 'v'), headKey('bkt', 'tagged')];
  const bucket = { space: 'buckets' as const, key: Buffer.from('bkt') };
  const inTagged = { entity: version('tagged', tagged), has };
  const other = { tags: { value: 'x', stamp: tags.stamp } };
  return {
    'an owner is altered': { entity: version('v', next), has, harm: alters(v, (r) => ({ ...r, owner: 'x' })) },
    'content is altered': { ...inTagged, harm: alters(taggedHead, (r) => ({ ...r, content: content('other') })) },
    'tags are lost': { ...inTagged, harm: alters(taggedHead, ({ settings: _, ...r }) => r) },
    'tags are altered': { ...inTagged, harm: alters(taggedHead, (r) => ({ ...r, settings: other })) },
    'an older version is altered': {
      entity: version('v', old),
      has,
      harm: alters(versionKey('bkt', 'v', old.stamp), (r) => ({ ...r, modifiedAtMs: 9 })),
    },
    'a bucket is altered': {
      entity: { kind: 'bucket', bucket: 'bkt' },
      has,
      harm: alters(bucket, (r) => ({ ...r, owner: 'x' })),
    },
    'a register is altered': {
      entity: { kind: 'register', of: 'policy', id: 'p' },
      has,
      harm: alters(registerKey('policy', 'p'), (r) => ({ ...r, value: 2 })),
    },
    'a version comes from nowhere': {
      entity: version('ghost', next),
      has: 'ours',
      harm: async (store) => write(store, headKey('bkt', 'ghost'), (await store.get([v]))[0]),
    },
  };
}

/** Ways to harm that site, by name. */
const DAMAGES = { ...lostRows(world().named), ...alteredRows(world().named) };

describe('rule 16: repl-validate', () => {
  test('sites that hold the same are equal, and nothing is changed by a repair', async () => {
    const [ours, theirs] = await pairAfter(world().ops);
    const before = await text(ours, ['heads', 'versions', 'conflicts', 'buckets', 'registers', 'digest', 'counters']);
    const report = await validate(ours, peerOf(theirs), { repair: true });
    assert.deepEqual([report.isSound, report.peers[0]?.outcome, report.local.damagedDigestLeaves], [true, 'equal', 0]);
    assert.deepEqual(
      await text(ours, ['heads', 'versions', 'conflicts', 'buckets', 'registers', 'digest', 'counters']),
      before,
    );
  });

  for (const [name, { entity, has, harm }] of Object.entries(DAMAGES))
    test(`${name}: it is found here and at the peer, and put right where it happened`, async () => {
      const [ours, theirs] = await pairAfter(world().ops);
      await harm(ours);
      const found = await validate(ours, peerOf(theirs));
      assert.deepEqual(found.peers[0]?.differences, [{ entity, has, repaired: false }]);
      assert.deepEqual([found.isSound, found.peers[0]?.outcome], [false, 'different']);
      const repaired = await validate(ours, peerOf(theirs), { repair: true });
      assert.deepEqual(repaired.peers[0]?.differences, [{ entity, has, repaired: true }]);
      assert.deepEqual([repaired.isSound, repaired.peers[0]?.outcome], [true, 'equal']);
      await assertSame(ours, theirs);
      assert.equal((await validate(ours, peerOf(theirs))).isSound, true);
    });

  test('what is wrong at the peer is reported, and left to it', async () => {
    for (const [name, { entity, harm }] of Object.entries(DAMAGES)) {
      const [ours, theirs] = await pairAfter(world().ops);
      await harm(theirs);
      // The peer's digest is as it was: only its entities differ, which it finds by itself.
      await validate(theirs, undefined, { repair: true });
      const before = await text(ours, ['heads', 'versions', 'buckets', 'registers']);
      const { peers } = await validate(ours, peerOf(theirs), { repair: true });
      assert.ok(
        peers[0]?.differences.some((one) => JSON.stringify(one.entity) === JSON.stringify(entity)),
        name,
      );
      if (name === 'a version comes from nowhere') continue;
      assert.deepEqual(await text(ours, ['heads', 'versions', 'buckets', 'registers']), before, name);
    }
  });

  test('a leaf of the digest that is wrong is recounted; without a peer that can be asked it is left as it is', async () => {
    const [ours, theirs] = await pairAfter(world().ops);
    const [leaf] = await digestLeaves(ours);
    await write(ours, digestKey(leaf?.[0] ?? 0), Buffer.alloc(16, 7));
    const { local, peers, isSound } = await validate(ours, peerOf(theirs));
    assert.deepEqual([local.damagedDigestLeaves, peers[0]?.outcome, isSound], [1, 'equal', false]);
    const away = servedBy(auditorOf(theirs), () => {
      throw new Error('unreachable');
    });
    await assert.rejects(validate(ours, away, { repair: true }), /unreachable/);
    assert.equal((await validate(ours, peerOf(theirs), { repair: true })).isSound, true);
    await assertSame(ours, theirs);
  });

  test('a site alone makes its digest and its counters agree with its rows', async () => {
    const [ours, theirs] = await pairAfter(world().ops);
    await write(ours, digestKey(17), Buffer.alloc(16, 7));
    const [counter] = await rowsOf(ours, 'counters');
    await write(
      ours,
      { space: 'counters', key: counter?.key as Uint8Array },
      encodeRecord({ objects: 99, objectBytes: 1, versions: 0, versionBytes: 0 }),
    );
    const { local } = await validate(ours, undefined);
    assert.deepEqual([local.damagedDigestLeaves, local.wrongCounters, local.repaired], [1, ['bkt'], false]);
    assert.equal((await validate(ours, undefined, { repair: true })).isSound, true);
    await assertSame(ours, theirs);
  });

  test('while ops are under way nothing is said, and nothing repaired', async () => {
    const { ops } = world();
    const [ours, theirs] = [await storeAfter(ops), await storeAfter(ops.slice(0, -2))];
    assert.equal((await validate(ours, peerOf(theirs))).peers[0]?.outcome, 'busy');
    const { peers, isSound } = await validate(ours, peerOf(theirs), { repair: true });
    assert.deepEqual([peers[0]?.outcome, peers[0]?.opsAhead, peers[0]?.opsBehind, isSound], ['busy', 2, 0, false]);
  });

  test('what a peer had at another vector is not taken', async () => {
    const { ops } = world();
    const [ours, theirs] = await pairAfter(ops);
    const at = { kind: 'register', of: 'policy', id: 'p' } as const;
    await write(ours, registerKey('policy', 'p'), undefined);
    const { vector, entities } = await auditorOf(theirs).whole([at]);
    const committer = committerOf(ours);
    const auditor = auditorOf(ours, committer);
    const repair = { at, theirs: entities, isProven: true };
    assert.deepEqual(await auditor.repair({ ...repair, vector: { ...vector, 'z.0123456789abcdef': 1 } }), {
      kind: 'busy',
    });
    assert.deepEqual(await rowsOf(ours, 'registers'), []);
    assert.deepEqual(await auditor.repair({ ...repair, vector }), { kind: 'done', undecided: [] });
    assert.equal((await rowsOf(ours, 'registers')).length, 1);
    await committer.close();
  });

  test('a removal that either site knows wins over presence', async () => {
    const { ops } = world();
    const author = new Author('a');
    for (const op of ops) author.see(op);
    const next = ops[4] as Op;
    const removal = author.write({ type: 'version.remove', bucket: 'bkt', key: 'v', target: next.stamp });
    const [whole, harmed] = await pairAfter([...ops, removal]);
    // as if the removal had not happened here: the row is back, the digest says so, and the tombstone is lost
    const lost = await storeAfter(ops);
    for (const space of ['heads', 'versions', 'digest', 'counters', 'tombstones'] as const) {
      for (const { key } of await rowsOf(harmed, space)) await write(harmed, { space, key }, undefined);
      for (const { key, value } of await rowsOf(lost, space)) await write(harmed, { space, key }, value);
    }
    assert.equal((await validate(harmed, peerOf(whole), { repair: true })).isSound, true);
    await assertSame(harmed, whole);
  });

  test('whatever row of whatever history is lost, a repair brings back the same state', async () => {
    const histories: fc.Arbitrary<() => Promise<readonly Op[]>> = fc.oneof(
      steps(30).map((plan) => async () => spread(history(plan), ['k', 'l'])),
      bucketSteps(30).map((plan) => () => bucketHistory(plan)),
      lockSteps(30).map((plan) => () => lockHistory(plan)),
    );
    const spaces = ['heads', 'versions', 'conflicts', 'buckets', 'registers', 'digest', 'counters'] as const;
    await fc.assert(
      fc.asyncProperty(histories, fc.nat(), async (make, pick) => {
        const ops = await make();
        const [ours, theirs] = await pairAfter(ops);
        const rows = (
          await Promise.all(
            spaces.map(async (space) => (await rowsOf(ours, space)).map((row) => ({ space, key: row.key }))),
          )
        ).flat();
        const victim = rows[pick % Math.max(1, rows.length)];
        if (!victim) return;
        await write(ours, victim, undefined);
        const { isSound } = await validate(ours, peerOf(theirs), { repair: true });
        assert.equal(isSound, true, `${victim.space} ${Buffer.from(victim.key).toString('latin1')}`);
        await assertSame(ours, theirs);
      }),
      { seed: 16, numRuns: 300 },
    );
  });
});
