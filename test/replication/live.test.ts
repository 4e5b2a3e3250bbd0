/** Sites that talk: the live stream, relays, quarantine, pushing, bytes. All on a virtual clock. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { both, Cluster, topology, type TestSite } from './fixtures/cluster.ts';
import type { ModelReplica } from './fixtures/model-replica.ts';

const covers = (site: TestSite, other: ModelReplica): boolean =>
  Object.entries(other.vector).every(([origin, seq]) => (site.replica.vector[origin] ?? 0) >= seq);

const bytesOf = (size: number, fill: number): Buffer => Buffer.alloc(size, fill);

describe('pulling', () => {
  test('a write is at the peer in no time: the open call brings it', async () => {
    const cluster = new Cluster();
    const { waw, ber } = await cluster.start(both(['waw', 'ber']));
    assert.ok(waw && ber);
    await cluster.time.run(5_000);
    const beforeMs = cluster.time.clock.monotonicMs();
    waw.replica.put('k', [Buffer.from('small')]);
    assert.ok(await cluster.time.until(() => covers(ber, waw.replica)));
    assert.equal(cluster.time.clock.monotonicMs(), beforeMs);
    await cluster.stop();
  });

  test('rule 4: a chain of five relays every origin, at once', async () => {
    const cluster = new Cluster();
    const sites = Object.values(await cluster.start(topology('chain', 5)));
    await cluster.time.run(5_000);
    const beforeMs = cluster.time.clock.monotonicMs();
    for (const { replica, site } of sites) replica.put(site, []);
    const all = () => sites.every((site) => sites.every(({ replica }) => covers(site, replica)));
    assert.ok(await cluster.time.until(all));
    assert.equal(cluster.time.clock.monotonicMs(), beforeMs);
    await cluster.stop();
  });

  test('rule 3: an op relayed late, with a clock older than everything seen, arrives', async () => {
    const cluster = new Cluster();
    const late = cluster.model('lon', { aheadMs: () => -40_000 });
    const waw = await cluster.join({ site: 'waw', replica: cluster.model('waw'), peers: ['ber'] });
    const ber = await cluster.join({ site: 'ber', replica: cluster.model('ber'), peers: ['waw', 'lon'] });
    const lon = await cluster.join({ site: 'lon', replica: late, peers: [] });
    cluster.network.cut('ber', 'lon');
    const old = late.put('k', []);
    await cluster.time.run(1_000);
    ber.replica.put('k', []);
    assert.ok(await cluster.time.until(() => covers(waw, ber.replica)));
    cluster.network.heal();
    assert.ok(await cluster.time.until(() => covers(waw, late)));
    assert.ok(old.stamp < (waw.replica.state()['k'] ?? ''), 'and changes nothing visible');
    assert.deepEqual(waw.replica.state(), ber.replica.state());
    assert.deepEqual(lon.facts, []);
    await cluster.stop();
  });

  test('a peer that hangs in the middle of an answer is given up and called again', async () => {
    const cluster = new Cluster({ pushAfterMs: 1e9 });
    const { waw, ber } = await cluster.start(both(['waw', 'ber']));
    assert.ok(waw && ber);
    await cluster.time.run(3_000);
    cluster.network.stalls = true;
    cluster.network.cut('ber', 'waw');
    waw.replica.put('k', []);
    await cluster.time.run(10_000);
    assert.equal(covers(ber, waw.replica), false);
    cluster.network.heal();
    assert.ok(await cluster.time.until(() => covers(ber, waw.replica), 120_000));
    await cluster.stop();
  });

  test('who calls is called back at once, however long it was away', async () => {
    const cluster = new Cluster({ pushAfterMs: 1e9 });
    const { waw, ber } = await cluster.start(both(['waw', 'ber']));
    assert.ok(waw && ber);
    for (const [from, to] of both(['waw', 'ber'])) cluster.network.cut(from, to);
    await cluster.time.run(600_000);
    for (const { replica, site } of [waw, ber]) replica.put(site, []);
    cluster.network.heal();
    assert.ok(await cluster.time.until(() => covers(waw, ber.replica) || covers(ber, waw.replica), 60_000));
    const firstMs = cluster.time.clock.monotonicMs();
    assert.ok(await cluster.time.until(() => covers(waw, ber.replica) && covers(ber, waw.replica), 60_000));
    assert.equal(cluster.time.clock.monotonicMs(), firstMs);
    await cluster.stop();
  });

  test('one dead peer stops nobody, and is called ever more rarely', async () => {
    const cluster = new Cluster();
    const { waw, ber } = await cluster.start(both(['waw', 'ber']));
    assert.ok(waw && ber);
    const lon = await cluster.join({ site: 'lon', replica: cluster.model('lon'), peers: ['gone', 'waw'] });
    await cluster.time.run(600_000);
    const hellos = cluster.network.calls.get('hello') ?? 0;
    ber.replica.put('k', []);
    assert.ok(await cluster.time.until(() => covers(lon, ber.replica), 1));
    await cluster.time.run(60_000);
    // three live calls of 20 s each a minute and peer, and the dead one at most every 15 s
    assert.ok((cluster.network.calls.get('hello') ?? 0) - hellos <= 3 * 4 + 5);
    const { peers } = await lon.replication.status();
    assert.deepEqual(
      peers.map(({ site, state }) => [site, state]),
      [
        ['gone', 'connecting'],
        ['waw', 'connected'],
      ],
    );
    assert.match(peers[0]?.lastError ?? '', /nobody answers/);
    await cluster.stop();
  });

  test('rule 14: a trimmed log answers with a gap, and the owner hears that it must bootstrap, once', async () => {
    const cluster = new Cluster();
    const source = cluster.model('waw');
    for (let i = 0; i < 5; i++) source.put(`k${i}`, []);
    source.trim(source.origin, 3);
    await cluster.join({ site: 'waw', replica: source, peers: [] });
    const ber = await cluster.join({ site: 'ber', replica: cluster.model('ber'), peers: ['waw'] });
    await cluster.time.run(120_000);
    assert.deepEqual(ber.facts, [{ kind: 'must-bootstrap', peer: 'waw', origin: source.origin, trimmedTo: 3 }]);
    assert.deepEqual([(await ber.replication.status()).peers[0]?.state, ber.replica.vector], ['must-bootstrap', {}]);
    await cluster.stop();
  });
});

describe('rule 11: far-future clocks', () => {
  test('ops are held with those behind them, others go on, and they come in when time has passed', async () => {
    const cluster = new Cluster();
    let aheadMs = 90_000;
    const future = cluster.model('waw', { aheadMs: () => aheadMs });
    const lost = [future.put('a', []), future.put('b', [])];
    await cluster.join({ site: 'waw', replica: future, peers: [] });
    aheadMs = 0;
    const ber = await cluster.join({ site: 'ber', replica: cluster.model('ber'), peers: ['waw', 'lon'] });
    const lon = await cluster.join({ site: 'lon', replica: cluster.model('lon'), peers: ['ber'] });
    await cluster.time.run(10_000);
    lon.replica.put('c', []);
    assert.ok(await cluster.time.until(() => covers(ber, lon.replica), 1));
    assert.equal(ber.replica.vector[future.origin], undefined);
    const { quarantine } = await ber.replication.status();
    assert.deepEqual(
      quarantine.map(({ origin, reason }) => [origin, reason]),
      [[future.origin, 'clock']],
    );
    await cluster.time.run(18_000);
    assert.ok((ber.replica.handed.get(lost[0]?.stamp ?? '') ?? 0) <= 2, 'not asked for while it cannot be applied');
    assert.ok(await cluster.time.until(() => covers(ber, future), 5_000), 'due after 30 s');
    assert.ok(covers(lon, future));
    assert.deepEqual(
      ber.facts.map(({ kind }) => kind),
      ['quarantined', 'released'],
    );
    await cluster.stop();
  });
});

describe('pushing', () => {
  test('a site that only dials out converges both ways, bytes included', async () => {
    const cluster = new Cluster();
    const hub = await cluster.join({ site: 'hub', replica: cluster.model('hub'), peers: [] });
    const nat = await cluster.join({ site: 'nat', replica: cluster.model('nat'), peers: ['hub'] });
    const op = nat.replica.put('big', [bytesOf(100, 1), bytesOf(200, 2), bytesOf(300, 3)], 2);
    hub.replica.put('theirs', [bytesOf(50, 4)]);
    const done = () => covers(hub, nat.replica) && covers(nat, hub.replica) && hub.replica.completed.length === 1;
    assert.ok(await cluster.time.until(done, 60_000));
    assert.ok(await cluster.time.until(() => nat.replica.completed.length === 1, 60_000));
    assert.deepEqual(hub.replica.completed, [op.stamp]);
    await cluster.time.run(5_000);
    const beforeMs = cluster.time.clock.monotonicMs();
    nat.replica.put('live', []);
    assert.ok(await cluster.time.until(() => covers(hub, nat.replica)));
    assert.equal(cluster.time.clock.monotonicMs(), beforeMs, 'and at once, when nothing is pulled from it');
    await cluster.stop();
  });

  test('a peer that comes for its ops is not pushed to', async () => {
    const cluster = new Cluster();
    const { waw } = await cluster.start(both(['waw', 'ber']));
    for (let i = 0; i < 20; i++) {
      waw?.replica.put(`k${i}`, []);
      await cluster.time.run(7_000);
    }
    assert.equal(cluster.network.calls.get('push'), undefined);
    await cluster.stop();
  });

  test('when it can no longer reach us, it is pushed to', async () => {
    const cluster = new Cluster();
    const { waw, ber } = await cluster.start(both(['waw', 'ber']));
    assert.ok(waw && ber);
    await cluster.time.run(10_000);
    cluster.network.cut('ber', 'waw');
    const op = waw.replica.put('k', [bytesOf(100, 1)]);
    assert.ok(await cluster.time.until(() => ber.replica.completed.includes(op.stamp), 60_000));
    await cluster.stop();
  });

  test('pushOnce and pullOnce do it once, and say what they did', async () => {
    const cluster = new Cluster({ pushAfterMs: 1e9 });
    const waw = await cluster.join({ site: 'waw', replica: cluster.model('waw'), peers: [] });
    const ber = await cluster.join({ site: 'ber', replica: cluster.model('ber'), peers: ['waw'] });
    for (let i = 0; i < 3; i++) ber.replica.put(`k${i}`, [bytesOf(100, i)]);
    let pushed: number | undefined;
    void ber.replication.pushOnce('waw').then((result) => (pushed = result.pushed));
    assert.ok(await cluster.time.until(() => pushed !== undefined, 60_000));
    assert.deepEqual([pushed, covers(waw, ber.replica)], [3, true]);
    cluster.network.cut('ber', 'waw');
    const op = waw.replica.put('k', [bytesOf(100, 9)]);
    cluster.network.heal();
    const pulled = ber.replication.pullOnce('waw');
    let result: Awaited<typeof pulled> | undefined;
    void pulled.then((value) => (result = value));
    assert.ok(await cluster.time.until(() => result !== undefined, 60_000));
    assert.equal(result?.pendingVersions, 0);
    assert.ok(ber.replica.completed.includes(op.stamp));
    await assert.rejects(ber.replication.pullOnce('nyc'), { code: 'NotFound', message: /its peers: waw/ });
    await cluster.stop();
    await assert.rejects(ber.replication.pullOnce('waw'), { code: 'Closed' });
  });
});

describe('rule 13: bytes', () => {
  const chain = async (options: ConstructorParameters<typeof Cluster>[0] = {}) => {
    const cluster = new Cluster(options);
    const sites = await cluster.start(topology('chain', 3));
    const { waw, ber, lon } = sites;
    assert.ok(waw && ber && lon);
    return { cluster, waw, ber, lon };
  };

  test('chunks, and the nodes above them, come from whoever has them, each once', async () => {
    const { cluster, waw, lon } = await chain();
    const pieces = Array.from({ length: 100 }, (_, i) => bytesOf(1000 + i, i));
    const op = waw.replica.put('big', pieces, 8);
    assert.ok(await cluster.time.until(() => lon.replica.completed.includes(op.stamp), 60_000));
    const { fetch } = await lon.replication.status();
    assert.equal(fetch.fetchedChunks, 100 + 13, 'and no chunk twice');
    await cluster.stop();
  });

  test('content that is here already is not sent again', async () => {
    const { cluster, waw, lon } = await chain();
    const shared = [bytesOf(5000, 1), bytesOf(5000, 2)];
    waw.replica.put('one', shared);
    assert.ok(await cluster.time.until(() => lon.replica.completed.length === 1, 60_000));
    waw.replica.put('two', [...shared, bytesOf(10, 3), bytesOf(11, 3)]);
    assert.ok(await cluster.time.until(() => lon.replica.completed.length === 2, 60_000));
    const { fetch } = await lon.replication.status();
    assert.deepEqual([fetch.fetchedBytes, fetch.savedBytes], [10_021, 10_000]);
    await cluster.stop();
  });

  test('a version whose bytes nobody has is asked for again and again and stops no other', async () => {
    const { cluster, waw, lon } = await chain();
    const lost = bytesOf(777, 7);
    const op = waw.replica.put('lost', [lost, bytesOf(10, 1)]);
    const [hash] = [...waw.replica.chunks].find(([, { bytes }]) => bytes === lost) ?? [''];
    waw.replica.chunks.delete(hash);
    for (let i = 0; i < 50; i++) waw.replica.put(`k${i}`, [bytesOf(100, i), bytesOf(60, i)]);
    assert.ok(await cluster.time.until(() => lon.replica.completed.length === 50, 60_000));
    await cluster.time.run(300_000);
    const status = await lon.replication.status();
    assert.deepEqual([status.pending.versions, status.pending.oldestSeconds > 299], [1, true]);
    const asked = cluster.network.calls.get('chunks') ?? 0;
    await cluster.time.run(300_000);
    assert.ok((cluster.network.calls.get('chunks') ?? 0) - asked <= 2 * 2 * 21, 'but not in a hurry');
    waw.replica.chunks.set(hash, { kind: 'data', bytes: lost });
    assert.ok(await cluster.time.until(() => lon.replica.completed.includes(op.stamp), 120_000));
    await cluster.stop();
  });

  test('bytes of an op that comes late with an old clock are fetched at once, whatever else cannot be had', async () => {
    const { cluster, waw, ber } = await chain();
    waw.replica.put('lost', [bytesOf(777, 7)]);
    waw.replica.chunks.clear();
    await cluster.time.run(300_000);
    const nyc = await cluster.join({
      site: 'nyc',
      replica: cluster.model('nyc', { aheadMs: () => -400_000 }),
      peers: ['ber'],
    });
    const op = nyc.replica.put('old', [bytesOf(100, 1)]);
    const lowest = (await ber.replica.pending(1))[0]?.stamp ?? '';
    assert.ok(op.stamp < lowest);
    assert.ok(await cluster.time.until(() => ber.replica.completed.includes(op.stamp), 5_000));
    await cluster.stop();
  });

  test('wrong bytes are not taken; the next peer is asked', async () => {
    const cluster = new Cluster();
    const waw = await cluster.join({ site: 'waw', replica: cluster.model('waw'), peers: [] });
    const ber = await cluster.join({ site: 'ber', replica: cluster.model('ber'), peers: ['waw'] });
    const op = waw.replica.put('k', [bytesOf(100, 1), bytesOf(100, 2)]);
    assert.ok(await cluster.time.until(() => ber.replica.completed.length === 1, 60_000));
    const [damaged] = waw.replica.chunks.keys();
    waw.replica.chunks.set(damaged ?? '', { kind: 'data', bytes: bytesOf(100, 66) });
    const lon = await cluster.join({ site: 'lon', replica: cluster.model('lon'), peers: ['waw', 'ber'] });
    assert.ok(await cluster.time.until(() => lon.replica.completed.includes(op.stamp), 60_000));
    const { fetch } = await lon.replication.status();
    assert.deepEqual([fetch.badChunks, fetch.fetchedBytesBySite], [1, { waw: 100, ber: 100 }]);
    await cluster.stop();
  });

  test('what is superseded is not fetched', async () => {
    const { cluster, waw, ber } = await chain();
    cluster.network.cut('ber', 'waw');
    const op = waw.replica.put('k', [bytesOf(100, 1)]);
    const page = await waw.replica.opsAfter({}, { maxOps: 1, maxBytes: 1 });
    if (page.kind === 'ops') await ber.replica.apply(page.ops.map(({ op }) => ({ op })));
    ber.replica.forgetPending(op.stamp);
    cluster.network.heal();
    await cluster.time.run(60_000);
    assert.deepEqual([ber.replica.completed, cluster.network.calls.get('ber>waw chunks')], [[], undefined]);
    await cluster.stop();
  });

  test('bandwidth: bytes come as fast as the limit lets them', async () => {
    const { cluster, waw, ber } = await chain({ receiveBytesPerSecond: 100_000 });
    await cluster.time.run(3_000);
    const beforeMs = cluster.time.clock.monotonicMs();
    waw.replica.put(
      'big',
      Array.from({ length: 11 }, (_, i) => bytesOf(100_000, i)),
    );
    assert.ok(await cluster.time.until(() => ber.replica.completed.length === 1, 60_000));
    const tookMs = cluster.time.clock.monotonicMs() - beforeMs;
    assert.ok(tookMs > 9_500 && tookMs < 12_000, `${tookMs} ms for 1.1 MB at 100 kB/s with 100 kB in hand`);
    await cluster.stop();
  });
});
