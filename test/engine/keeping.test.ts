/** What a whole engine keeps for peers and gives up when it is alone. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { transact } from '../../core/engine/txn.ts';
import { formatHlc, hlcEpoch, hlcWallMs, raiseEpoch } from '../../core/engine/hlc.ts';
import { clockKey, opLogKey, registerKey } from '../../core/engine/keys.ts';
import { decodeRecord, type ClockRecord, type Register } from '../../core/engine/records.ts';
import type { MetaStore } from '../../core/contracts/index.ts';
import { sourceOf } from './cut-support.ts';
import { fetchBytes, put, pullOps, readVersion } from './exchange.ts';
import { dump } from './support.ts';
import { BUCKET, wholeSite, type WholeSite } from './whole-site.ts';

const OTHER = 'ber.fedcba9876543210';

async function write(site: WholeSite): Promise<void> {
  await put(site, 'kept', 'x'.repeat(5000));
  await put(site, 'gone', 'y');
  await site.objects.deleteObject({ bucket: BUCKET, key: 'gone', owner: 'o' });
}

/** The log next to the data is durable: nothing but peers holds the oplog back. */
async function settle({ metaStore, engine }: WholeSite): Promise<void> {
  const vector = await engine.vector();
  await transact(metaStore, {}, (txn) => txn.put(opLogKey, { vector }));
}

const rows = async (store: MetaStore, space: 'oplog' | 'tombstones'): Promise<number> =>
  (await store.scan({ space, limit: 1000 })).length;

describe('keeping', () => {
  test('a site that is alone gives up its oplog and tombstones; one that has heard of another keeps them', async () => {
    await using site = await wholeSite({ keepOps: 0 });
    await write(site);
    await settle(site);
    const counted = {
      oplog: await rows(site.metaStore, 'oplog'),
      tombstones: await rows(site.metaStore, 'tombstones'),
    };
    assert.ok(counted.oplog > 0 && counted.tombstones > 0);
    const mark = { origin: OTHER, hlc: '0000000000000001', vector: {} };
    await site.engine.replicaState.saveWatermarks([mark]);
    assert.deepEqual(await site.engine.keeping.purger.run(), { ops: 0, tombstones: 0 });
    assert.deepEqual(await site.engine.replicaState.loadWatermarks(), [mark]);
  });

  test('alone: all of it goes', async () => {
    await using site = await wholeSite({ keepOps: 0 });
    await write(site);
    await settle(site);
    await site.engine.keeping.purger.run();
    assert.deepEqual([await rows(site.metaStore, 'oplog'), await rows(site.metaStore, 'tombstones')], [0, 0]);
  });

  test('with a frontier that peers prove: nothing goes before members are recorded, and no tombstone before the grace is over', async () => {
    await using site = await wholeSite({ keepOps: 0 });
    await write(site);
    await settle(site);
    const { keeping, replica } = site.engine;
    let pastMs = 0;
    keeping.useFrontier(async () => {
      const { hlc, vector } = await replica.cut();
      return { vector, hlc: formatHlc(hlcWallMs(hlc) + pastMs, 0) };
    });
    assert.deepEqual(await keeping.purger.run(), { ops: 0, tombstones: 0 });
    const member: Register = { value: {}, stamp: '0000000000000001!ber!fedcba9876543210!0000000001' };
    await transact(site.metaStore, {}, (txn) => txn.put(registerKey('member', OTHER), member));
    assert.deepEqual(await site.engine.replicaState.members(), [replica.origin, OTHER]);
    pastMs = 24 * 60 * 60_000 - 1;
    const { ops, tombstones } = await keeping.purger.run();
    assert.ok(ops > 0);
    assert.equal(tombstones, 0);
    pastMs++;
    assert.ok((await keeping.purger.run()).tombstones > 0);
    const [kept] = await site.metaStore.get([registerKey('member', OTHER)]);
    assert.deepEqual(decodeRecord(kept as Uint8Array), member);
  });

  test('a snapshot of one engine fills another, which writes nothing while it is fenced', async () => {
    await using from = await wholeSite({ keepOps: 0 });
    await using to = await wholeSite({ siteId: 'ber' });
    await write(from);
    await using source = await sourceOf(from.metaStore);
    const merging = to.engine.keeping.merge(source);
    assert.equal(to.engine.replicaState.bootstrapping(), true);
    await merging;
    assert.equal(to.engine.replicaState.bootstrapping(), false);
    await fetchBytes(from, to);
    assert.equal((await readVersion(to, 'kept')).toString(), 'x'.repeat(5000));
    await pullOps(to, from);
    assert.deepEqual(await to.engine.vector(), await from.engine.vector());
    assert.equal(await dump(to.metaStore), await dump(from.metaStore));
    to.engine.keeping.fence('another site of this name is alive');
    await assert.rejects(write(to), { code: 'Unavailable', message: /accepts no writes: another site/ });
  });

  test('a tick brings the clock to the wall, under any epoch, durably, and the next op is past it', async () => {
    await using site = await wholeSite({ keepOps: 0 });
    const { engine, clock, metaStore } = site;
    const clockNow = async (): Promise<ClockRecord> =>
      decodeRecord<ClockRecord>((await metaStore.get([clockKey]))[0] as Uint8Array);
    const before = await clockNow();
    await transact(metaStore, {}, (txn) => txn.put(clockKey, { ...before, hlc: raiseEpoch(before.hlc) }));
    clock.wallMs += 1000;
    const { hlc } = await engine.replicaState.tick();
    assert.deepEqual([hlcWallMs(hlc), hlcEpoch(hlc), (await clockNow()).hlc], [clock.wallMs, 1, hlc]);
    assert.equal((await engine.replicaState.tick()).hlc, hlc, 'and only forward');
    await put(site, 'k', 'x');
    assert.ok((await clockNow()).hlc > hlc);
  });

  test('a cut is pinned while it is read, and gone when it was released', async () => {
    await using site = await wholeSite({ keepOps: 0 });
    await write(site);
    const { cuts } = site.engine.keeping;
    const opened = await cuts.open();
    const limit = { maxEntities: 1, maxBytes: 1 };
    const first = await cuts.page(opened.cutId, undefined, limit);
    await write(site);
    const again = await cuts.page(opened.cutId, undefined, limit);
    assert.deepEqual(again, first);
    await Promise.all([cuts.open(), cuts.open(), cuts.open()]);
    await assert.rejects(cuts.open(), { code: 'SlowDown' });
    await cuts.release(opened.cutId);
    await assert.rejects(cuts.page(opened.cutId, undefined, limit), { code: 'NotFound' });
  });
});
