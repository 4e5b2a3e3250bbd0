/** transact, one call at a time: what decide is given, what is written, what a refusal leaves. */
import assert from 'node:assert/strict';

import * as fc from 'fast-check';

import type { MetaReadResult, MetaReads } from '../../../core/contracts/index.ts';
import {
  all,
  anyKey,
  anyRange,
  anyWrites,
  at,
  listing,
  put,
  remove,
  same,
  sameAsModel,
  text,
  texts,
  utf8,
  write,
  writing,
  type MetaStoreKit,
} from './kit.ts';
import { MetaModel } from './model.ts';

export function registerTransact(kit: MetaStoreKit): void {
  registerWrites(kit);
  registerDecisions(kit);
  registerRefusal(kit);
  registerAgainstModel(kit);
}

function registerWrites({ withStore }: MetaStoreKit): void {
  withStore('what transact wrote is there when it resolves', async (store) => {
    await write(store, put('a', '1'), put('b', '2'));
    assert.deepEqual(await texts(store, 'a', 'b'), ['1', '2']);
    await write(store, put('a', '3'), remove('b'));
    assert.deepEqual(await listing(store), ['a=3']);
  });
  withStore('removing an absent row is fine', async (store) => {
    await write(store, remove('none'), put('a', '1'), remove('none', 'oplog'));
    assert.deepEqual(await listing(store), ['a=1']);
  });
  withStore('of several writes of one key the last wins', async (store) => {
    await write(
      store,
      put('a', '1'),
      put('b', '1'),
      remove('b'),
      put('a', '2'),
      remove('c'),
      put('c', '3'),
      put('d', '1'),
    );
    await write(store, put('d', '2'), remove('d'), put('d', '3'));
    assert.deepEqual(await listing(store), ['a=2', 'c=3', 'd=3']);
  });
  withStore('a written row takes nothing of its neighbours with it', async (store) => {
    await write(store, put('a', '1'), put('ab', '2'), put('abc', '3'));
    await write(store, remove('ab'));
    assert.deepEqual(await listing(store), ['a=1', 'abc=3']);
    await write(store, put('ab', ''), put('a', 'longer than before'));
    assert.deepEqual(await listing(store), ['a=longer than before', 'ab=', 'abc=3']);
  });
  withStore('no writes is fine', async (store) => {
    assert.equal(await store.transact({}, () => ({ kind: 'write', writes: [], result: 'r' })), 'r');
    assert.deepEqual(await listing(store), []);
  });
}

function registerDecisions({ withStore }: MetaStoreKit): void {
  withStore('transact resolves with exactly the result', async (store) => {
    for (const result of [undefined, null, 0, 'text', Symbol('s'), { an: 'object' }, () => 1]) {
      assert.equal(await store.transact({}, () => ({ kind: 'write', writes: [put('a', '1')], result })), result);
    }
  });
  withStore('decide gets values and rows in the order they were declared', async (store) => {
    await write(store, put('a', '1'), put('b', '2'), put('o', '3', 'oplog'));
    const reads = {
      keys: [at('b'), at('none'), at('a'), at('b')],
      ranges: [all('oplog'), { ...all(), limit: 1, reverse: true }, all('queues')],
    };
    const { values, rows } = await store.transact(reads, (read) => ({ kind: 'write', writes: [], result: read }));
    assert.deepEqual(values.map(text), ['2', undefined, '1', '2']);
    const keys = rows.map((range) => range.map(({ key }) => text(key)));
    assert.deepEqual(keys, [['o'], ['b'], []]);
  });
  withStore('decide gets nothing when nothing was declared', async (store) => {
    const read = await store.transact({}, (seen) => ({ kind: 'write', writes: [], result: seen }));
    same(read, { values: [], rows: [] }, 'reads');
  });
  withStore('need reads more and keeps what was read', async (store) => {
    await write(store, put('a', 'b'), put('b', 'c'), put('c', 'end'), put('o', '1', 'oplog'));
    let rounds = 0;
    const seen = await store.transact({ keys: [at('a')], ranges: [all('oplog')] }, ({ values, rows }) => {
      assert.ok(++rounds <= 4, 'decide was called again without what it had read before');
      const last = text(values.at(-1));
      if (last !== 'end') return { kind: 'need', reads: { keys: [at(String(last))] } };
      if (rows.length < 2) return { kind: 'need', reads: { ranges: [{ ...all(), limit: 2 }] } };
      return {
        kind: 'write',
        writes: [put('found', 'yes')],
        result: { values, rows: rows.map((range) => range.length) },
      };
    });
    assert.deepEqual(seen.values.map(text), ['b', 'c', 'end']);
    assert.deepEqual(seen.rows, [1, 2]);
    assert.deepEqual(await texts(store, 'found'), ['yes']);
  });
}

function registerRefusal({ withStore }: MetaStoreKit): void {
  const thrown = [new Error('refused'), new TypeError('also'), 'a string', undefined, { code: 'an object' }];
  withStore('throwing rejects with exactly what was thrown, and nothing is written', async (store) => {
    await write(store, put('a', '1'));
    for (const refusal of thrown) {
      const call = store.transact({ keys: [at('a')] }, () => {
        // oxlint-disable-next-line only-throw-error -- the contract: whatever is thrown comes back
        throw refusal;
      });
      const outcome = await call.then(
        () => 'resolved',
        (error: unknown) => ({ error }),
      );
      assert.ok(typeof outcome === 'object' && Object.is(outcome.error, refusal), 'not what was thrown');
    }
    assert.deepEqual(await listing(store), ['a=1']);
  });
  withStore('a refusal in a later round leaves nothing, and the next call is not hurt', async (store) => {
    await write(store, put('a', '1'));
    const refusal = new Error('refused');
    const call = store.transact<never>({ keys: [at('a')] }, ({ values }) => {
      if (values.length === 1) return { kind: 'need', reads: { keys: [at('b')] } };
      throw refusal;
    });
    await assert.rejects(call, (error) => error === refusal);
    await store.transact({ keys: [at('a')] }, writing([put('b', '2')]));
    assert.deepEqual(await listing(store), ['a=1', 'b=2']);
  });
}

function registerAgainstModel({ forAll }: MetaStoreKit): void {
  const reads = fc.record({ keys: fc.array(anyKey, { maxLength: 4 }), ranges: fc.array(anyRange, { maxLength: 3 }) });
  const call = fc.record({
    rounds: fc.array(reads, { minLength: 1, maxLength: 4 }),
    writes: anyWrites,
    refuse: fc.boolean(),
  });
  forAll(
    'any calls with any rounds read and write as the model does',
    fc.array(call, { maxLength: 6 }),
    async (store, calls) => {
      const model = new MetaModel();
      for (const { rounds, writes, refuse } of calls) {
        const seen: MetaReadResult[] = [];
        const settled = store.transact(rounds[0] ?? {}, (read) => {
          seen.push({ values: [...read.values], rows: [...read.rows] });
          const next = rounds[seen.length];
          if (next !== undefined) return { kind: 'need', reads: next };
          if (refuse) throw new Error('refused');
          return { kind: 'write', writes, result: undefined };
        });
        if (refuse) await assert.rejects(settled, /refused/);
        else await settled;
        for (const [round, read] of seen.entries()) same(read, expected(model, rounds.slice(0, round + 1)), 'a round');
        assert.equal(seen.length, rounds.length);
        if (!refuse) model.apply(writes);
        await sameAsModel(store, model);
      }
    },
  );
  forAll('bytes come back as they went in', fc.uint8Array({ maxLength: 3000 }), async (store, value) => {
    const key = value.length === 0 ? utf8('empty') : value;
    await store.transact({}, writing([{ space: 'parts', key, value }]));
    same(await store.scan(all('parts')), [{ key, value }], 'the row');
  });
}

function expected(model: MetaModel, rounds: readonly Required<MetaReads>[]): MetaReadResult {
  return {
    values: model.get(rounds.flatMap(({ keys }) => keys)),
    rows: rounds.flatMap(({ ranges }) => ranges).map((range) => model.scan(range)),
  };
}
