/** Snapshots: a cut that stands still while the store goes on. */
import assert from 'node:assert/strict';

import * as fc from 'fast-check';

import type { MetaSnapshot } from '../../../core/contracts/index.ts';
import { rejectsWith } from '../traits.ts';
import { all, anyWrites, at, listing, put, remove, sameAsModel, texts, write, type MetaStoreKit } from './kit.ts';
import { MetaModel } from './model.ts';

export function registerSnapshots({ withStore, forAll }: MetaStoreKit): void {
  withStore('a snapshot sees what was committed before it and nothing after', async (store) => {
    await write(store, put('a', '1'), put('b', '2'));
    await using snapshot = await store.snapshot();
    await write(store, put('a', 'changed'), remove('b'), put('c', 'new'));
    assert.deepEqual(await listing(snapshot), ['a=1', 'b=2']);
    assert.deepEqual(await texts(snapshot, 'a', 'b', 'c'), ['1', '2', undefined]);
    assert.deepEqual(await listing(snapshot, { ...all(), reverse: true, limit: 1 }), ['b=2']);
    assert.deepEqual(await listing(store), ['a=changed', 'c=new']);
  });
  withStore('a snapshot of nothing stays empty', async (store) => {
    await using snapshot = await store.snapshot();
    await write(store, put('a', '1'));
    assert.deepEqual(await listing(snapshot), []);
  });
  withStore('a write after a snapshot that nothing has read yet is not seen', async (store) => {
    await write(store, put('a', '1', 'oplog'));
    await using snapshot = await store.snapshot();
    for (let round = 0; round < 5; round++) await write(store, put('a', String(round), 'oplog'));
    assert.deepEqual(await listing(snapshot, all('oplog')), ['a=1']);
  });
  withStore('disposing is idempotent and ends its methods with Closed', async (store) => {
    const snapshot = await store.snapshot();
    await snapshot[Symbol.asyncDispose]();
    await snapshot[Symbol.asyncDispose]();
    await rejectsWith('Closed', () => snapshot.get([at('a')]));
    await rejectsWith('Closed', () => snapshot.scan(all()));
    await write(store, put('a', '1'));
    assert.deepEqual(await listing(store), ['a=1']);
  });
  withStore('closing the store ends its snapshots', async (store) => {
    const snapshot = await store.snapshot();
    await store.close();
    await rejectsWith('Closed', () => snapshot.get([at('a')]));
    await snapshot[Symbol.asyncDispose]();
  });
  withStore('many snapshots at once each keep their own cut', async (store) => {
    const snapshots: MetaSnapshot[] = [];
    for (let round = 0; round < 12; round++) {
      await write(store, put('round', String(round)));
      snapshots.push(await store.snapshot());
    }
    for (const [round, snapshot] of snapshots.entries()) {
      assert.deepEqual(await texts(snapshot, 'round'), [String(round)]);
      await snapshot[Symbol.asyncDispose]();
    }
  });
  forAll(
    'any snapshots agree with copies of the model',
    fc.array(anyWrites, { maxLength: 8 }),
    async (store, commits) => {
      const model = new MetaModel();
      const cuts: { readonly snapshot: MetaSnapshot; readonly copy: MetaModel }[] = [];
      for (const writes of commits) {
        cuts.push({ snapshot: await store.snapshot(), copy: model.copy() });
        await write(store, ...writes);
        model.apply(writes);
      }
      for (const { snapshot, copy } of cuts) {
        await sameAsModel(snapshot, copy);
        await snapshot[Symbol.asyncDispose]();
      }
      await sameAsModel(store, model);
    },
  );
}
