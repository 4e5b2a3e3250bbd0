/** Rule 15: a site goes on writing while it merges a snapshot; what it writes between a look at its rows and the batch stays. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { MetaStore, Op, OpBody } from '../../core/contracts/index.ts';
import { clockKey, registerKey, tombstoneKey } from '../../core/engine/keys.ts';
import { decodeRecord, type ClockRecord, type Register, type TombstoneRecord } from '../../core/engine/records.ts';
import { transact } from '../../core/engine/txn.ts';
import { committerOf, mergeInto } from './cut-support.ts';
import { storeOver } from './store-over.ts';
import { Author, applyInOrder, content, dump, memoryStore } from './support.ts';

const PUT = { bucket: 'b', key: 'k', nullVersion: true, marker: false, owner: 'o', modifiedAtMs: 1 };
const put = (label: string): OpBody => ({ type: 'version.put', ...PUT, content: content(label) });
const REMOVE = { type: 'version.remove', bucket: 'b', key: 'k', target: null } as const;

/** Runs `write` once, right after the rows of the site were read for a batch of the merge. */
function interrupted(store: MetaStore, write: () => Promise<void>): MetaStore {
  let isDone = false;
  return storeOver(store, {
    async snapshot() {
      const snapshot = await store.snapshot();
      return {
        get: (keys) => snapshot.get(keys),
        scan: (range) => snapshot.scan(range),
        async [Symbol.asyncDispose]() {
          await snapshot[Symbol.asyncDispose]();
          if (isDone) return;
          isDone = true;
          await write();
        },
      };
    },
  });
}

async function storeWith(ops: readonly Op[]): Promise<MetaStore> {
  const store = await memoryStore();
  await applyInOrder(store, ops);
  return store;
}

/** Ops of the site itself, one after another. */
async function write(store: MetaStore, bodies: readonly OpBody[]): Promise<void> {
  const committer = committerOf(store);
  for (const body of bodies)
    await committer.commit({ reads: {}, appended: [], decide: ({ author }) => void author(body) });
  await committer.close();
}

describe('while a snapshot is merged', () => {
  test('a register that is written anew stays, although the snapshot covers the removal that it had', async () => {
    const author = new Author('a');
    const ops = [
      author.write({ type: 'principal.put', id: 'key', value: { n: 1 } }),
      author.write({ type: 'principal.remove', id: 'key' }),
    ];
    const [a, b] = [await storeWith(ops), await storeWith(ops)];
    await transact(a, {}, (txn) => txn.remove(registerKey('principal', 'key')));
    const again: OpBody = { type: 'principal.put', id: 'key', value: { n: 2 } };
    await mergeInto(
      interrupted(b, () => write(b, [again])),
      a,
    );
    const [row] = await b.get([registerKey('principal', 'key')]);
    assert.deepEqual(row && decodeRecord<Register>(row).value, { n: 2 });
  });

  test('a removal is not forgotten for an earlier one of the same key that the snapshot covers', async () => {
    const [author, late] = [new Author('a'), new Author('late')];
    const ops = [author.write(put('x')), author.write(REMOVE)];
    const unseen = late.write(put('unseen'));
    const [a, b] = [await storeWith(ops), await storeWith(ops)];
    await transact(a, {}, (txn) => txn.remove(tombstoneKey('b', 'k', null)));
    await mergeInto(
      interrupted(b, () => write(b, [put('y'), REMOVE])),
      a,
    );
    const [row] = await b.get([tombstoneKey('b', 'k', null)]);
    assert.match(row ? decodeRecord<TombstoneRecord>(row).stamp : 'nothing', /!d!/);
    await applyInOrder(b, [unseen]);
    assert.deepEqual(
      await b.scan({ space: 'heads', limit: 10 }),
      [],
      'an older write that it had not seen changes nothing',
    );
  });

  test('a removal of a version stays while one of its removals is not in the snapshot', async () => {
    const [author, other] = [new Author('a'), new Author('c')];
    const version = author.write({ ...put('x'), nullVersion: false } as OpBody);
    const removal = { type: 'version.remove', bucket: 'b', key: 'k', target: version.stamp, tentative: true } as const;
    other.see(version);
    const ops = [version, author.write(removal)];
    const second = other.write(removal);
    const [a, b] = [await storeWith(ops), await storeWith(ops)];
    const row = tombstoneKey('b', 'k', version.stamp);
    await transact(a, {}, (txn) => txn.remove(row));
    const before = await dump(a);
    await mergeInto(
      interrupted(b, () => applyWhileMerging(b, second)),
      a,
    );
    const [left] = await b.get([row]);
    assert.notEqual(left, undefined);
    assert.equal(await dump(a), before);
  });
});

describe('a batch of a merge', () => {
  test('is decided a few times and not once for each entity, while all writers wait', async () => {
    const author = new Author('a');
    const all = Array.from({ length: 150 }, (_, at) => ({ ...put(`x${at}`), key: `k${at}` }) as OpBody);
    const ops = all.map((body) => author.write(body));
    const removals = all.map((_, at) => author.write({ ...REMOVE, key: `k${at}` }));
    const [a, b] = [await storeWith([...ops, ...removals]), await storeWith(ops)];
    for (const { key } of await a.scan({ space: 'tombstones', limit: 1000 }))
      await transact(a, {}, (txn) => txn.remove({ space: 'tombstones', key }));
    let decisions = 0;
    const counted = storeOver(b, {
      transact: (reads, decide) =>
        b.transact(reads, (read) => {
          decisions++;
          return decide(read);
        }),
    });
    await mergeInto(counted, a);
    assert.deepEqual(await b.scan({ space: 'heads', limit: 10 }), []);
    assert.ok(decisions < 20, `${decisions} decisions`);
  });
});

/** An op of another site that the snapshot does not cover. */
async function applyWhileMerging(store: MetaStore, op: Op): Promise<void> {
  const [row] = await store.get([clockKey]);
  const { merging } = decodeRecord<ClockRecord>(row as Uint8Array);
  assert.notEqual(merging, undefined);
  const committer = committerOf(store);
  const outcome = await committer.commit({ reads: {}, appended: [], decide: ({ apply }) => apply(op) });
  assert.equal(outcome, 'applied');
  await committer.close();
}
