/** Rule 18 while very many versions wait for their bytes: who waits for a listing looks through them once, not at every commit. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCausality } from '../../core/engine/causality.ts';
import { fetchKey, headKey } from '../../core/engine/keys.ts';
import type { HeadRecord } from '../../core/engine/records.ts';
import { transact } from '../../core/engine/txn.ts';
import { causalityToken } from '../../core/engine/versions.ts';
import { createNodeRuntime } from '../../core/kernel/runtime/index.ts';
import { silentLogger } from './fake-stores.ts';
import { storeOver } from './store-over.ts';
import { Author, content, memoryStore } from './support.ts';

const OTHERS = 2000;
const WAKES = 50;

test('a listing that waits for bytes reads the list of missing ones once, however often it is woken', async () => {
  const store = await memoryStore();
  const author = new Author('a');
  const stamps = Array.from({ length: OTHERS + 2 }, () => author.write({ type: 'bucket.remove', bucket: 'b' }).stamp);
  const head: HeadRecord = {
    stamp: stamps[0] as string,
    deps: {},
    owner: 'o',
    modifiedAtMs: 1,
    content: content('x'),
    local: { pending: true },
  };
  const awaited = ['p/1', 'p/2'];
  await transact(store, {}, (txn) => {
    for (const [at, stamp] of stamps.entries())
      txn.put(fetchKey(stamp), { bucket: 'b', key: at < OTHERS ? `other${at}` : (awaited[at - OTHERS] as string) });
    for (const key of awaited) txn.put(headKey('b', key), head);
  });
  let rows = 0;
  const reader = storeOver(store, {
    async scan(range) {
      const found = await store.scan(range);
      rows += found.length;
      return found;
    },
  });
  const { runtime, close } = createNodeRuntime(silentLogger);
  const causality = createCausality({ ...runtime, reader });
  const waiting = causality.waitFor(causalityToken({}), { bucket: 'b', prefix: 'p/' }, { timeoutMs: 60_000 });
  for (const key of awaited) {
    for (let at = 0; at < WAKES; at++) {
      await new Promise((resolve) => setImmediate(resolve));
      causality.wake();
    }
    await transact(store, {}, (txn) => txn.remove(headKey('b', key)));
  }
  causality.wake();
  await waiting;
  assert.ok(rows < 2 * OTHERS, `${rows} rows were read`);
  await close();
});
