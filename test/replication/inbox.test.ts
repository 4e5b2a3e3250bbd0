/** The one door for ops that arrive. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import * as fc from 'fast-check';

import { SkerryError, type Op } from '../../core/contracts/index.ts';
import type { WireOp } from '../../core/engine/replica.ts';
import type { ReplicationFact } from '../../core/replication/facts.ts';
import { createInbox, type OwnOpsClaim } from '../../core/replication/inbox.ts';
import { rejectsWith } from '../../harness/conformance/traits.ts';
import { silentLogger } from '../engine/fake-stores.ts';
import { ModelReplica } from './fixtures/model-replica.ts';
import { VirtualTime } from './fixtures/virtual-time.ts';

const DRIFT_MS = 60_000;

function rig() {
  const time = new VirtualTime();
  const model = (site: string, aheadMs = 0): ModelReplica =>
    new ModelReplica(site, { wallMs: () => time.clock.wallMs() + aheadMs });
  const replica = model('ber');
  const facts: ReplicationFact[] = [];
  const applied: Op[] = [];
  const own: OwnOpsClaim[] = [];
  const door = createInbox({
    replica,
    clock: time.clock,
    logger: silentLogger,
    maxClockDriftMs: DRIFT_MS,
    inboxMaxBytes: 1000,
    onFact: (fact) => facts.push(fact),
    onApplied: (ops) => applied.push(...ops),
    onOwnOps: (claim) => own.push(claim),
  });
  const inbox = {
    ...door,
    receive: (ops: readonly WireOp[], more = {}) => door.receive(ops, { from: 'waw', ...more }),
  };
  return { time, model, replica, inbox, facts, applied, own };
}

const wire = (ops: readonly Op[]): readonly WireOp[] => ops.map((op) => ({ op }));
const put = (site: ModelReplica, key: string): Op => site.put(key, []);

describe('causal order', () => {
  test('pages may come duplicated, reordered and cut anywhere: the vector is dense and the state the same', () => {
    const { model } = rig();
    const [waw, lon] = [model('waw'), model('lon')];
    const ops: Op[] = [];
    for (let i = 0; i < 6; i++) {
      const mine = put(i % 2 === 0 ? waw : lon, `k${i % 3}`);
      ops.push(mine);
      void (i % 2 === 0 ? lon : waw).apply([{ op: mine }]);
    }
    const deliveries = fc.array(fc.array(fc.nat(ops.length - 1), { minLength: 1, maxLength: 8 }), { maxLength: 12 });
    const property = fc.asyncProperty(deliveries, async (pages) => {
      const { inbox, replica } = rig();
      for (const page of pages) {
        await inbox.receive(wire(page.map((index) => ops[index] as Op)));
        const covered = ops.filter(({ dot }) => (replica.vector[dot.origin] ?? 0) >= dot.seq);
        for (const { deps } of covered)
          for (const [origin, seq] of Object.entries(deps)) assert.ok((replica.vector[origin] ?? 0) >= seq);
      }
      const last = await inbox.receive(wire(ops.toReversed()));
      assert.deepEqual([replica.vector, replica.state(), last.early], [waw.vector, waw.state(), 0]);
    });
    return fc.assert(property, { seed: 21, numRuns: 200 });
  });

  test('rule 3: a relayed op with an older clock than what was seen is applied', async () => {
    const { inbox, model, replica } = rig();
    const old = put(model('waw', -50_000), 'old');
    await inbox.receive(wire([put(model('lon'), 'new')]));
    const report = await inbox.receive(wire([old]));
    assert.deepEqual([report.applied, replica.vector[old.dot.origin]], [1, 1]);
  });

  test('a gap is told and not passed over; what others wrote goes on', async () => {
    const { inbox, model, replica, facts } = rig();
    const [waw, lon] = [model('waw'), model('lon')];
    const [first, second, third] = [put(waw, 'a'), put(waw, 'b'), put(waw, 'c')];
    const report = await inbox.receive(wire([second, third, put(lon, 'd')]));
    assert.deepEqual({ applied: report.applied, early: report.early }, { applied: 1, early: 2 });
    assert.deepEqual([replica.vector[waw.origin], facts], [undefined, []]);
    assert.equal((await inbox.receive(wire([first, second, third]))).applied, 3);
  });

  test('what the vector covers is not handed to the engine again', async () => {
    const { inbox, model, replica } = rig();
    const op = put(model('waw'), 'a');
    await inbox.receive(wire([op, op]));
    assert.deepEqual(await inbox.receive(wire([op, op])), { applied: 0, known: 2, early: 0, vector: replica.vector });
    assert.equal(replica.handed.get(op.stamp), 1);
  });

  test('batches run one after another, whoever brings them', async () => {
    const { inbox, model, replica } = rig();
    const waw = model('waw');
    const ops = Array.from({ length: 30 }, (_, i) => put(waw, `k${i}`));
    const reports = await Promise.all(ops.map((op) => inbox.receive(wire([op]))));
    assert.deepEqual([reports.every(({ applied }) => applied === 1), replica.vector[waw.origin]], [true, 30]);
  });

  test('what a removed site brings is refused whole, and blames no op: a member may bring the same', async () => {
    const { model, inbox, replica } = rig();
    const waw = model('waw');
    const ops = wire([put(waw, 'a'), put(waw, 'b')]);
    replica.removed.add(waw.origin);
    await rejectsWith('Conflict', () => inbox.receive(ops, { via: waw.origin }));
    assert.deepEqual([replica.vector, inbox.quarantine()], [{}, []]);
    assert.equal((await inbox.receive(ops, { via: 'lon.0123456789abcdef' })).applied, 2);
  });
});

describe('clocks (rule 11)', () => {
  test('an op from the far future is held with its later ops, others go on, and time lets it in', async () => {
    const { inbox, model, replica, facts, time } = rig();
    const [waw, lon] = [model('waw', DRIFT_MS + 30_000), model('lon')];
    const future = [put(waw, 'a'), put(waw, 'b')];
    assert.equal((await inbox.receive(wire([...future, put(lon, 'c')]))).applied, 1);
    assert.deepEqual([replica.vector[waw.origin], inbox.blocked()], [undefined, [waw.origin]]);
    assert.deepEqual(
      facts.map(({ kind }) => kind),
      ['quarantined'],
    );
    const [held] = inbox.quarantine();
    assert.deepEqual([held?.reason, held?.stamp, held?.attempts], ['clock', future[0]?.stamp, 1]);
    assert.equal(inbox.nextDueInMs(), 30_000);
    await inbox.receive(wire(future));
    assert.equal(replica.handed.get(future[0]?.stamp ?? ''), 1, 'not tried before it is due');
    await time.run(30_000);
    assert.deepEqual(inbox.blocked(), []);
    assert.equal((await inbox.receive(wire(future))).applied, 2);
    assert.deepEqual([inbox.quarantine(), facts.map(({ kind }) => kind)], [[], ['quarantined', 'released']]);
  });

  test('an op that has seen one that is held waits behind it, and is not a gap to refetch', async () => {
    const { inbox, model, facts } = rig();
    const [waw, lon] = [model('waw', DRIFT_MS + 30_000), model('lon', DRIFT_MS + 10_000)];
    const future = put(waw, 'a');
    await lon.apply(wire([future]));
    const after = put(lon, 'b');
    const report = await inbox.receive(wire([future, after]));
    assert.deepEqual([report.applied, report.early], [0, 0]);
    assert.deepEqual(inbox.blocked().toSorted(), [lon.origin, waw.origin]);
    assert.deepEqual(
      facts.map((fact) => fact.kind === 'quarantined' && fact.quarantined.reason),
      ['clock', 'behind'],
    );
  });

  test('a wall clock that is set back does not hold anything for longer than a minute unasked', async () => {
    const { inbox, model, time } = rig();
    await inbox.receive(wire([put(model('waw', 10 * DRIFT_MS), 'a')]));
    time.wallOffsetMs = -1_000_000;
    await time.run(60_000);
    assert.deepEqual(inbox.blocked(), []);
  });
});

describe('bad ops', () => {
  test('one that the engine cannot apply stops its origin and nobody else', async () => {
    const { inbox, model, replica, facts } = rig();
    const [waw, lon] = [model('waw'), model('lon')];
    const ops = [put(waw, 'a'), put(lon, 'b'), put(waw, 'c'), put(lon, 'd')];
    replica.poison.set(ops[2]?.stamp ?? '', new TypeError('bug'));
    const report = await inbox.receive(wire(ops));
    assert.deepEqual([report.applied, replica.vector], [3, { [waw.origin]: 1, [lon.origin]: 2 }]);
    assert.deepEqual(
      facts.map((fact) => fact.kind === 'quarantined' && fact.quarantined.reason),
      ['refused'],
    );
  });

  test('inline bytes that are not what the op says are dropped, the op is applied', async () => {
    const { inbox, model, replica } = rig();
    const op = model('waw').put('a', [Buffer.from('good')]);
    const report = await inbox.receive([{ op, body: Buffer.from('evil') }]);
    assert.equal(report.applied, 1);
    assert.deepEqual(
      (await replica.pending(10)).map(({ stamp }) => stamp),
      [op.stamp],
    );
  });

  test('a failure of this site is passed on and changes nothing; the next batch runs', async () => {
    const { inbox, model, replica } = rig();
    const op = put(model('waw'), 'a');
    replica.poison.set(op.stamp, new SkerryError('OutOfSpace', 'full'));
    await rejectsWith('OutOfSpace', () => inbox.receive(wire([op])));
    assert.deepEqual([replica.vector, inbox.quarantine()], [{}, []]);
    replica.poison.clear();
    assert.equal((await inbox.receive(wire([op]))).applied, 1);
  });

  test('rule 12: ops of our own origin that we never wrote are reported and not applied', async () => {
    const { inbox, model, replica, own } = rig();
    const before = model('ber');
    const ops = [put(before, 'a'), put(before, 'b')];
    assert.equal((await inbox.receive(wire(ops))).applied, 0);
    assert.deepEqual([replica.vector, own], [{}, [{ from: 'waw', ownSeq: 0, knownSeq: 2 }]]);
  });

  test('pushed ops beyond the limit are refused with SlowDown while others wait', async () => {
    const { inbox, model } = rig();
    const waw = model('waw');
    const first = inbox.receive(wire([put(waw, 'a')]), { pushedBytes: 900 });
    await rejectsWith('SlowDown', () => inbox.receive(wire([put(waw, 'b')]), { pushedBytes: 200 }));
    await first;
    await inbox.receive([], { pushedBytes: 5000 });
  });
});
