/** What is outside the stated bounds is refused with `InvalidArgument`, and nothing is written. */
import assert from 'node:assert/strict';

import type { MetaKey, MetaRange, MetaSpace, MetaWrite } from '../../../core/contracts/index.ts';
import { rejectsWith } from '../traits.ts';
import { all, at, listing, put, write, writing, type MetaStoreKit } from './kit.ts';

const noSpace = 'nowhere' as MetaSpace;

const BAD_KEYS: Readonly<Record<string, MetaKey>> = {
  'an empty key': { space: 'heads', key: new Uint8Array(0) },
  'a key of 4,097 bytes': { space: 'heads', key: new Uint8Array(4097) },
  'a key in an unknown space': at('a', noSpace),
};

const BAD_RANGES: Readonly<Record<string, MetaRange>> = {
  'a limit of 0': { space: 'heads', limit: 0 },
  'a limit of 10,001': { space: 'heads', limit: 10_001 },
  'a limit of 1.5': { space: 'heads', limit: 1.5 },
  'an unknown space': all(noSpace),
};

const BAD_WRITES: Readonly<Record<string, MetaWrite>> = {
  'a value of 1 MiB and a byte': { ...at('a'), value: new Uint8Array(1024 * 1024 + 1) },
  'an empty key': { space: 'heads', key: new Uint8Array(0), value: new Uint8Array(1) },
  'a removed key of 4,097 bytes': { space: 'heads', key: new Uint8Array(4097), value: undefined },
  'an unknown space': put('a', '1', noSpace),
};

export function registerRefusals({ withStore }: MetaStoreKit): void {
  for (const [what, key] of Object.entries(BAD_KEYS)) {
    withStore(`get and transact refuse ${what}`, async (store) => {
      await rejectsWith('InvalidArgument', () => store.get([at('fine'), key]));
      await rejectsWith('InvalidArgument', () => store.transact({ keys: [key] }, writing([])));
      const needing = () => ({ kind: 'need' as const, reads: { keys: [key] } });
      await rejectsWith('InvalidArgument', () => store.transact({}, needing));
    });
  }
  for (const [what, range] of Object.entries(BAD_RANGES)) {
    withStore(`scan and transact refuse ${what}`, async (store) => {
      await rejectsWith('InvalidArgument', () => store.scan(range));
      await rejectsWith('InvalidArgument', () => store.transact({ ranges: [range] }, writing([])));
    });
  }
  for (const [what, bad] of Object.entries(BAD_WRITES)) {
    withStore(`transact refuses ${what} and writes nothing`, async (store) => {
      await write(store, put('old', '1'));
      await rejectsWith('InvalidArgument', () => write(store, put('new', '2'), bad, put('old', '3')));
      assert.deepEqual(await listing(store), ['old=1']);
      await write(store, put('new', '4'));
      assert.deepEqual(await listing(store), ['new=4', 'old=1']);
    });
  }
  withStore('snapshots refuse the same', async (store) => {
    await using snapshot = await store.snapshot();
    for (const key of Object.values(BAD_KEYS)) await rejectsWith('InvalidArgument', () => snapshot.get([key]));
    for (const range of Object.values(BAD_RANGES)) await rejectsWith('InvalidArgument', () => snapshot.scan(range));
  });
  withStore('a range bound may be longer than any key', async (store) => {
    await write(store, put('a', '1'), put('b', '2'));
    const long = new Uint8Array(5000).fill(0x61);
    assert.deepEqual(await listing(store, { ...all(), from: long }), ['b=2']);
    assert.deepEqual(await listing(store, { ...all(), to: long }), ['a=1']);
  });
}
