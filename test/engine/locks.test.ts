import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import type { Json, Locator, MetaKey, MetaStore, Op, OpBody, Stamp } from '../../core/contracts/index.ts';
import { releaseStable, removalsOf } from '../../core/engine/apply-removal.ts';
import { newEffects } from '../../core/engine/apply-context.ts';
import { formatHlc } from '../../core/engine/hlc.ts';
import { fetchKey, headKey, tombstoneKey } from '../../core/engine/keys.ts';
import { addLock, isVoidedBy, mergeSetting } from '../../core/engine/locks.ts';
import {
  decodeRecord,
  type ConflictRecord,
  type HeadRecord,
  type LockMark,
  type Register,
  type TombstoneRecord,
  type VersionRecord,
} from '../../core/engine/records.ts';
import { makeStamp, originOf } from '../../core/engine/stamp.ts';
import { transact } from '../../core/engine/txn.ts';
import { coversDot } from '../../core/engine/vector.ts';
import { holdOn, isVoid, liveIn, lockHistory, lockSteps, putsIn, removalsIn, retentionOn } from './lock-histories.ts';
import { MiniSite, causalOrders, someOrder } from './mini-site.ts';
import { INCARNATION, applyInOrder, content, dump, memoryStore, versionPut } from './support.ts';

const locatorOf = (stamp: Stamp): Locator => `at-${stamp}`;

async function storeAfter(ops: readonly Op[]): Promise<{ readonly store: MetaStore; readonly freed: Locator[] }> {
  const store = await memoryStore();
  const freed = await applyInOrder(store, ops, (op) =>
    op.body.type === 'version.put' ? { version: { locator: locatorOf(op.stamp) } } : {},
  );
  return { store, freed: [...freed] };
}

async function versionsOf(store: MetaStore): Promise<readonly VersionRecord[]> {
  const rows = [
    ...(await store.scan({ space: 'heads', limit: 10 })),
    ...(await store.scan({ space: 'versions', limit: 1000 })),
  ];
  return rows.map(({ value }) => decodeRecord<VersionRecord>(value));
}

async function release(store: MetaStore, row: MetaKey): Promise<readonly Locator[]> {
  const effects = newEffects();
  await transact(store, {}, (txn) => {
    effects.reset(0);
    releaseStable({ txn, effects }, row);
  });
  return effects.freed;
}

const stampsOf = (versions: readonly { readonly stamp: Stamp }[]): readonly Stamp[] =>
  versions.map(({ stamp }) => stamp).toSorted();

/** Live versions that are not current and that neither a put nor a removal that came to nothing has seen. */
function conflictsIn(ops: readonly Op[]): readonly Stamp[] {
  const live = liveIn(ops);
  return putsIn(ops)
    .filter(({ stamp }) => live.includes(stamp) && stamp !== live.at(-1))
    .filter(({ dot }) => !putsIn(ops).some(({ deps }) => coversDot(deps, dot)))
    .filter(({ stamp }) => removalsIn(ops, stamp).length === 0)
    .map(({ stamp }) => stamp)
    .toSorted();
}

const put = versionPut('k', { nullVersion: false, content: content('x') });
const setting = (target: Stamp, name: 'retention' | 'legalHold', value: Json): OpBody => ({
  type: 'version.setting',
  bucket: 'bkt',
  key: 'k',
  target,
  name,
  value,
});
const removal = (target: Stamp): OpBody => ({
  type: 'version.remove',
  bucket: 'bkt',
  key: 'k',
  target,
  tentative: true,
});

/** A version that two sites know, removed by one at 100 ms; what the other writes of it meanwhile. */
async function meanwhile(...bodies: readonly ((target: Stamp) => OpBody)[]): Promise<readonly Op[]> {
  const [a, b] = [await MiniSite.open('a'), await MiniSite.open('b')];
  const version = await a.write(put, 1);
  await b.pull([version], a);
  const ops = [version, await a.write(removal(version.stamp), 100)];
  for (const body of bodies) ops.push(await b.write(body(version.stamp), 50));
  return ops;
}

async function inEveryOrder(ops: readonly Op[]): Promise<readonly Awaited<ReturnType<typeof storeAfter>>[]> {
  const results = await Promise.all([...causalOrders(ops)].map(storeAfter));
  const texts = await Promise.all(results.map(({ store }) => dump(store)));
  assert.equal(new Set(texts).size, 1, 'every order gives the same state');
  return results;
}

/** Whether the version is live, which must be the same in every order; and no order may give its bytes back. */
async function isLive(ops: readonly Op[]): Promise<boolean> {
  const results = await inEveryOrder(ops);
  for (const { freed } of results) assert.deepEqual(freed, []);
  const store = results[0]?.store;
  assert.ok(store);
  const [row] = await store.get([headKey('bkt', 'k')]);
  return row !== undefined && decodeRecord<HeadRecord>(row).stamp === ops[0]?.stamp;
}

describe('rule 10: locks and removals that have not seen each other', () => {
  test('a removal takes effect unless a lock was set unseen by it that lasts past it, in two different orders', async () => {
    await fc.assert(
      fc.asyncProperty(lockSteps(40), fc.infiniteStream(fc.nat(1000)), async (plan, picks) => {
        const ops = await lockHistory(plan);
        const { store } = await storeAfter(ops);
        const other = await storeAfter(someOrder(ops, picks));
        assert.equal(await dump(other.store), await dump(store));
        const versions = await versionsOf(store);
        assert.deepEqual(stampsOf(versions), liveIn(ops));
        for (const { stamp, settings } of versions) {
          assert.deepEqual(settings?.retention?.value, retentionOn(ops, stamp));
          assert.deepEqual(settings?.legalHold?.value, holdOn(ops, stamp));
        }
        const conflicts = await store.scan({ space: 'conflicts', limit: 1000 });
        assert.deepEqual(
          conflicts.map(({ value }) => decodeRecord<ConflictRecord>(value).stamp).toSorted(),
          conflictsIn(ops),
        );
      }),
      { numRuns: 400 },
    );
  });

  test('bytes are given back once, when the version is gone for good, and the rest when all its removals are stable', async () => {
    await fc.assert(
      fc.asyncProperty(lockSteps(40), async (plan) => {
        const ops = await lockHistory(plan);
        const { store, freed } = await storeAfter(ops);
        const isFinal = (stamp: Stamp): boolean => removalsIn(ops, stamp).some(({ body }) => !body.tentative);
        const final = putsIn(ops).filter(({ stamp }) => isFinal(stamp));
        assert.deepEqual(freed.toSorted(), stampsOf(final).map(locatorOf).toSorted());
        for (const { stamp } of putsIn(ops)) {
          const row = tombstoneKey('bkt', 'k', stamp);
          const [value] = await store.get([row]);
          const left = removalsIn(ops, stamp).filter((op) => !isVoid(ops, op));
          if (value && !isFinal(stamp))
            assert.deepEqual(stampsOf(removalsOf(decodeRecord<TombstoneRecord>(value))), stampsOf(left));
          freed.push(...(await release(store, row)));
          assert.deepEqual(await release(store, row), [], 'a second time there is nothing to give back');
        }
        const gone = putsIn(ops).filter(({ stamp }) => !liveIn(ops).includes(stamp));
        assert.deepEqual(freed.toSorted(), stampsOf(gone).map(locatorOf).toSorted());
      }),
      { numRuns: 200 },
    );
  });

  test('a legal hold voids the removal, and goes on doing so when it is taken off', async () => {
    assert.equal(await isLive(await meanwhile()), false);
    assert.equal(await isLive(await meanwhile((target) => setting(target, 'legalHold', 'ON'))), true);
    assert.equal(await isLive(await meanwhile((target) => setting(target, 'legalHold', 'OFF'))), false);
    const onAndOff = await meanwhile(
      (target) => setting(target, 'legalHold', 'ON'),
      (target) => setting(target, 'legalHold', 'OFF'),
    );
    assert.equal(await isLive(onAndOff), true);
  });

  test('a retention voids the removal only if it lasts past it', async () => {
    for (const mode of ['GOVERNANCE', 'COMPLIANCE'] as const) {
      const until = (ms: number) => (target: Stamp) => setting(target, 'retention', { mode, until: ms });
      assert.equal(await isLive(await meanwhile(until(101))), true);
      assert.equal(await isLive(await meanwhile(until(100))), false);
    }
  });

  test('a removal that has seen the lock (it was allowed to pass it) takes effect', async () => {
    const a = await MiniSite.open('a');
    const version = await a.write(put, 1);
    const lock = await a.write(setting(version.stamp, 'retention', { mode: 'GOVERNANCE', until: 1000 }), 2);
    assert.equal(await isLive([version, lock, await a.write(removal(version.stamp), 3)]), false);
  });

  test('a lock that has seen the removal (as no client can set it) comes too late', async () => {
    const a = await MiniSite.open('a');
    const version = await a.write(put, 1);
    const removed = await a.write(removal(version.stamp), 2);
    assert.equal(await isLive([version, removed, await a.write(setting(version.stamp, 'legalHold', 'ON'), 3)]), false);
  });

  test('a final removal counts alone, whatever tentative ones came before or after, and no lock voids it', async () => {
    const ops = await meanwhile(
      (target) => ({ type: 'version.remove', bucket: 'bkt', key: 'k', target }),
      (target) => setting(target, 'legalHold', 'ON'),
    );
    for (const { store, freed } of await inEveryOrder(ops)) {
      assert.deepEqual(await versionsOf(store), []);
      assert.deepEqual(freed, [locatorOf(ops[0]?.stamp ?? '')]);
    }
  });

  test('a version that comes back is in conflict with the one it had not seen', async () => {
    const [a, b, c] = await Promise.all(['a', 'b', 'c'].map((site) => MiniSite.open(site)));
    assert.ok(a && b && c);
    const version = await a.write(put, 10);
    await c.pull([version], a);
    const other = await b.write(put, 5);
    const ops = [version, other, await a.write(removal(version.stamp), 20)];
    ops.push(await c.write(setting(version.stamp, 'legalHold', 'ON'), 20));
    for (const { store } of await inEveryOrder(ops)) {
      const rows = await store.scan({ space: 'conflicts', limit: 10 });
      assert.deepEqual(stampsOf(rows.map(({ value }) => decodeRecord<ConflictRecord>(value))), [other.stamp]);
    }
  });

  test('a version that comes back without its bytes asks for them again', async () => {
    const [version, ...rest] = await meanwhile((target) => setting(target, 'legalHold', 'ON'));
    const store = await memoryStore();
    await applyInOrder(store, [version as Op], () => ({ version: { pending: true } }));
    await applyInOrder(store, rest);
    const [row] = await store.get([fetchKey(version?.stamp ?? '')]);
    assert.deepEqual(row && decodeRecord(row), { bucket: 'bkt', key: 'k' });
  });

  test('a version that comes back has the settings that came while it was gone', async () => {
    const ops = await meanwhile(
      (target) => ({ type: 'version.setting', bucket: 'bkt', key: 'k', target, name: 'tags', value: 't' }),
      (target) => setting(target, 'legalHold', 'ON'),
    );
    assert.equal(await isLive(ops), true);
    const { store } = await storeAfter(ops);
    const [version] = await versionsOf(store);
    assert.equal(version?.settings?.tags?.value, 't');
  });
});

const SITES = ['a', 'b'] as const;
const stamps = fc
  .record({ ms: fc.nat(12), site: fc.constantFrom(...SITES), seq: fc.integer({ min: 1, max: 3 }) })
  .map(({ ms, site, seq }) => makeStamp(formatHlc(ms, 0), originOf(site, INCARNATION), seq));
const retentions: fc.Arbitrary<Json> = fc.oneof(
  fc.constant(null),
  fc.record({ mode: fc.constantFrom('GOVERNANCE', 'COMPLIANCE'), until: fc.nat(20) }, { noNullPrototype: true }),
);
const holds: fc.Arbitrary<Json> = fc.constantFrom('ON', 'OFF');
/** A stamp belongs to one op, so it has one value. */
const registers = (values: fc.Arbitrary<Json>): fc.Arbitrary<Register[]> =>
  fc.uniqueArray(fc.record({ stamp: stamps, value: values }), { maxLength: 6, selector: ({ stamp }) => stamp });

describe('rule 7: registers of locks', () => {
  for (const [name, values] of [
    ['retention', retentions],
    ['legalHold', holds],
    ['tags', holds],
  ] as const) {
    test(`merging ${name} is commutative, associative and idempotent`, () => {
      fc.assert(
        fc.property(registers(values), fc.nat(), fc.nat(6), (all, seed, split) => {
          const merge = (list: readonly Register[]): Register | undefined =>
            list.reduce<Register | undefined>((known, next) => mergeSetting(name, known, next), undefined);
          const shuffled = all.toSorted((a, b) => order(a.stamp, seed) - order(b.stamp, seed));
          const [left, right] = [merge(shuffled.slice(0, split)), merge(shuffled.slice(split))];
          const inParts = left && right ? mergeSetting(name, left, right) : (left ?? right);
          assert.deepEqual(merge(shuffled), merge(all));
          assert.deepEqual(inParts, merge(all));
          assert.deepEqual(merge([...all, ...all]), merge(all));
        }),
        { numRuns: 2000 },
      );
    });
  }

  test('COMPLIANCE merges to the later date, and only ends by itself', () => {
    const at = (ms: number, value: Json): Register => ({
      stamp: makeStamp(formatHlc(ms, 0), originOf('a', INCARNATION), ms),
      value,
    });
    const merged = (...all: readonly Register[]): Json | undefined =>
      all.reduce<Register | undefined>((known, next) => mergeSetting('retention', known, next), undefined)?.value;
    const strict = (until: number): Json => ({ mode: 'COMPLIANCE', until });
    const governed = (until: number): Json => ({ mode: 'GOVERNANCE', until });
    assert.deepEqual(merged(at(1, strict(100)), at(2, strict(50))), strict(100));
    assert.deepEqual(merged(at(1, strict(100)), at(2, null)), strict(100));
    assert.deepEqual(merged(at(1, strict(100)), at(2, governed(500))), strict(100));
    assert.deepEqual(merged(at(1, strict(100)), at(101, governed(500))), governed(500));
    assert.deepEqual(merged(at(1, governed(100)), at(2, governed(50))), governed(50));
    assert.deepEqual(merged(at(1, governed(100)), at(2, null)), null);
  });

  test('a hold wins over its release at the same reading of the clock, whichever site has the larger name', () => {
    const by = (site: string, value: Json): Register => ({
      stamp: makeStamp(formatHlc(5, 0), originOf(site, INCARNATION), 1),
      value,
    });
    assert.equal(mergeSetting('legalHold', by('a', 'ON'), by('b', 'OFF')).value, 'ON');
    assert.equal(mergeSetting('legalHold', by('a', 'OFF'), by('b', 'ON')).value, 'ON');
  });

  test('marks that are dropped change no answer', () => {
    const marks = fc.uniqueArray(
      fc.record({ stamp: stamps, untilMs: fc.nat(20) }, { requiredKeys: ['stamp'] }) as fc.Arbitrary<LockMark>,
      { maxLength: 8, selector: ({ stamp }) => stamp },
    );
    const deps = fc.record({ a: fc.nat(3), b: fc.nat(3) });
    fc.assert(
      fc.property(marks, stamps, deps, (all, stamp, { a, b }) => {
        const removedBy = { stamp, deps: { [originOf('a', INCARNATION)]: a, [originOf('b', INCARNATION)]: b } };
        const left = all.reduce<readonly LockMark[]>(addLock, []);
        const back = all.toReversed().reduce<readonly LockMark[]>(addLock, []);
        const isVoided = (list: readonly LockMark[]): boolean => list.some((mark) => isVoidedBy(removedBy, mark));
        assert.equal(isVoided(left), isVoided(all));
        assert.equal(isVoided(back), isVoided(all));
      }),
      { numRuns: 2000 },
    );
  });
});

/** Some order that depends on the seed. */
function order(stamp: Stamp, seed: number): number {
  let sum = seed % 9973;
  for (const char of stamp) sum = (sum * 31 + char.charCodeAt(0)) % 9973;
  return sum;
}
