/** Many calls at once: as if one ran after another. */
import assert from 'node:assert/strict';

import * as fc from 'fast-check';

import type { MetaStore } from '../../../core/contracts/index.ts';
import { all, at, put, same, text, texts, utf8, write, writing, type MetaStoreKit } from './kit.ts';

const numberOf = (value: Uint8Array | undefined): number => Number(text(value) ?? 0);

export async function increment(store: MetaStore, name: string): Promise<number> {
  return await store.transact({ keys: [at(name, 'counters')] }, ({ values }) => {
    const next = numberOf(values[0]) + 1;
    return { kind: 'write', writes: [put(name, String(next), 'counters')], result: next };
  });
}

export function registerConcurrency(kit: MetaStoreKit): void {
  registerCounters(kit);
  registerInvariants(kit);
  registerConsistentReads(kit);
}

function registerCounters({ withStore }: MetaStoreKit): void {
  withStore('increments at once are all counted, each result given once', async (store) => {
    const results = await Promise.all(Array.from({ length: 40 }, () => increment(store, 'c')));
    assert.deepEqual(
      results.toSorted((a, b) => a - b),
      Array.from({ length: 40 }, (_, index) => index + 1),
    );
    same(await store.get([at('c', 'counters')]), [utf8('40')], 'the counter');
  });
  withStore('increments read in a need round are counted as well', async (store) => {
    const slow = () =>
      store.transact({ keys: [at('elsewhere')] }, ({ values }) => {
        if (values.length === 1) return { kind: 'need', reads: { keys: [at('c')] } };
        return { kind: 'write', writes: [put('c', String(numberOf(values[1]) + 1))], result: undefined };
      });
    await Promise.all(Array.from({ length: 20 }, slow));
    assert.deepEqual(await texts(store, 'c'), ['20']);
  });
}

function registerInvariants({ withStore, forAll }: MetaStoreKit): void {
  withStore('two that each read both rows cannot both write as if alone (write skew)', async (store) => {
    await write(store, put('x', '1'), put('y', '1'));
    const leave = (name: string) =>
      store.transact({ keys: [at('x'), at('y')] }, ({ values }) => {
        const present = numberOf(values[0]) + numberOf(values[1]);
        return { kind: 'write', writes: present > 1 ? [put(name, '0')] : [], result: present > 1 };
      });
    const left = await Promise.all([leave('x'), leave('y')]);
    assert.equal(left.filter(Boolean).length, 1, 'exactly one may leave');
  });
  withStore('rows that appear in a range that was read count as changes (phantoms)', async (store) => {
    const join = (name: string) =>
      store.transact({ ranges: [all('queues')] }, ({ rows }) => {
        const room = (rows[0]?.length ?? 0) < 3;
        return { kind: 'write', writes: room ? [put(name, '', 'queues')] : [], result: room };
      });
    const joined = await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map(join));
    assert.equal(joined.filter(Boolean).length, 3);
    assert.equal((await store.scan(all('queues'))).length, 3);
  });
  const account = fc.constantFrom('a', 'b', 'c');
  const transfers = fc.array(fc.record({ from: account, to: account, amount: fc.nat(20) }), { maxLength: 20 });
  forAll('transfers at once keep the total', transfers, async (store, drawn) => {
    await write(store, put('a', '10'), put('b', '10'), put('c', '10'));
    await Promise.all(drawn.map((transfer) => move(store, transfer)));
    const balances = (await texts(store, 'a', 'b', 'c')).map(Number);
    assert.equal(
      balances.reduce((sum, balance) => sum + balance),
      30,
    );
    assert.ok(
      balances.every((balance) => balance >= 0),
      'an account was overdrawn',
    );
  });
}

async function move(
  store: MetaStore,
  { from, to, amount }: { from: string; to: string; amount: number },
): Promise<void> {
  await store.transact({ keys: [at(from), at(to)] }, ({ values }) => {
    const [source, target] = values.map(numberOf) as [number, number];
    if (source < amount || from === to) return { kind: 'write', writes: [], result: undefined };
    const writes = [put(from, String(source - amount)), put(to, String(target + amount))];
    return { kind: 'write', writes, result: undefined };
  });
}

function registerConsistentReads({ withStore }: MetaStoreKit): void {
  withStore('get, scan and snapshot show whole commits only', async (store) => {
    const rounds = 15;
    const commits = Array.from({ length: rounds }, async (_, index) => {
      const value = String(index);
      await store.transact({}, writing(['a', 'b', 'c'].map((key) => put(key, value))));
    });
    const pairs = Array.from({ length: rounds }, async () => {
      const values = await texts(store, 'a', 'b', 'c');
      const rows = (await store.scan(all())).map(({ value }) => text(value));
      await using snapshot = await store.snapshot();
      return [values, rows, await texts(snapshot, 'a', 'b', 'c')];
    });
    const seen = (await Promise.all(pairs)).flat();
    await Promise.all(commits);
    for (const values of seen) assert.equal(new Set(values).size <= 1, true, `torn: ${values.join(', ')}`);
  });
  withStore('a read sees every commit that resolved before it', async (store) => {
    for (let round = 1; round <= 20; round++) {
      await increment(store, 'c');
      same(await store.get([at('c', 'counters')]), [utf8(String(round))], 'get');
      same(await store.scan(all('counters')), [{ key: utf8('c'), value: utf8(String(round)) }], 'scan');
    }
  });
}
