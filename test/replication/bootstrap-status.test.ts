/** What status says of a peer whose snapshot was asked for and broke off. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { noise } from '../engine/whole-site.ts';
import { Cluster } from './fixtures/cluster.ts';
import { BUCKET, drive, joinEngine } from './fixtures/engine-site.ts';
import { settled, stopAll, until } from './fixtures/settling.ts';

test('the peer is connected again, as its session is', async () => {
  const cluster = new Cluster();
  const waw = await joinEngine(cluster, 'waw', []);
  await drive(cluster, waw.objects.createBucket({ bucket: BUCKET, owner: 'owner' }));
  await waw.put('key', noise(300, 1));
  const ber = await joinEngine(cluster, 'ber', ['waw']);
  await settled(cluster, waw, ber);
  cluster.network.breaks = { name: 'cut-pages', afterFrames: 0 };
  await drive(cluster, ber.replication.bootstrapFrom('waw'));
  await until(cluster, () => cluster.network.breaks === undefined, 1);
  await cluster.time.run(100);
  const { bootstrap, peers } = await ber.replication.status();
  assert.deepEqual([bootstrap?.state, peers[0]?.state], ['waiting', 'connected']);
  await stopAll(ber, waw);
});
