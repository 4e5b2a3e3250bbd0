/** Rule 4: any site can serve any origin's ops, so that every topology converges; an op stops where it is known. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import type { Op, OpBody } from '../../core/contracts/index.ts';
import { Author } from '../engine/support.ts';
import { noise } from '../engine/whole-site.ts';
import { Cluster, topology } from '../replication/fixtures/cluster.ts';
import { engines } from '../replication/fixtures/engine-cluster.ts';
import { equalEverywhere, settled } from '../replication/fixtures/settling.ts';
import { BUCKET, drive, type EngineSite } from '../replication/fixtures/engine-site.ts';
import { wireOpsOf } from './support.ts';

describe('rule 4: any site serves any origin', () => {
  test('the ends of a chain never talk, and have each other’s writes and removals, bytes and all', async () => {
    await using world = await engines('chain', 3);
    const { cluster, sites } = world;
    const [waw, , lon] = sites as [EngineSite, EngineSite, EngineSite];
    await waw.put('of waw', noise(5000, 1));
    await lon.put('of lon', noise(5000, 2));
    await waw.put('removed', noise(10, 3));
    await settled(cluster, ...sites);
    await drive(cluster, lon.objects.deleteObject({ bucket: BUCKET, key: 'removed', owner: 'o' }));
    await settled(cluster, ...sites);
    await equalEverywhere(...sites);
    assert.equal(await lon.get('of waw'), noise(5000, 1).toString('latin1'));
    assert.equal(await waw.get('of lon'), noise(5000, 2).toString('latin1'));
    assert.equal(cluster.network.calls.get('waw>lon ops'), undefined);
  });

  test('in a ring an op reaches everybody over two ways and is applied once', async () => {
    const cluster = new Cluster();
    const joined = Object.values(await cluster.start(topology('ring', 5)));
    const ops = joined.flatMap(({ replica }) => [replica.put('k', []), replica.put('l', [])]);
    const isEverywhere = (): boolean =>
      joined.every(({ replica }) => Object.values(replica.vector).reduce((sum, seq) => sum + seq, 0) === ops.length);
    assert.ok(await cluster.time.until(isEverywhere, 60_000));
    await cluster.time.run(60_000);
    for (const { replica } of joined)
      for (const { stamp, dot } of ops)
        assert.equal(replica.handed.get(stamp) ?? 0, dot.origin === replica.origin ? 0 : 1);
    await cluster.stop();
  });

  test('nobody is sent what it wrote itself', async () => {
    await using world = await engines('chain', 2);
    const { cluster, sites, first } = world;
    const [before] = (await first.replication.status()).peers;
    for (let i = 0; i < 50; i++) {
      await first.put(`k${i}`, noise(400, i));
      await cluster.time.run(10);
    }
    await settled(cluster, ...sites);
    const [after] = (await first.replication.status()).peers;
    const bytes = (after?.bytesReceived ?? Number.NaN) - (before?.bytesReceived ?? Number.NaN);
    assert.ok(bytes < 2000, `${bytes} bytes of ops came back for 50 writes`);
  });

  test('unknown op type from a newer peer: stored and relayed as it is, and what comes behind it is not held up', async () => {
    await using world = await engines('chain', 3);
    const { cluster, sites } = world;
    const [waw, , lon] = sites as [EngineSite, EngineSite, EngineSite];
    const newer = new Author('newer');
    const body = { type: 'planet.put', id: 'pluto', rings: [1, { of: 'ice' }] } as unknown as OpBody;
    const ops: readonly Op[] = [newer.write(body, 1), newer.write({ type: 'policy.put', id: 'p', value: 1 }, 2)];
    await drive(cluster, waw.replica.apply(ops.map((op) => ({ op }))));
    await settled(cluster, ...sites);
    const [origin] = ops.map(({ dot }) => dot.origin);
    const relayed = (await wireOpsOf(lon.replica)).map(({ op }) => op).filter(({ dot }) => dot.origin === origin);
    assert.deepEqual(relayed, ops);
    await equalEverywhere(...sites);
  });
});
