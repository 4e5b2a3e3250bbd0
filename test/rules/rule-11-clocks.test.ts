/** Rule 11: clocks are not trusted, at three doors: what comes, what is stamped here, what is gossiped. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { hlcWallMs } from '../../core/engine/hlc.ts';
import { stampHlc } from '../../core/engine/stamp.ts';
import { put, pullOps } from '../engine/exchange.ts';
import { noise } from '../engine/whole-site.ts';
import { Cluster, both } from '../replication/fixtures/cluster.ts';
import { engines } from '../replication/fixtures/engine-cluster.ts';
import { settled } from '../replication/fixtures/settling.ts';
import type { EngineSite } from '../replication/fixtures/engine-site.ts';
import { agree, pass, read, sites, wireOpsOf } from './support.ts';

const HOUR_MS = 3_600_000;
const wallOf = (stamp: string): number => hlcWallMs(stampHlc(stamp));

describe('rule 11: clocks are not trusted', () => {
  test('far-future clock: the op is held, not clamped, not merged, the cursor stays; time lets it in as it was written', async () => {
    await using world = await sites();
    const { a, b } = world;
    pass(HOUR_MS, a);
    const { stamp } = await put(a, 'k', 'from the future');
    const before = await b.engine.replica.cut();
    const ops = await wireOpsOf(a.engine.replica);
    const { outcomes } = await b.engine.replica.apply(ops);
    assert.equal(outcomes.at(-1), 'held');
    assert.deepEqual(await b.engine.replica.cut(), before);
    const own = await put(b, 'own', 'x');
    assert.ok(wallOf(own.stamp) <= b.clock.wallMs, 'nothing of that clock got into ours');
    pass(HOUR_MS, b);
    await pullOps(a, b);
    assert.equal(await read(b, 'k'), 'from the future');
    assert.ok((await wireOpsOf(b.engine.replica)).some(({ op }) => op.stamp === stamp));
    await pullOps(b, a);
    await agree(a, b);
  });

  test('what others wrote goes on past an origin that is held, and the fleet is one when its time has come', async () => {
    const cluster = new Cluster();
    let aheadMs = HOUR_MS;
    const model = cluster.model('ahead', { aheadMs: () => aheadMs });
    const ahead = await cluster.join({ site: 'ahead', replica: model, peers: ['ber'] });
    const ber = await cluster.join({ site: 'ber', replica: cluster.model('ber'), peers: ['ahead', 'waw'] });
    const waw = await cluster.join({ site: 'waw', replica: cluster.model('waw'), peers: ['ber'] });
    ahead.replica.put('k', []);
    waw.replica.put('l', []);
    await cluster.time.run(60_000);
    assert.deepEqual(ber.replica.vector, { [waw.replica.origin]: 1 });
    assert.deepEqual(
      (await ber.replication.status()).quarantine.map(({ origin, reason }) => [origin, reason]),
      [[ahead.replica.origin, 'clock']],
    );
    aheadMs = 0;
    await cluster.time.run(HOUR_MS);
    assert.deepEqual(waw.replica.vector, { [waw.replica.origin]: 1, [ahead.replica.origin]: 1 });
    await cluster.stop();
  });

  test('a wall clock that jumps forward stamps nothing: writes are refused with the reason, until it is back', async () => {
    await using world = await engines('chain', 2);
    const { cluster, sites: joined, first } = world;
    cluster.time.wallOffsetMs = HOUR_MS;
    await assert.rejects(first.put('k', noise(10)), { code: 'ClockUntrusted', retryable: true });
    cluster.time.wallOffsetMs = 0;
    await first.put('k', noise(10));
    await settled(cluster, ...joined);
    assert.equal(await (joined[1] as EngineSite).get('k'), noise(10).toString('latin1'));
  });

  test('a wall clock that jumps back only makes the counter work', async () => {
    await using world = await sites();
    const { a } = world;
    const before = await put(a, 'k', 'x');
    pass(-30_000, a);
    const after = await put(a, 'k', 'y');
    assert.ok(after.stamp > before.stamp);
    assert.equal(wallOf(after.stamp), wallOf(before.stamp));
  });

  test('a watermark from the future is not let in, whoever relays it', async () => {
    const cluster = new Cluster();
    const aheadMs = (): number => HOUR_MS;
    const members = both(['ahead', 'ber'], ['ber', 'waw']);
    const peersOf = (site: string): readonly string[] => members.filter(([from]) => from === site).map(([, to]) => to);
    const model = cluster.model('ahead', { aheadMs });
    const ahead = await cluster.join({ site: 'ahead', replica: model, peers: peersOf('ahead') });
    const ber = await cluster.join({ site: 'ber', replica: cluster.model('ber'), peers: peersOf('ber') });
    const waw = await cluster.join({ site: 'waw', replica: cluster.model('waw'), peers: peersOf('waw') });
    ahead.replica.put('k', []);
    waw.replica.put('l', []);
    await cluster.time.run(120_000);
    for (const { marks } of [ber, waw]) {
      const known = marks.get(ahead.replica.origin)?.hlc;
      assert.ok(known === undefined || hlcWallMs(known) <= cluster.time.clock.wallMs(), `${known} was let in`);
    }
    assert.ok(ber.marks.has(waw.replica.origin), 'those of others are');
    await cluster.stop();
  });
});
