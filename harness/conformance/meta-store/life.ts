/** Opening, closing, reopening, sharing, checking. */
import assert from 'node:assert/strict';

import * as fc from 'fast-check';

import type { MetaStore } from '../../../core/contracts/index.ts';
import { withFixture, withOpen, type Fixture } from '../runner.ts';
import { lifecycleTrait, rejectsWith } from '../traits.ts';
import { increment } from './concurrency.ts';
import { all, anyWrites, at, listing, put, remove, sameAsModel, write, type MetaStoreKit } from './kit.ts';
import { MetaModel } from './model.ts';

const OPERATIONS = {
  get: (store: MetaStore) => store.get([at('a')]),
  scan: (store: MetaStore) => store.scan(all()),
  transact: (store: MetaStore) => write(store, put('a', '1')),
  snapshot: (store: MetaStore) => store.snapshot(),
  check: (store: MetaStore) => store.check(),
};

export function registerLife(kit: MetaStoreKit): void {
  lifecycleTrait({ test: kit.test, create: kit.create, operations: OPERATIONS });
  registerCheck(kit);
  if (kit.supports.durable) registerDurable(kit);
  if (kit.supports.shared) registerShared(kit);
}

function registerCheck({ withStore }: MetaStoreKit): void {
  withStore('check of a healthy store is ok and counts rows by space', async (store) => {
    await write(store, put('a', '1'), put('b', '2'), put('c', ''), put('o', '1', 'oplog'));
    await write(store, remove('b'), put('a', 'again'));
    const report = await store.check();
    assert.deepEqual([report.ok, report.problems], [true, []]);
    assert.deepEqual([report.rows.heads ?? 0, report.rows.oplog ?? 0, report.rows.queues ?? 0], [2, 1, 0]);
  });
  withStore('check obeys its signal', async (store) => {
    await rejectsWith('Aborted', () => store.check(AbortSignal.abort()));
    assert.equal((await store.check(new AbortController().signal)).ok, true);
  });
}

function registerDurable({ test, create, seed = 1, runs = 30 }: MetaStoreKit): void {
  test('what was committed is there after a reopen', () => {
    const histories = fc.array(anyWrites, { maxLength: 5 });
    const property = fc.asyncProperty(histories, (commits) =>
      withFixture(create, (fixture) => survives(fixture, commits)),
    );
    return fc.assert(property, { seed, numRuns: runs });
  });
  test('a transact that ran when close was called is there after a reopen', () =>
    withOpen(create, async (store, fixture) => {
      const running = Array.from({ length: 10 }, () => increment(store, 'c'));
      await store.close();
      await Promise.all(running);
      await withAgain(fixture, async (reopened) => {
        assert.deepEqual(await listing(reopened, all('counters')), ['c=10']);
      });
    }));
}

async function survives(
  fixture: Fixture<MetaStore>,
  commits: readonly Parameters<MetaModel['apply']>[0][],
): Promise<void> {
  const model = new MetaModel();
  await fixture.port.open();
  for (const writes of commits) {
    await write(fixture.port, ...writes);
    model.apply(writes);
  }
  await fixture.port.close();
  await withAgain(fixture, (reopened) => sameAsModel(reopened, model));
}

function registerShared({ test, create }: MetaStoreKit): void {
  test('two open stores over the same data see the commits of each other', () =>
    withOpen(create, (one, fixture) =>
      withAgain(fixture, async (two) => {
        await write(one, put('a', '1'));
        assert.deepEqual(await listing(two), ['a=1']);
        await write(two, put('a', '2'));
        assert.deepEqual(await listing(one), ['a=2']);
      }),
    ));
  test('two open stores over the same data count increments together', () =>
    withOpen(create, (one, fixture) =>
      withAgain(fixture, async (two) => {
        const turns = Array.from({ length: 30 }, (_, index) => increment(index % 2 === 0 ? one : two, 'c'));
        assert.equal(new Set(await Promise.all(turns)).size, 30);
        assert.deepEqual(await listing(one, all('counters')), ['c=30']);
      }),
    ));
}

async function withAgain(fixture: Fixture<MetaStore>, body: (store: MetaStore) => Promise<void>): Promise<void> {
  assert.ok(fixture.again !== undefined, 'supports promises more than one opening: the fixture needs `again`');
  const store = fixture.again();
  try {
    await store.open();
    await body(store);
  } finally {
    await store.close();
  }
}
