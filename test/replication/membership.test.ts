/** Rule 14: who is a member, and what stability waits for; removal, its discovery, coming back; newcomers with data. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { coversDot } from '../../core/engine/vector.ts';
import { CALLS } from '../../core/replication/protocol.ts';
import { MemoryTransport } from '../../plugins/transport-memory/transport.ts';
import { Cluster, hiddenFrom } from './fixtures/cluster.ts';
import { drive } from './fixtures/engine-site.ts';
import { silentLogger } from '../engine/fake-stores.ts';
import { Membership } from '../../core/replication/membership.ts';
import { DEFAULT_OPTIONS } from '../../core/replication/options.ts';
import { fixedMembers } from './fixtures/registers.ts';
import { boot, createBucket, equal, gossiped, peerState, settled, type MemberSite } from './fixtures/member-site.ts';

const SECOND = 1000;

async function mesh(cluster: Cluster, ...names: readonly string[]): Promise<readonly MemberSite[]> {
  const sites: MemberSite[] = [];
  for (const name of names)
    sites.push(
      await boot(
        cluster,
        name,
        names.filter((other) => other !== name),
      ),
    );
  await createBucket(cluster, sites[0] as MemberSite);
  await settled(cluster, ...sites);
  return sites;
}

function isolate(cluster: Cluster, site: string, ...others: readonly string[]): void {
  for (const other of others) {
    cluster.network.cut(site, other);
    cluster.network.cut(other, site);
  }
}

const evict = (cluster: Cluster, at: MemberSite, name: string) => drive(cluster, at.engine.members.remove(name));
const kinds = ({ facts }: MemberSite) => facts.map(({ kind }) => kind);

describe('members', () => {
  test('each site records itself once, and all hear of all, also through a third', async () => {
    const cluster = new Cluster();
    const waw = await boot(cluster, 'waw', ['ber']);
    const ber = await boot(cluster, 'ber', ['waw', 'lon']);
    const lon = await boot(cluster, 'lon', ['ber']);
    await settled(cluster, waw, ber, lon);
    for (const site of [waw, ber, lon]) {
      const listed = await site.engine.members.list();
      assert.deepEqual(
        listed.map(({ site: name, state, self }) => [name, state, self]),
        ['ber', 'lon', 'waw'].map((name) => [name, 'member', site.site === name]),
      );
      assert.equal(await site.ops(), 1);
    }
    const { stores } = waw;
    await waw.stop();
    const again = await boot(cluster, 'waw', ['ber'], { stores });
    assert.equal(await again.ops(), 1, 'a restart records nothing more');
    await drive(cluster, cluster.stop());
  });

  test('nothing is stable before every configured peer was heard of', async () => {
    const cluster = new Cluster();
    const waw = await boot(cluster, 'waw', ['ber', 'lon']);
    const ber = await boot(cluster, 'ber', ['waw']);
    await settled(cluster, waw, ber);
    await gossiped(cluster);
    assert.ok(await ber.replication.frontier());
    assert.equal(await waw.replication.frontier(), undefined);
    const lon = await boot(cluster, 'lon', ['waw']);
    await settled(cluster, waw, ber, lon);
    await gossiped(cluster);
    assert.ok(await waw.replication.frontier());
    await drive(cluster, cluster.stop());
  });

  test('a silent member holds up the frontier and what it guards, until it is removed, wherever that was said', async () => {
    const cluster = new Cluster();
    const [waw, ber, lon] = (await mesh(cluster, 'waw', 'ber', 'lon')) as [MemberSite, MemberSite, MemberSite];
    await waw.put('k');
    await settled(cluster, waw, ber, lon);
    await gossiped(cluster);
    isolate(cluster, 'lon', 'waw', 'ber');
    await waw.remove('k');
    await settled(cluster, waw, ber);
    await gossiped(cluster);
    const held = (await waw.replication.frontier())?.vector[waw.origin];
    assert.ok(held !== undefined && held < (await waw.ops()));
    assert.deepEqual([await waw.purge(), await ber.purge()], [1, 1]);
    await evict(cluster, ber, 'lon');
    assert.equal(await ber.purge(), 1, 'waw may not have heard of it: it would still take what lon wrote');
    await settled(cluster, waw, ber);
    await gossiped(cluster);
    await gossiped(cluster);
    assert.deepEqual([await waw.purge(), await ber.purge()], [0, 0]);
    await equal(waw, ber);
    await drive(cluster, cluster.stop());
  });

  test('while a member has not heard of a removal it takes what the removed one wrote, and nothing is stable', async () => {
    const cluster = new Cluster();
    const [waw, ber, lon] = (await mesh(cluster, 'waw', 'ber', 'lon')) as [MemberSite, MemberSite, MemberSite];
    await gossiped(cluster);
    isolate(cluster, 'waw', 'ber', 'lon');
    await evict(cluster, waw, 'lon');
    await lon.put('late');
    await settled(cluster, ber, lon);
    assert.equal(await waw.replication.frontier(), undefined);
    cluster.network.heal();
    await settled(cluster, waw, ber);
    await gossiped(cluster);
    assert.ok(
      coversDot(await waw.engine.vector(), { origin: lon.origin, seq: await lon.ops() }),
      'what it shipped remains',
    );
    assert.ok(await waw.replication.frontier());
    await drive(cluster, cluster.stop());
  });

  test('the report of a removed member goes, and does not come back through one who has not heard', async () => {
    const cluster = new Cluster();
    const names = ['waw', 'ber', 'lon', 'nyc'];
    const [waw, ber, lon] = (await mesh(cluster, ...names)) as [MemberSite, MemberSite, MemberSite];
    await gossiped(cluster);
    const marks = async (site: MemberSite) =>
      (await site.engine.replicaState.loadWatermarks()).map(({ origin }) => origin);
    isolate(cluster, 'ber', 'waw', 'nyc');
    await evict(cluster, waw, 'lon');
    await gossiped(cluster);
    assert.deepEqual([(await marks(waw)).includes(lon.origin), (await marks(ber)).includes(lon.origin)], [false, true]);
    cluster.network.heal();
    await settled(cluster, waw, ber);
    await gossiped(cluster);
    assert.deepEqual(
      [(await marks(waw)).includes(lon.origin), (await marks(ber)).includes(lon.origin)],
      [false, false],
    );
    await drive(cluster, cluster.stop());
  });
});

describe('a removed member', () => {
  test('is refused by every site that knows, however it heard, and hears which of its ops are known', async () => {
    const cluster = new Cluster();
    const [waw, ber, lon] = (await mesh(cluster, 'waw', 'ber', 'lon')) as [MemberSite, MemberSite, MemberSite];
    isolate(cluster, 'lon', 'waw', 'ber');
    await lon.put('only here');
    await evict(cluster, waw, 'lon');
    await settled(cluster, waw, ber);
    cluster.network.heal();
    await cluster.time.run(120 * SECOND);
    const known = (await lon.ops()) - 1;
    for (const site of [waw, ber]) {
      assert.equal((await site.engine.vector())[lon.origin], known, 'nothing of it comes in');
      assert.equal((await peerState(lon, site.site))?.state, 'evicted');
      assert.equal((await peerState(site, 'lon'))?.state, 'evicted');
    }
    const facts = lon.facts.filter((fact) => fact.kind === 'evicted');
    assert.equal(facts.length, 1);
    const vector = await waw.engine.vector();
    assert.deepEqual({ ...facts[0], by: '' }, { kind: 'evicted', by: '', ownSeq: known + 1, knownSeq: known, vector });
    const { evicted } = await lon.replication.status();
    assert.deepEqual([evicted?.ownSeq, evicted?.knownSeq], [known + 1, known]);
    await drive(cluster, cluster.stop());
  });

  test('gets no answer but that, whatever it calls', async () => {
    const cluster = new Cluster();
    const [waw, , lon] = (await mesh(cluster, 'waw', 'ber', 'lon')) as [MemberSite, MemberSite, MemberSite];
    await lon.stop();
    await evict(cluster, waw, 'lon');
    const transport = new MemoryTransport(hiddenFrom(cluster.hub));
    await transport.open();
    await transport.listen({ site: 'lon', origin: lon.origin }, async function* () {});
    const link = transport.dial({ site: 'waw', url: 'memory://hub/waw' });
    for (const name of CALLS) {
      const answer = link.call(name, Buffer.from('whatever'))[Symbol.asyncIterator]().next();
      await assert.rejects(
        drive(cluster, answer),
        {
          code: 'Conflict',
          details: { reason: 'evicted', origin: lon.origin, vector: await waw.engine.vector() },
        },
        name,
      );
    }
    await drive(cluster, cluster.stop());
  });

  test('brings nothing more, pulled or pushed, into a session that was open', async () => {
    for (const dials of ['waw', 'lon'] as const) {
      const cluster = new Cluster();
      const waw = await cluster.join({
        site: 'waw',
        replica: cluster.model('waw'),
        peers: dials === 'waw' ? ['lon'] : [],
      });
      const lon = await cluster.join({
        site: 'lon',
        replica: cluster.model('lon'),
        peers: dials === 'lon' ? ['waw'] : [],
      });
      lon.replica.put('a', []);
      assert.ok(await cluster.time.until(() => waw.replica.vector[lon.replica.origin] === 1, 60_000));
      waw.replica.removed.add(lon.replica.origin);
      lon.replica.put('b', []);
      await cluster.time.run(60_000);
      assert.equal(waw.replica.vector[lon.replica.origin], 1);
      assert.deepEqual((await waw.replication.status()).quarantine, []);
      await cluster.stop();
    }
  });

  test('hears it also when it calls nobody, from whoever calls it', async () => {
    const cluster = new Cluster();
    const waw = await boot(cluster, 'waw', ['ber']);
    const ber = await boot(cluster, 'ber', []);
    await settled(cluster, waw, ber);
    await evict(cluster, waw, 'ber');
    await cluster.time.run(120 * SECOND);
    assert.deepEqual(kinds(ber), ['evicted']);
    await drive(cluster, cluster.stop());
  });

  test('writes nothing once it has applied its own removal, and cannot record itself again', async () => {
    const cluster = new Cluster();
    const [waw, , lon] = (await mesh(cluster, 'waw', 'ber', 'lon')) as [MemberSite, MemberSite, MemberSite];
    const have = await lon.engine.vector();
    isolate(cluster, 'waw', 'lon');
    isolate(cluster, 'ber', 'lon');
    await evict(cluster, waw, 'lon');
    const page = await waw.engine.replica.opsAfter(have, { maxOps: 9, maxBytes: 9000 });
    assert.ok(page.kind === 'ops' && page.ops.length === 1);
    await drive(cluster, lon.engine.replica.apply(page.ops));
    await assert.rejects(lon.put('k'), (error: { code: string; details: { reason: string } }) => {
      assert.deepEqual([error.code, error.details.reason], ['Unavailable', 'evicted']);
      return true;
    });
    await drive(cluster, lon.engine.replicaState.join());
    assert.equal(await lon.stateOf(lon.origin), 'removed');
    await drive(cluster, cluster.stop());
  });

  test('brings no batch that was on its way when its removal was applied', async () => {
    const cluster = new Cluster();
    const [waw, , lon] = (await mesh(cluster, 'waw', 'ber', 'lon')) as [MemberSite, MemberSite, MemberSite];
    isolate(cluster, 'lon', 'waw', 'ber');
    const have = await waw.engine.vector();
    await lon.put('k');
    const page = await lon.engine.replica.opsAfter(have, { maxOps: 9, maxBytes: 9000 });
    assert.ok(page.kind === 'ops' && page.ops.length === 1);
    const removal = waw.engine.members.remove('lon');
    await drive(cluster, removal);
    await assert.rejects(drive(cluster, waw.engine.replica.apply(page.ops, lon.origin)), { code: 'Conflict' });
    await drive(cluster, waw.engine.replica.apply(page.ops, 'ber.0000000000000001'));
    assert.equal((await waw.engine.vector())[lon.origin], await lon.ops(), 'a member that took it in time relays it');
    await drive(cluster, cluster.stop());
  });

  test('comes back as a new incarnation and is just a new member', async () => {
    const cluster = new Cluster();
    const [waw, ber, lon] = (await mesh(cluster, 'waw', 'ber', 'lon')) as [MemberSite, MemberSite, MemberSite];
    await evict(cluster, waw, 'lon');
    await settled(cluster, waw, ber);
    const { stores, origin } = lon;
    await lon.stop();
    await waw.put('meanwhile');
    const again = await boot(cluster, 'lon', ['waw', 'ber'], { stores, incarnation: '0000000000000002' });
    await again.put('back');
    await settled(cluster, waw, ber, again);
    await gossiped(cluster);
    for (const site of [waw, ber, again]) {
      assert.deepEqual([await site.stateOf(origin), await site.stateOf(again.origin)], ['removed', 'member']);
      assert.ok((await site.replication.frontier())?.vector[again.origin]);
    }
    await equal(waw, ber, again);
    await drive(cluster, cluster.stop());
  });

  test('who is asked to remove itself, nobody, or the same again, refuses', async () => {
    const cluster = new Cluster();
    const [waw] = (await mesh(cluster, 'waw', 'ber')) as [MemberSite, MemberSite];
    await assert.rejects(evict(cluster, waw, 'waw'), { code: 'InvalidArgument' });
    await assert.rejects(evict(cluster, waw, waw.origin), { code: 'InvalidArgument' });
    await assert.rejects(evict(cluster, waw, 'nowhere'), { code: 'NotFound' });
    const [removed] = await evict(cluster, waw, 'ber');
    assert.deepEqual([removed?.site, removed?.state, removed?.removedBy], ['ber', 'removed', 'waw']);
    await assert.rejects(evict(cluster, waw, 'ber'), { code: 'NotFound', message: /removed already/ });
    await drive(cluster, cluster.stop());
  });
});

describe('an earlier incarnation', () => {
  test('is taken out by the next one once it is caught up on and silent, so that stability does not wait for a ghost', async () => {
    const cluster = new Cluster();
    const [waw, ber] = (await mesh(cluster, 'waw', 'ber')) as [MemberSite, MemberSite];
    await gossiped(cluster);
    const ghost = ber.origin;
    await ber.stop();
    const again = await boot(cluster, 'ber', ['waw'], { incarnation: '0000000000000002' });
    await settled(cluster, waw, again);
    assert.equal(await waw.stateOf(ghost), 'member');
    await cluster.time.run(180 * SECOND);
    assert.deepEqual([await waw.stateOf(ghost), await again.stateOf(ghost)], ['removed', 'removed']);
    assert.deepEqual([await waw.stateOf(again.origin), await again.stateOf(again.origin)], ['member', 'member']);
    await gossiped(cluster);
    assert.ok((await waw.replication.frontier())?.vector[again.origin]);
    await drive(cluster, cluster.stop());
  });

  test('is not taken out while it lives: two that share a site id are refused until one is stopped, and the other goes on', async () => {
    const cluster = new Cluster();
    const [hub, edge] = (await mesh(cluster, 'hub', 'edge')) as [MemberSite, MemberSite];
    await gossiped(cluster);
    await edge.put('before');
    await settled(cluster, hub, edge);
    const namesake = await boot(cluster, 'edge', ['hub'], { incarnation: '0000000000000002', hidden: true });
    await cluster.time.run(60 * SECOND);
    await edge.put('meanwhile');
    await cluster.time.run(600 * SECOND);
    for (const site of [edge, namesake]) assert.equal((await peerState(site, 'hub'))?.state, 'duplicate-site');
    assert.equal(await hub.stateOf(edge.origin), 'member');
    await namesake.stop();
    await cluster.time.run(180 * SECOND);
    await settled(cluster, hub, edge);
    await equal(hub, edge);
    assert.equal((await peerState(edge, 'hub'))?.state, 'connected');
    await drive(cluster, cluster.stop());
  });

  test('stays until we have what any peer in reach has of it', async () => {
    const cluster = new Cluster();
    const ghost = 'ber.0000000000000001';
    const replica = cluster.model('ber', { incarnation: '0000000000000002' });
    const removed: string[] = [];
    const membership = new Membership({
      self: { site: 'ber', origin: replica.origin },
      replica,
      state: {
        ...fixedMembers(() => [replica.origin, ghost]),
        removeMembers: async (origins) => void removed.push(...origins),
      },
      watermarks: { lastReport: () => undefined, isReporting: () => true, begin: async () => undefined },
      clock: cluster.time.clock,
      logger: silentLogger,
      options: DEFAULT_OPTIONS,
      onEvicted: () => assert.fail('nobody was removed'),
    });
    for (const theirs of [3, 3, 0]) {
      assert.deepEqual(removed, []);
      await membership.tend({ [ghost]: theirs });
      await cluster.time.run(120 * SECOND);
    }
    assert.deepEqual(removed, [ghost]);
  });

  test('is left alone while it reports: two sites live under one id, and neither is to end the other', async () => {
    const cluster = new Cluster();
    const [waw, ber] = (await mesh(cluster, 'waw', 'ber')) as [MemberSite, MemberSite];
    const lon = await boot(cluster, 'lon', ['waw']);
    const clone = await boot(cluster, 'ber', ['lon'], { incarnation: '0000000000000002', hidden: true });
    await cluster.time.run(600 * SECOND);
    for (const site of [waw, lon, clone])
      assert.deepEqual([await site.stateOf(ber.origin), await site.stateOf(clone.origin)], ['member', 'member']);
    await drive(cluster, cluster.stop());
  });
});
