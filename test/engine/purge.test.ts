/** Rule 14: the oplog and tombstones go when nobody can need them, and nothing comes back. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { SkerryError, type MetaStore, type Op, type OpBody, type VersionVector } from '../../core/contracts/index.ts';
import { advanceVector, joinVectors, meetVectors } from '../../core/engine/vector.ts';
import { clockKey, opLogKey, oplogKey, trimmedKey } from '../../core/engine/keys.ts';
import { createLeases } from '../../core/engine/leases.ts';
import { createPurger, ownFrontier, type StableFrontier } from '../../core/engine/purge.ts';
import { decodeRecord, type ClockRecord } from '../../core/engine/records.ts';
import { stampHlc } from '../../core/engine/stamp.ts';
import { transact } from '../../core/engine/txn.ts';
import { nodeTimers } from '../../core/kernel/runtime/timers.ts';
import { bucketHistory, bucketSteps } from './bucket-histories.ts';
import { committerOf, mergeInto, restOf, someOf, spread } from './cut-support.ts';
import { silentLogger } from './fake-stores.ts';
import { history, steps } from './histories.ts';
import { storeOver } from './store-over.ts';
import { Author, applyInOrder, content, dump, memoryStore } from './support.ts';

const SITES = ['a', 'b', 'c'];
const PUT = { bucket: 'b', marker: false, owner: 'o', modifiedAtMs: 1 } as const;

async function storeWith(ops: readonly Op[]): Promise<MetaStore> {
  const store = await memoryStore();
  await applyInOrder(store, ops);
  return store;
}

/** Purges with a frontier, as a site that has trimmed its oplog up to it. */
async function purge(store: MetaStore, frontier: StableFrontier): Promise<number> {
  await transact(store, {}, (txn) =>
    txn.put(trimmedKey, joinVectors(txn.record<VersionVector>(trimmedKey) ?? {}, frontier.vector)),
  );
  return (await pass(store, frontier)).tombstones;
}

async function pass(store: MetaStore, frontier: StableFrontier | undefined, keepOps = 0) {
  const committer = committerOf(store);
  const purger = createPurger({
    reader: store,
    committer,
    timers: nodeTimers,
    logger: silentLogger,
    frontier: async () => frontier,
    keepOps,
  });
  const report = await purger.run();
  await purger.close();
  await committer.close();
  return report;
}

/** What three members had reported after the first ops: each what it had when it last wrote. */
function frontierOf(ops: readonly Op[]): StableFrontier | undefined {
  const last = SITES.map((site) => ops.findLast(({ dot }) => dot.origin.startsWith(`${site}.`)));
  if (last.includes(undefined)) return undefined;
  const marks = (last as Op[]).map(({ dot, deps, stamp }) => ({
    vector: advanceVector(deps, dot),
    hlc: stampHlc(stamp),
  }));
  return marks.reduce((a, b) => ({
    vector: meetVectors(a.vector, b.vector),
    hlc: a.hlc < b.hlc ? a.hlc : b.hlc,
  }));
}

const plans = fc.record({
  write: fc.oneof(
    steps(50).map((plan) => async () => spread(history(plan), ['k', 'l'])),
    bucketSteps(50).map((plan) => () => bucketHistory(plan)),
  ),
  known: fc.nat(40),
  count: fc.nat(36),
  picks: fc.infiniteStream(fc.nat(1000)),
});

/** Purging is local: when a site does it decides which tombstones it still has, never what they stand for. */
const withoutTombstones = (text: string): string =>
  text
    .split('\n')
    .filter((line) => !line.startsWith('tombstones ') && !/^registers .*"value":null/.test(line))
    .join('\n');

describe('purging tombstones', () => {
  test('what is stable goes, and whatever comes later finds the state that it would have found', async () => {
    let purged = 0;
    await fc.assert(
      fc.asyncProperty(plans, async ({ write, known }) => {
        const ops = await write();
        const first = ops.slice(0, known);
        const frontier = frontierOf(first);
        fc.pre(frontier !== undefined);
        const [a, plain] = [await storeWith(first), await storeWith(ops)];
        purged += await purge(a, frontier);
        await applyInOrder(a, ops.slice(known));
        assert.equal(withoutTombstones(await dump(a)), withoutTombstones(await dump(plain)));
        await purge(plain, frontier);
        assert.equal(
          withoutTombstones(await dump(a)),
          withoutTombstones(await dump(plain)),
          'purging late leaves the same',
        );
      }),
      // of one seed, so that it is known how much they purge
      { numRuns: 200, seed: 6 },
    );
    assert.ok(purged > 20, `the histories purged ${purged} tombstones`);
  });

  test('a snapshot of a site that purged brings back nothing, whoever merges it', async () => {
    await fc.assert(
      fc.asyncProperty(plans, async ({ write, known, count, picks }) => {
        const ops = await write();
        const ofA = ops.slice(0, known);
        const frontier = frontierOf(ofA);
        fc.pre(frontier !== undefined);
        const ofB = someOf(ops, count, picks);
        const [a, b] = [await storeWith(ofA), await storeWith(ofB)];
        await purge(a, frontier);
        await mergeInto(b, a);
        const both = await storeWith(ops.filter((op) => ofA.includes(op) || ofB.includes(op)));
        for (const store of [b, both]) await purge(store, frontier);
        assert.equal(withoutTombstones(await dump(b)), withoutTombstones(await dump(both)));
        const [row] = await b.get([clockKey]);
        await applyInOrder(b, restOf(ops, decodeRecord<ClockRecord>(row as Uint8Array).vector));
        assert.equal(withoutTombstones(await dump(b)), withoutTombstones(await dump(await storeWith(ops))));
      }),
      { numRuns: 200 },
    );
  });

  test('of a bucket stays while a removal of a version in it may be unknown somewhere, where the version keeps the bucket', async () => {
    const [a, b] = [new Author('a'), new Author('b')];
    const body = { bucket: 'bkt', key: 'k', nullVersion: true, marker: false, owner: 'o', modifiedAtMs: 1 };
    const put = { type: 'version.put', ...body, content: content('x') } as const;
    const created = a.write({ type: 'bucket.create', bucket: 'bkt', owner: 'o', createdAtMs: 1 });
    b.see(created);
    const [removed, kept] = [a.write({ type: 'bucket.remove', bucket: 'bkt' }), b.write(put)];
    a.see(kept);
    b.see(removed);
    const first = [created, removed, kept];
    const emptied = a.write({ type: 'version.remove', bucket: 'bkt', key: 'k', target: null });
    const store = await storeWith([...first, emptied]);
    const vector = first.reduce<VersionVector>((sum, { dot }) => advanceVector(sum, dot), {});
    await purge(store, { vector, hlc: stampHlc(emptied.stamp) });
    const late = b.write(put);
    await applyInOrder(store, [late]);
    assert.equal((await store.scan({ space: 'buckets', limit: 10 })).length, 1);
  });

  test('one that a version was lost to without a fight stays while that conflict is open', async () => {
    const [a, b] = [new Author('a'), new Author('b')];
    const at = { bucket: 'b', key: 'k' };
    const lost = a.write({
      type: 'version.put',
      ...at,
      nullVersion: true,
      marker: false,
      owner: 'o',
      modifiedAtMs: 1,
      content: content('x'),
    });
    const store = await storeWith([lost, b.write({ type: 'version.remove', ...at, target: null }, 5)]);
    const before = await dump(store);
    assert.equal(await purge(store, (await ownFrontier(store)) as StableFrontier), 0);
    assert.equal(await dump(store), before);
  });

  test('one whose op is not trimmed stays: a site that asks for it could learn what others forgot', async () => {
    const author = new Author('a');
    const store = await storeWith([author.write({ type: 'version.remove', bucket: 'b', key: 'k', target: null })]);
    const frontier = await ownFrontier(store);
    assert.equal((await pass(store, frontier)).tombstones, 0);
    assert.equal(await purge(store, frontier as StableFrontier), 1);
  });
});

describe('trimming the oplog', () => {
  const NOW_MS = 1000;

  async function logged(count: number): Promise<{ readonly store: MetaStore; readonly ops: readonly Op[] }> {
    const author = new Author('a');
    const ops = Array.from({ length: count }, (_, i) =>
      author.write({
        type: 'version.put',
        bucket: 'b',
        key: `k${i}`,
        nullVersion: true,
        marker: false,
        owner: 'o',
        modifiedAtMs: i,
        content: content('x'),
      }),
    );
    const store = await storeWith(ops);
    await transact(store, {}, (txn) => {
      for (const op of ops) txn.put(oplogKey(op.dot.origin, op.dot.seq), op);
      txn.put(opLogKey, { vector: { [(ops[0] as Op).dot.origin]: count } });
    });
    return { store, ops };
  }

  async function left(store: MetaStore): Promise<readonly number[]> {
    const rows = await store.scan({ space: 'oplog', limit: 10_000 });
    return rows.map(({ value }) => decodeRecord<Op>(value).dot.seq);
  }

  test('goes to the frontier in bounded batches, and the trim point says how far', async () => {
    const { store, ops } = await logged(450);
    const { origin } = (ops[0] as Op).dot;
    const { hlc } = (await ownFrontier(store)) as StableFrontier;
    const frontier = { vector: { [origin]: 440 }, hlc };
    assert.equal((await pass(store, frontier)).ops, 440);
    assert.deepEqual(await left(store), [441, 442, 443, 444, 445, 446, 447, 448, 449, 450]);
    const [row] = await store.get([trimmedKey]);
    assert.deepEqual(decodeRecord(row as Uint8Array), { [origin]: 440 });
  });

  test('stops at what a lease may ask for, at what the log next to the data lacks, and at what is to be kept', async () => {
    const { store, ops } = await logged(30);
    const { origin } = (ops[0] as Op).dot;
    const frontier = await ownFrontier(store);
    const committer = committerOf(store, origin, { clock: { wallMs: () => NOW_MS, monotonicMs: () => NOW_MS } });
    const leases = createLeases({ committer });
    await leases.renew('b.0123456789abcdef', { [origin]: 7 }, 1);
    await leases.renew('c.0123456789abcdef', { [origin]: 5 }, 0);
    assert.deepEqual(
      (await leases.list()).map(({ peer }) => peer),
      ['b.0123456789abcdef'],
    );
    await pass(store, frontier);
    assert.equal((await left(store))[0], 8, 'the lease that ran out holds nothing');
    await leases.drop('b.0123456789abcdef');
    await transact(store, {}, (txn) => txn.put(opLogKey, { vector: { [origin]: 12 } }));
    await pass(store, frontier);
    assert.equal((await left(store))[0], 13);
    await transact(store, {}, (txn) => txn.put(opLogKey, { vector: { [origin]: 30 } }));
    await pass(store, frontier, 4);
    assert.deepEqual(await left(store), [27, 28, 29, 30]);
    await pass(store, undefined);
    assert.deepEqual(await left(store), [27, 28, 29, 30], 'without a proven frontier nothing goes');
    await committer.close();
  });
});

describe('a page of removals', () => {
  const KEYS = Array.from({ length: 150 }, (_, at) => `k${at}`);

  /** Decisions of all transactions: one that reads what it has not declared decides anew, while all writers wait. */
  function counting(store: MetaStore): { readonly counted: MetaStore; readonly decisions: () => number } {
    let decisions = 0;
    const counted = storeOver(store, {
      transact: (reads, decide) =>
        store.transact(reads, (read) => {
          decisions++;
          return decide(read);
        }),
    });
    return { counted, decisions: () => decisions };
  }

  test('goes in as few decisions as it has transactions, whether of null versions, versions or buckets', async () => {
    const target = new Author('b').write({ type: 'version.put', ...PUT, key: 'v', nullVersion: false }).stamp;
    const removals: Record<string, (name: string) => readonly OpBody[]> = {
      nullVersions: (key) => [{ type: 'version.remove', bucket: 'b', key, target: null }],
      versions: (key) => [{ type: 'version.remove', bucket: 'b', key, target }],
      buckets: (bucket) => [
        { type: 'bucket.create', bucket, owner: 'o', createdAtMs: 1 },
        { type: 'bucket.remove', bucket },
      ],
    };
    for (const [name, bodies] of Object.entries(removals)) {
      const author = new Author('a');
      const store = await storeWith(KEYS.flatMap(bodies).map((body) => author.write(body)));
      const { counted, decisions } = counting(store);
      const frontier = (await ownFrontier(store)) as StableFrontier;
      await transact(store, {}, (txn) => txn.put(trimmedKey, frontier.vector));
      assert.equal((await pass(counted, frontier)).tombstones, KEYS.length);
      assert.ok(decisions() <= 5, `${name}: ${decisions()} decisions`);
    }
  });
});

describe('closing', () => {
  test('does not fail for a pass that did, or what is closed after it would stay open', async () => {
    const failure = new SkerryError('Io', 'the disk failed');
    const committer = committerOf(await memoryStore());
    const purger = createPurger({
      reader: await memoryStore(),
      committer,
      timers: nodeTimers,
      logger: silentLogger,
      frontier: async () => {
        throw failure;
      },
    });
    const failed = assert.rejects(purger.run(), failure);
    await purger.close();
    await failed;
    await committer.close();
  });
});
