/** Rules 14 and 15 between whole engines: what no longer comes as ops comes as a snapshot, whatever breaks on the way. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { trimmedKey } from '../../core/engine/keys.ts';
import { transact } from '../../core/engine/txn.ts';
import { joinVectors } from '../../core/engine/vector.ts';
import { noise } from '../engine/whole-site.ts';
import { Cluster } from './fixtures/cluster.ts';
import { BUCKET, drive, joinEngine, type EngineSite, type EngineSiteOptions } from './fixtures/engine-site.ts';

const SMALL: EngineSiteOptions = { engine: { batchEntities: 3, keepOps: 0 } };

async function settled(cluster: Cluster, ...sites: readonly EngineSite[]): Promise<void> {
  for (let round = 0; round < 200; round++) {
    await cluster.time.run(500);
    const all = await Promise.all(
      sites.map(async ({ replica, engine }) => ({
        vector: Object.entries((await replica.cut()).vector).toSorted(([a], [b]) => (a < b ? -1 : 1)),
        isBusy: engine.replicaState.bootstrapping() || (await replica.pending(1)).length > 0,
      })),
    );
    const vectors = new Set(all.map(({ vector }) => JSON.stringify(vector)));
    if (vectors.size === 1 && all.every(({ isBusy }) => !isBusy)) return;
  }
  assert.fail(
    `not settled: ${JSON.stringify(await Promise.all(sites.map((site) => site.replication.status())), null, 1)}`,
  );
}

async function equalEverywhere(...sites: readonly EngineSite[]): Promise<void> {
  const [first, ...others] = await Promise.all(sites.map((site) => site.dump()));
  for (const other of others) assert.equal(other, first);
}

/** Takes the oplog away, as trimming does. */
async function trim({ metaStore, replica }: EngineSite): Promise<void> {
  const { vector } = await replica.cut();
  const ops = await metaStore.scan({ space: 'oplog', limit: 10_000 });
  await transact(metaStore, { keys: [trimmedKey] }, (txn) => {
    for (const { key } of ops) txn.remove({ space: 'oplog', key });
    txn.put(trimmedKey, joinVectors(txn.record(trimmedKey) ?? {}, vector));
  });
}

const rm = (cluster: Cluster, { objects }: EngineSite, key: string): Promise<unknown> =>
  drive(cluster, objects.deleteObject({ bucket: BUCKET, key, owner: 'owner' }));

/** A site with some history, all of it trimmed. */
async function source(cluster: Cluster, options: EngineSiteOptions = SMALL): Promise<EngineSite> {
  const waw = await joinEngine(cluster, 'waw', [], options);
  await drive(cluster, waw.objects.createBucket({ bucket: BUCKET, owner: 'owner' }));
  for (let i = 0; i < 12; i++) await waw.put(`key-${i}`, noise(i * 700, i));
  await waw.put('gone', noise(3000, 99));
  await rm(cluster, waw, 'gone');
  await trim(waw);
  return waw;
}

async function stopAll(...sites: readonly EngineSite[]): Promise<void> {
  for (const site of sites) await site.stop();
}

describe('a gap', () => {
  test('is filled by a snapshot, by itself: an empty site ends as the one that it came from, bytes and all', async () => {
    const cluster = new Cluster();
    const waw = await source(cluster);
    const ber = await joinEngine(cluster, 'ber', ['waw'], SMALL);
    await settled(cluster, waw, ber);
    await equalEverywhere(waw, ber);
    assert.equal(await ber.get('key-11'), noise(7700, 11).toString('latin1'));
    await waw.put('later', noise(10, 5));
    await settled(cluster, waw, ber);
    assert.equal(await ber.get('later'), noise(10, 5).toString('latin1'));
    const { bootstrap, peers } = await ber.replication.status();
    assert.deepEqual(
      [bootstrap?.state, bootstrap?.from, bootstrap?.reason, peers[0]?.state],
      ['done', 'waw', 'gap', 'connected'],
    );
    assert.ok((bootstrap?.entities ?? 0) >= 13);
    assert.deepEqual(
      ber.facts.map(({ kind }) => kind),
      ['must-bootstrap'],
    );
    await stopAll(ber, waw);
  });
});
