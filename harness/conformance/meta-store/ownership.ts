/** Bytes that were passed stay the caller's, bytes that were returned become the caller's. */
import assert from 'node:assert/strict';

import type { MetaReader, MetaStore } from '../../../core/contracts/index.ts';
import { all, at, listing, put, texts, utf8, write, writing, type MetaStoreKit } from './kit.ts';

const scribble = (bytes: Uint8Array | undefined): void => void bytes?.fill(0x21);

/** Reads in every way and overwrites all that came back. */
async function scribbleOver(reader: MetaReader): Promise<void> {
  for (const value of await reader.get([at('a'), at('b')])) scribble(value);
  for (const { key, value } of await reader.scan(all())) [key, value].forEach(scribble);
}

export function registerOwnership({ withStore }: MetaStoreKit): void {
  withStore('bytes passed may change once the call has settled', async (store) => {
    const key = utf8('a');
    const value = utf8('1');
    await store.transact({}, writing([{ space: 'heads', key, value }]));
    [key, value].forEach(scribble);
    assert.deepEqual(await listing(store), ['a=1']);
    const removed = utf8('a');
    await store.transact({ keys: [{ space: 'heads', key: removed }] }, writing([put('b', '2')]));
    scribble(removed);
    assert.deepEqual(await listing(store), ['a=1', 'b=2']);
  });
  withStore('a view into a larger buffer is stored as the view alone', async (store) => {
    const large = Buffer.from('....akey....avalue....');
    await store.transact({}, writing([{ space: 'heads', key: large.subarray(4, 8), value: large.subarray(12, 18) }]));
    scribble(large);
    assert.deepEqual(await listing(store), ['akey=avalue']);
    const view = Buffer.from('..akey..').subarray(2, 6);
    assert.equal((await store.get([{ space: 'heads', key: view }]))[0]?.length, 6);
  });
  withStore('bytes returned may be changed without the store noticing', async (store) => {
    await write(store, put('a', '1'), put('b', '2'));
    await using snapshot = await store.snapshot();
    const unharmed = async (reader: MetaReader): Promise<void> => {
      assert.deepEqual(await texts(reader, 'a', 'b'), ['1', '2']);
      assert.deepEqual(await listing(reader), ['a=1', 'b=2']);
    };
    for (const reader of [store, snapshot]) {
      await scribbleOver(reader);
      await unharmed(reader);
    }
    await scribbleInTransact(store);
    await unharmed(store);
    await unharmed(snapshot);
  });
  withStore('bytes returned never change under the caller', async (store) => {
    await write(store, put('a', '1'));
    const [value] = await store.get([at('a')]);
    const [row] = await store.scan(all());
    await write(store, put('a', '2'));
    await write(store, put('b', '3'));
    assert.deepEqual([value, row?.key, row?.value].map(String), [utf8('1'), utf8('a'), utf8('1')].map(String));
  });
}

async function scribbleInTransact(store: MetaStore): Promise<void> {
  const reads = { keys: [at('a')], ranges: [all()] };
  const read = await store.transact(reads, (seen) => ({ kind: 'write', writes: [], result: seen }));
  for (const value of read.values) scribble(value);
  for (const { key, value } of read.rows.flat()) [key, value].forEach(scribble);
}
