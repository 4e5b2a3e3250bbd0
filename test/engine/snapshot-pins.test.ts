/** Snapshots that are pinned for peers: let go of when nobody reads them, and not while somebody does. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SkerryError, type Logger, type MetaStore } from '../../core/contracts/index.ts';
import { createNodeRuntime } from '../../core/kernel/runtime/index.ts';
import { createCutServer } from '../../core/engine/snapshot.ts';
import { silentLogger } from './fake-stores.ts';
import { storeOver } from './store-over.ts';
import { Author, applyInOrder, memoryStore } from './support.ts';

const { runtime } = createNodeRuntime(silentLogger);
const LEASE_MS = 1000;
const PAGE = { maxEntities: 10, maxBytes: 1000 };

/** Time and timers that move by hand. */
function manual() {
  let [nowMs, wake] = [0, () => {}];
  const timers = {
    ...runtime.timers,
    after(_: number, run: () => void) {
      wake = run;
      return { cancel: () => (wake = () => {}) };
    },
  };
  return {
    timers,
    clock: { wallMs: () => nowMs, monotonicMs: () => nowMs },
    pass(ms: number) {
      nowMs += ms;
      wake();
    },
  };
}

/** `onDispose` is awaited before a snapshot is let go of. */
function serverOf(store: MetaStore, onDispose: () => Promise<void>, logger: Logger = silentLogger) {
  const time = manual();
  let open = 0;
  const metaStore = storeOver(store, {
    async snapshot() {
      const snapshot = await store.snapshot();
      open++;
      return {
        get: (keys) => snapshot.get(keys),
        scan: (range) => snapshot.scan(range),
        async [Symbol.asyncDispose]() {
          await onDispose();
          open--;
          await snapshot[Symbol.asyncDispose]();
        },
      };
    },
  });
  const cuts = createCutServer({ ...runtime, ...time, metaStore, logger, leaseTtlMs: LEASE_MS });
  return { cuts, time, open: () => open };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function filled(): Promise<MetaStore> {
  const store = await memoryStore();
  await applyInOrder(store, [
    new Author('a').write({ type: 'bucket.create', bucket: 'b', owner: 'o', createdAtMs: 1 }),
  ]);
  return store;
}

describe('pinned snapshots', () => {
  test('that nobody asked for go; one that is asked for while others are let go of stays', async () => {
    const { promise: slow, resolve: go } = Promise.withResolvers<void>();
    const { cuts, time, open } = serverOf(await filled(), () => slow);
    const [first, second] = [await cuts.open(), await cuts.open()];
    time.pass(LEASE_MS);
    await cuts.page(second.cutId, undefined, PAGE);
    go();
    await turn();
    assert.equal(open(), 1);
    assert.equal(cuts.find(first.cutId), undefined);
    assert.equal((await cuts.page(second.cutId, undefined, PAGE)).entities.length, 1);
    await cuts.close();
    assert.equal(open(), 0);
  });

  test('one that cannot be let go of is told of, and the others go', async () => {
    const errors: unknown[] = [];
    let failures = 1;
    const onDispose = async (): Promise<void> => {
      if (failures-- > 0) throw new SkerryError('Io', 'the disk failed');
    };
    const logger = { ...silentLogger, error: (fields: unknown) => void errors.push(fields) };
    const { cuts, time, open } = serverOf(await filled(), onDispose, logger);
    await cuts.open();
    await cuts.open();
    time.pass(LEASE_MS);
    await turn();
    assert.deepEqual([open(), errors.length], [1, 1]);
    await cuts.close();
  });

  test('none is left of one that was being opened at the close', async () => {
    const { cuts, open } = serverOf(await filled(), async () => {});
    const opened = assert.rejects(cuts.open(), { code: 'Closed' });
    await cuts.close();
    await opened;
    assert.equal(open(), 0);
  });
});
