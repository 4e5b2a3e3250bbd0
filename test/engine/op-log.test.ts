import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SkerryError, type ChunkStore, type MetaStore, type Op } from '../../core/contracts/index.ts';
import { clockKey, oplogKey } from '../../core/engine/keys.ts';
import { createOpLog, type OpLog } from '../../core/engine/op-log.ts';
import type { ClockRecord } from '../../core/engine/records.ts';
import { ledgerSyncs, type LedgeredChunkStore } from '../../core/engine/sync-ledger.ts';
import { transact } from '../../core/engine/txn.ts';
import { advanceVector, EMPTY_VECTOR } from '../../core/engine/vector.ts';
import { createNodeRuntime } from '../../core/kernel/runtime/index.ts';
import { MemoryChunkStore } from '../../plugins/chunks-memory/store.ts';
import { silentLogger } from '../support/plugin-deps.ts';
import { Author, memoryStore } from './support.ts';

/** A site that commits ops, with a log over a chunk-store that can be made to fail. */
class Rig {
  readonly author = new Author('waw');
  readonly faults = { append: 0, sync: 0 };
  readonly errors: string[] = [];
  readonly metaStore: MetaStore;
  readonly chunkStore: LedgeredChunkStore;
  /** What the log's timer would call. */
  readonly timers: (() => void)[] = [];

  constructor(metaStore: MetaStore, inner: ChunkStore) {
    this.metaStore = metaStore;
    const { faults } = this;
    const append = inner.append.bind(inner);
    inner.append = async (records) => {
      if (faults.append-- > 0) throw new SkerryError('OutOfSpace', 'no space');
      return append(records);
    };
    inner.sync = async () => {
      if (faults.sync-- > 0) throw new SkerryError('Io', 'fdatasync failed');
    };
    this.chunkStore = ledgerSyncs(inner);
  }

  static async start(): Promise<Rig> {
    const chunkStore = new MemoryChunkStore({ capacityBytes: 0 });
    await chunkStore.open();
    return new Rig(await memoryStore(), chunkStore);
  }

  async openLog(): Promise<OpLog> {
    const { runtime } = createNodeRuntime(silentLogger);
    const log = createOpLog({
      ...runtime,
      metaStore: this.metaStore,
      chunkStore: this.chunkStore,
      timers: {
        ...runtime.timers,
        after: (_delayMs, callback) => {
          this.timers.push(callback);
          return { cancel: () => void this.timers.splice(this.timers.indexOf(callback), 1) };
        },
      },
      logger: { ...silentLogger, error: (_fields, message) => this.errors.push(message) },
    });
    await log.open();
    return log;
  }

  /** Commits ops as the committer does. */
  async commit(count: number): Promise<readonly Op[]> {
    const ops = Array.from({ length: count }, (_, at) =>
      this.author.write({ type: 'policy.put', id: `p${at}`, value: { at } }),
    );
    await transact(this.metaStore, { keys: [clockKey] }, (txn) => {
      const clock = txn.record<ClockRecord>(clockKey);
      let vector = clock?.vector ?? EMPTY_VECTOR;
      for (const op of ops) {
        txn.put(oplogKey(op.dot.origin, op.dot.seq), op);
        vector = advanceVector(vector, op.dot);
      }
      txn.put(clockKey, { hlc: ops.at(-1)?.stamp.slice(0, 16) ?? '', vector } satisfies ClockRecord);
    });
    return ops;
  }

  /** Sequence numbers in the order of the log. */
  async logged(): Promise<readonly number[]> {
    const seqs: number[] = [];
    for await (const batch of this.chunkStore.scan()) {
      for (const { locator } of batch) {
        const text = Buffer.from(await this.chunkStore.read(locator)).toString('utf8');
        seqs.push(
          ...text
            .trim()
            .split('\n')
            .map((line) => (JSON.parse(line) as Op).dot.seq),
        );
      }
    }
    return seqs;
  }
}

const upTo = (last: number): number[] => Array.from({ length: last }, (_, at) => at + 1);

describe('the log of ops next to the data', () => {
  test('holds each op once, over restarts too', async () => {
    const rig = await Rig.start();
    for (let run = 0; run < 3; run++) {
      const log = await rig.openLog();
      log.append(await rig.commit(2));
      log.append(await rig.commit(1));
      await log.close();
    }
    assert.deepEqual(await rig.logged(), upTo(9));
    assert.deepEqual(rig.errors, []);
  });

  test('gets what a killed process did not come to append', async () => {
    const rig = await Rig.start();
    const killed = await rig.openLog();
    killed.append(await rig.commit(3));
    await rig.commit(700);
    const log = await rig.openLog();
    log.append(await rig.commit(1));
    await log.close();
    assert.deepEqual([...new Set(await rig.logged())], upTo(704));
  });

  test('catches up after a full disk, in order, and says so once', async () => {
    const rig = await Rig.start();
    const log = await rig.openLog();
    rig.faults.append = 2;
    log.append(await rig.commit(300));
    log.append(await rig.commit(300));
    await log.close();
    assert.equal(rig.errors.length, 1);
    const next = await rig.openLog();
    await next.close();
    assert.deepEqual([...new Set(await rig.logged())], upTo(600));
  });

  test('by itself, a moment later', async () => {
    const rig = await Rig.start();
    const log = await rig.openLog();
    rig.faults.append = 1;
    log.append(await rig.commit(2));
    const [sync] = rig.timers.splice(0);
    sync?.();
    log.append(await rig.commit(1));
    await log.close();
    assert.deepEqual(await rig.logged(), upTo(3));
  });

  test('appends again what a failed sync took, its own or another’s', async () => {
    const rig = await Rig.start();
    const log = await rig.openLog();
    log.append(await rig.commit(2));
    rig.timers.splice(0)[0]?.();
    log.append(await rig.commit(256));
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal((await rig.logged()).length, 258, 'appended, not synced');
    rig.faults.sync = 1;
    await assert.rejects(rig.chunkStore.sync(), { code: 'Io' });
    await log.close();
    assert.deepEqual(await rig.logged(), upTo(258), 'what the failed sync took was freed and appended again');
    rig.faults.sync = 1;
    const next = await rig.openLog();
    next.append(await rig.commit(1));
    await next.close();
    assert.deepEqual([...new Set(await rig.logged())], upTo(259));
  });

  test('a site opens although its disk is full', async () => {
    const rig = await Rig.start();
    await rig.commit(2);
    rig.faults.append = 2;
    const log = await rig.openLog();
    await log.close();
    assert.equal(rig.errors.length, 1);
    assert.deepEqual(await rig.logged(), []);
  });
});
