/** Rule 14: who is let in with data of its own (decision 27). */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { coversDot } from '../../core/engine/vector.ts';
import { Cluster } from './fixtures/cluster.ts';
import { drive } from './fixtures/engine-site.ts';
import { boot, createBucket, equal, gossiped, peerState, settled } from './fixtures/member-site.ts';

const SECOND = 1000;
const GRACE_MS = 3600 * SECOND;
const SOON = { tombstoneGraceMs: GRACE_MS };

describe('a newcomer', () => {
  const options = { graceMs: GRACE_MS };

  /** Two members that have heard of each other, and a site that wrote by itself before; what they wrote first is as old. */
  async function withNewcomer(ageMs: number) {
    const cluster = new Cluster(SOON);
    const founder = await boot(cluster, 'waw', [], options);
    await createBucket(cluster, founder);
    await founder.stop();
    const apart = await boot(cluster, 'lon', [], options);
    await createBucket(cluster, apart);
    await apart.put('of lon');
    const { stores } = apart;
    await apart.stop();
    await cluster.time.run(ageMs);
    const waw = await boot(cluster, 'waw', ['ber'], { ...options, stores: founder.stores });
    const ber = await boot(cluster, 'ber', ['waw'], options);
    await settled(cluster, waw, ber);
    await gossiped(cluster);
    return { cluster, waw, ber, stores };
  }

  test('with young data of its own is let in, and its data is everywhere', async () => {
    const { cluster, waw, ber, stores } = await withNewcomer(GRACE_MS / 4);
    const lon = await boot(cluster, 'lon', ['waw'], { ...options, stores });
    await settled(cluster, waw, ber, lon);
    assert.equal(await ber.stateOf(lon.origin), 'member');
    await equal(waw, ber, lon);
    await drive(cluster, cluster.stop());
  });

  test('with old data is turned away, whoever calls, with the way out; nothing of it comes in by any member', async () => {
    const { cluster, waw, ber, stores } = await withNewcomer(GRACE_MS);
    const lon = await boot(cluster, 'lon', ['waw', 'ber'], { ...options, stores });
    await cluster.time.run(120 * SECOND);
    for (const site of [waw, ber]) assert.equal((await site.engine.vector())[lon.origin], undefined);
    const refused = await peerState(lon, 'waw');
    assert.equal(refused?.state, 'not-a-member');
    assert.match(refused?.lastError ?? '', /lon is not a member and brings data/);
    const caller = await boot(cluster, 'nyc', ['lon'], options);
    await settled(cluster, caller, lon);
    await drive(cluster, cluster.stop());
  });

  test('that is empty is let in however long it was set up before', async () => {
    const { cluster, waw, ber } = await withNewcomer(0);
    const lon = await boot(cluster, 'lon', ['waw'], options);
    await settled(cluster, waw, ber, lon);
    await equal(waw, ber, lon);
    await drive(cluster, cluster.stop());
  });

  test('brings all its data to two that are new themselves and met each other first', async () => {
    const cluster = new Cluster(SOON);
    const apart = await boot(cluster, 'lon', [], options);
    await createBucket(cluster, apart);
    await apart.put('of lon');
    await apart.stop();
    await cluster.time.run(3 * GRACE_MS);
    const waw = await boot(cluster, 'waw', ['ber', 'lon'], options);
    const ber = await boot(cluster, 'ber', ['waw', 'lon'], options);
    await settled(cluster, waw, ber);
    await gossiped(cluster);
    await cluster.time.run(3 * GRACE_MS);
    const lon = await boot(cluster, 'lon', ['waw', 'ber'], { ...options, stores: apart.stores });
    await settled(cluster, waw, ber, lon);
    await equal(waw, ber, lon);
    await drive(cluster, cluster.stop());
  });

  test('two sites that were alone join with all their data', async () => {
    const cluster = new Cluster(SOON);
    const waw = await boot(cluster, 'waw', [], options);
    await createBucket(cluster, waw);
    await waw.put('a');
    const apart = await boot(cluster, 'ber', [], options);
    await createBucket(cluster, apart);
    await apart.put('b');
    const { stores } = apart;
    await apart.stop();
    await cluster.time.run(3 * GRACE_MS);
    const ber = await boot(cluster, 'ber', ['waw'], { ...options, stores });
    await settled(cluster, waw, ber);
    await equal(waw, ber);
    assert.ok(coversDot(await waw.engine.vector(), { origin: ber.origin, seq: await ber.ops() }));
    await drive(cluster, cluster.stop());
  });

  test('that an old cluster fills is not taken for the one that is to be turned away', async () => {
    const given = { graceMs: 60 * SECOND, keepOps: 1000 };
    const cluster = new Cluster({ tombstoneGraceMs: given.graceMs, pageMaxOps: 1 });
    const waw = await boot(cluster, 'waw', ['ber'], given);
    const ber = await boot(cluster, 'ber', ['waw'], given);
    await createBucket(cluster, waw);
    for (const key of 'abcdef') await waw.put(key);
    await settled(cluster, waw, ber);
    await cluster.time.run(3 * given.graceMs);
    const lon = await boot(cluster, 'lon', ['waw'], given);
    await settled(cluster, waw, ber, lon);
    assert.ok((await lon.engine.members.list()).every(({ state }) => state === 'member'));
    await drive(cluster, cluster.stop());
  });
});
