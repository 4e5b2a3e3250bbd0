/** get and scan: order, bounds, limits, bytes. */
import assert from 'node:assert/strict';

import * as fc from 'fast-check';

import { META_SPACES, type MetaRange } from '../../../core/contracts/index.ts';
import { WEIRD_KEYS } from '../weird-keys.ts';
import {
  all,
  anyKey,
  anyRange,
  anyWrites,
  at,
  listing,
  put,
  same,
  sameAsModel,
  text,
  texts,
  utf8,
  write,
  type MetaStoreKit,
} from './kit.ts';
import { MetaModel } from './model.ts';

export function registerReads(kit: MetaStoreKit): void {
  registerGet(kit);
  registerScan(kit);
  registerSizes(kit);
  registerAgainstModel(kit);
}

function registerGet({ withStore }: MetaStoreKit): void {
  withStore('get of nothing gives nothing', async (store) => {
    same(await store.get([]), [], 'get of no keys');
    same(await store.get([at('a'), at('b', 'oplog')]), [undefined, undefined], 'get of absent keys');
  });
  withStore('get answers in the order of the keys, also when one is asked twice', async (store) => {
    await write(store, put('a', '1'), put('b', '2'));
    assert.deepEqual(await texts(store, 'b', 'none', 'a', 'b'), ['2', undefined, '1', '2']);
  });
  withStore('an empty value is a value', async (store) => {
    await write(store, put('a', ''));
    const [value, absent] = await store.get([at('a'), at('b')]);
    assert.equal(value?.length, 0, 'get lost an empty value');
    assert.equal(absent, undefined);
    assert.equal((await store.scan(all()))[0]?.value.length, 0, 'scan lost an empty value');
  });
  withStore('every space exists and is a key range of its own', async (store) => {
    await write(store, ...META_SPACES.map((space) => put('same', space, space)));
    for (const space of META_SPACES) {
      same((await store.get([at('same', space)])).map(text), [space], `get from ${space}`);
      assert.deepEqual(await listing(store, all(space)), [`same=${space}`]);
    }
  });
  withStore('reads change nothing', async (store) => {
    await write(store, put('a', '1'), put('b', '2'));
    for (let repeat = 0; repeat < 3; repeat++) {
      assert.deepEqual(await texts(store, 'a', 'b', 'c'), ['1', '2', undefined]);
      assert.deepEqual(await listing(store), ['a=1', 'b=2']);
    }
  });
}

function registerScan({ withStore }: MetaStoreKit): void {
  const scans: readonly (readonly [string, Partial<MetaRange>, readonly string[]])[] = [
    ['with open bounds gives everything', {}, ['b', 'd', 'f', 'h']],
    ['begins at `from`, inclusive', { from: utf8('d') }, ['d', 'f', 'h']],
    ['begins above an absent `from`', { from: utf8('c') }, ['d', 'f', 'h']],
    ['ends before `to`, exclusive', { to: utf8('f') }, ['b', 'd']],
    ['ends below an absent `to`', { to: utf8('g') }, ['b', 'd', 'f']],
    ['keeps to both bounds', { from: utf8('d'), to: utf8('h') }, ['d', 'f']],
    ['gives at most `limit` rows', { limit: 3 }, ['b', 'd', 'f']],
    ['reverse descends', { reverse: true }, ['h', 'f', 'd', 'b']],
    ['reverse takes `limit` from the end', { reverse: true, limit: 2 }, ['h', 'f']],
    ['reverse keeps the bounds', { reverse: true, from: utf8('d'), to: utf8('h') }, ['f', 'd']],
    ['between equal bounds gives nothing', { from: utf8('d'), to: utf8('d') }, []],
    ['between crossed bounds gives nothing', { from: utf8('f'), to: utf8('d') }, []],
    ['reverse between crossed bounds gives nothing', { from: utf8('f'), to: utf8('d'), reverse: true }, []],
    ['from the empty key gives everything', { from: new Uint8Array(0) }, ['b', 'd', 'f', 'h']],
    ['to the empty key gives nothing', { to: new Uint8Array(0) }, []],
    ['of an empty part gives nothing', { from: utf8('x') }, []],
  ];
  for (const [title, range, expected] of scans) {
    withStore(`scan ${title}`, async (store) => {
      await write(store, ...['f', 'b', 'h', 'd'].map((key) => put(key, key)));
      const rows = await listing(store, { ...all(), ...range });
      const wanted = expected.map((key) => `${key}=${key}`);
      assert.deepEqual(rows, wanted);
    });
  }
  withStore('scan of an empty space gives nothing', async (store) => {
    assert.deepEqual(await listing(store), []);
    assert.deepEqual(await listing(store, { ...all(), reverse: true }), []);
  });
  withStore('scan orders keys by unsigned bytes, a prefix first', async (store) => {
    const shuffled = WEIRD_KEYS.map((_, index) => WEIRD_KEYS[(index * 17) % WEIRD_KEYS.length] as Uint8Array);
    await write(store, ...shuffled.map((key) => ({ space: 'heads' as const, key, value: key })));
    const expected = WEIRD_KEYS.map((key) => ({ key, value: key }));
    same(await store.scan(all()), expected, 'ascending order');
    same(await store.scan({ ...all(), reverse: true }), expected.toReversed(), 'descending order');
    const keys = WEIRD_KEYS.map((key) => ({ space: 'heads' as const, key }));
    same(await store.get(keys), WEIRD_KEYS, 'values of weird keys');
  });
}

function registerSizes({ withStore }: MetaStoreKit): void {
  withStore('keys of 4,096 bytes and values of 1 MiB come back whole', async (store) => {
    const key = Uint8Array.from({ length: 4096 }, (_, index) => index % 251);
    const value = Uint8Array.from({ length: 1024 * 1024 }, (_, index) => (index * 7) % 253);
    await store.transact({}, () => ({ kind: 'write', writes: [{ space: 'heads', key, value }], result: undefined }));
    const [found] = await store.get([{ space: 'heads', key }]);
    assert.ok(found !== undefined && Buffer.compare(found, value) === 0, 'get of a large value');
    const [row] = await store.scan(all());
    assert.ok(row !== undefined && Buffer.compare(row.key, key) === 0 && Buffer.compare(row.value, value) === 0);
  });
  withStore('one scan gives 10,000 rows', async (store) => {
    const name = (index: number): string => `k${String(index).padStart(5, '0')}`;
    await write(store, ...Array.from({ length: 10_003 }, (_, index) => put(name(index), '')));
    const rows = await store.scan(all());
    assert.equal(rows.length, 10_000);
    assert.equal(text(rows[9_999]?.key), name(9_999));
    const last = await store.scan({ ...all(), reverse: true });
    assert.equal(last.length, 10_000);
    assert.equal(text(last[9_999]?.key), name(3));
  });
}

function registerAgainstModel({ forAll }: MetaStoreKit): void {
  const history = fc.record({
    commits: fc.array(anyWrites, { maxLength: 6 }),
    keys: fc.array(anyKey, { maxLength: 8 }),
    ranges: fc.array(anyRange, { maxLength: 6 }),
  });
  forAll('after any history get and scan agree with the model', history, async (store, { commits, keys, ranges }) => {
    const model = new MetaModel();
    for (const writes of commits) {
      await write(store, ...writes);
      model.apply(writes);
    }
    same(await store.get(keys), model.get(keys), 'get');
    for (const range of ranges) same(await store.scan(range), model.scan(range), 'scan');
    await sameAsModel(store, model);
  });
}
