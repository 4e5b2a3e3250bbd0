/** Stability against a model that knows every op in flight, and what watermarks let in. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import * as fc from 'fast-check';

import type { Hlc, Op, Origin, VersionVector } from '../../core/contracts/index.ts';
import { formatHlc } from '../../core/engine/hlc.ts';
import { coversDot, coversVector } from '../../core/engine/vector.ts';
import type { Watermark } from '../../core/replication/protocol.ts';
import { isStable, stableFrontier } from '../../core/replication/stability.ts';
import type { ReplicationState } from '../../core/replication/state.ts';
import { createWatermarks } from '../../core/replication/watermarks.ts';
import { silentLogger } from '../engine/fake-stores.ts';
import { ModelReplica } from './fixtures/model-replica.ts';
import { fixedMembers, registersOf } from './fixtures/registers.ts';
import { VirtualTime } from './fixtures/virtual-time.ts';

const EVICTED = 'e.0000000000000000';
const SITES = ['waw', 'ber', 'lon'] as const;

type Step =
  | { readonly kind: 'write'; readonly site: number; readonly aheadMs: number }
  | { readonly kind: 'send'; readonly from: number; readonly to: number; readonly ops: number }
  | { readonly kind: 'report'; readonly from: number };

const site = fc.nat(SITES.length - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('write' as const), site, aheadMs: fc.nat(30) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('send' as const),
      from: site,
      to: site,
      ops: fc.integer({ min: 1, max: 9 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('report' as const), from: site }) },
);

/** Sites that write, send each other ops and reports in any order. */
class World {
  nowMs = 1_700_000_000_000;
  aheadMs = 0;
  readonly sites = SITES.map((name) => new ModelReplica(name, { wallMs: () => this.nowMs + this.aheadMs }));
  readonly known = SITES.map(() => new Map<Origin, Watermark>());
  readonly ops: Op[] = [];

  async run(step: Step): Promise<void> {
    this.nowMs += 3;
    if (step.kind === 'write') {
      this.aheadMs = step.aheadMs;
      this.ops.push(this.at(step.site).put('k', []));
      this.aheadMs = 0;
    } else if (step.kind === 'send') {
      const page = await this.at(step.from).opsAfter(this.at(step.to).vector, { maxOps: step.ops, maxBytes: 1 });
      if (page.kind === 'ops') await this.at(step.to).apply(page.ops);
    } else {
      const { hlc, vector } = await this.at(step.from).cut();
      const { origin } = this.at(step.from);
      for (const known of this.known) known.set(origin, { origin, hlc, vector });
    }
  }

  at(index: number): ModelReplica {
    return this.sites[index] as ModelReplica;
  }

  async frontier(index: number) {
    const { origin } = this.at(index);
    const own = { origin, ...(await this.at(index).cut()) };
    const registers = registersOf(this.sites.map((each) => each.origin));
    return stableFrontier(own, { registers, peers: [] }, this.known[index] ?? new Map());
  }
}

describe('the stable frontier', () => {
  test('when an op is stable, everybody has it, and whatever anybody lacks or will write is stamped later', () => {
    let proven = 0;
    const property = fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 120, size: 'max' }), async (steps) => {
      const world = new World();
      for (const each of steps) await world.run(each);
      for (const [index, replica] of world.sites.entries()) {
        const frontier = await world.frontier(index);
        if (frontier === undefined) continue;
        const stable = world.ops.filter(({ stamp }) => isStable(frontier, stamp));
        for (const { dot, stamp } of stable) {
          proven++;
          for (const other of world.sites) assert.ok(coversDot(other.vector, dot), 'somebody lacks a stable op');
          const coming = world.ops.filter((op) => !coversDot(replica.vector, op.dot));
          for (const op of coming) assert.ok(op.stamp > stamp, `${op.stamp} can still come here`);
        }
      }
    });
    return fc.assert(property, { seed: 31, numRuns: 400 }).then(() => assert.ok(proven > 100, `${proven} proven`));
  });

  test('a member that has not reported, or reported what we lack, proves nothing; one evicted is not asked', () => {
    const hlc = formatHlc(1000, 0);
    const own: Watermark = { origin: 'a.0000000000000000', hlc, vector: { 'a.0000000000000000': 2 } };
    const b: Watermark = { origin: 'b.0000000000000000', hlc: formatHlc(900, 0), vector: { ...own.vector } };
    const c: Watermark = { origin: 'c.0000000000000000', hlc, vector: { 'c.0000000000000000': 1 } };
    const marks = new Map([b, c].map((mark) => [mark.origin, mark]));
    const frontier = (...members: readonly Origin[]) =>
      stableFrontier(own, { registers: registersOf([own.origin, ...members], [EVICTED]), peers: ['b'] }, marks);
    assert.equal(frontier(b.origin, 'd.0000000000000000'), undefined);
    assert.equal(frontier(b.origin, c.origin), undefined);
    assert.deepEqual(frontier(b.origin), { vector: own.vector, hlc: b.hlc });
    const cluster = { registers: registersOf([own.origin, b.origin]), peers: [] };
    const unknown = { ...own, vector: { ...own.vector, 'f.0000000000000000': 1 } };
    assert.equal(stableFrontier(unknown, cluster, marks), undefined, 'somebody has ops here and no record');
    const removed = { registers: registersOf([b.origin], [own.origin]), peers: [] };
    assert.equal(stableFrontier(own, removed, marks), undefined, 'who was removed hears of no others');
  });
});

describe('watermarks', () => {
  test('those of an origin that was removed are forgotten, once, and not let in again', async () => {
    const { marks, time, store, removed } = await rig();
    await marks.receive([mark(at(time, 1), {})]);
    assert.equal(marks.lastReport(BER)?.hlc, at(time, 1));
    removed.push(BER);
    assert.deepEqual(
      (await marks.report()).map(({ origin }) => origin),
      ['waw.0123456789abcdef'],
    );
    assert.equal(store.size, 0);
    await marks.receive([mark(at(time, 2), {})]);
    assert.deepEqual([store.size, marks.lastReport(BER)], [0, undefined]);
  });

  async function rig(saved: readonly Watermark[] = []) {
    const time = new VirtualTime();
    const replica = new ModelReplica('waw', { wallMs: () => time.clock.wallMs() });
    const store = new Map(saved.map((mark) => [mark.origin, mark]));
    const own: Watermark[] = [];
    const flags = { bootstrapping: false };
    const removed: Origin[] = [];
    const state: ReplicationState = {
      tick: () => replica.cut(),
      letIn: () => Promise.reject(new Error('a model lets nothing in')),
      loadWatermarks: async () => [...store.values(), ...own],
      saveWatermarks: async (marks) =>
        marks.forEach((mark) => (mark.origin === replica.origin ? own.push(mark) : store.set(mark.origin, mark))),
      forgetPeers: async (origins) => origins.forEach((origin) => store.delete(origin)),
      ...fixedMembers(() => [replica.origin, BER]),
      memberRegisters: async () => registersOf([replica.origin, BER], removed),
      bootstrapping: () => flags.bootstrapping,
    };
    const deps = { replica, state, clock: time.clock, logger: silentLogger, maxClockDriftMs: 60_000, peers: [] };
    const marks = createWatermarks(deps);
    await marks.begin();
    return { time, replica, store, flags, removed, deps, marks };
  }
  const BER = 'ber.0123456789abcdef';
  const mark = (hlc: Hlc, vector: VersionVector): Watermark => ({ origin: BER, hlc, vector });
  const at = (time: VirtualTime, ms: number): Hlc => formatHlc(time.clock.wallMs() + ms, 0);

  test('a report counts once we have what it tells of, and the one before counts until then', async () => {
    const { marks, time, replica } = await rig();
    replica.put('k', []);
    await marks.receive([mark(at(time, 1), replica.vector)]);
    const first = await marks.frontier();
    assert.deepEqual(first?.vector, replica.vector);
    const behind = new ModelReplica('ber', { wallMs: () => time.clock.wallMs() + 5 });
    const op = behind.put('x', []);
    await marks.receive([mark(at(time, 5), { ...replica.vector, ...behind.vector })]);
    await marks.receive([mark(at(time, 6), { ...replica.vector, [BER]: 2 })]);
    assert.deepEqual(await marks.frontier(), first);
    await replica.apply([{ op }]);
    assert.ok(coversVector((await marks.frontier())?.vector ?? {}, behind.vector));
  });

  test('one from the future is not let in, nor one that is older, nor one of ourselves (rule 11)', async () => {
    const { marks, time, replica, store } = await rig();
    await marks.receive([mark(at(time, 61_000), {}), { origin: replica.origin, hlc: at(time, 0), vector: {} }]);
    assert.deepEqual(store, new Map());
    await marks.receive([mark(at(time, 5), {})]);
    await marks.receive([mark(at(time, 4), { [BER]: 9 })]);
    assert.deepEqual([...store.values()], [mark(at(time, 5), {})]);
  });

  test('this site reports nothing and calls nothing stable before it has had what a peer had, and always after', async () => {
    const { deps, time, replica } = await rig();
    const own: Watermark[] = [];
    const state: ReplicationState = {
      ...deps.state,
      loadWatermarks: async () => own,
      saveWatermarks: async (marks) => void own.push(...marks.filter(({ origin }) => origin === replica.origin)),
    };
    const marks = createWatermarks({ ...deps, state });
    await marks.open();
    await marks.receive([mark(at(time, 1), {})]);
    assert.deepEqual(
      [marks.isReporting(), (await marks.report()).length, await marks.frontier()],
      [false, 1, undefined],
    );
    await marks.begin();
    assert.deepEqual([marks.isReporting(), (await marks.report()).length], [true, 2]);
    assert.ok(await marks.frontier());
    const again = createWatermarks({ ...deps, state });
    await again.open();
    assert.equal(again.isReporting(), true);
    await again.begin();
    assert.equal(own.length, 1, 'which is recorded once');
  });

  test('they are remembered over a restart', async () => {
    const first = await rig();
    first.replica.put('k', []);
    await first.marks.receive([mark(at(first.time, 1), first.replica.vector)]);
    const again = createWatermarks(first.deps);
    await again.open();
    assert.deepEqual(
      [await again.frontier(), await again.report()],
      [await first.marks.frontier(), await first.marks.report()],
    );
  });

  test('rule 15: a site that bootstraps reports nothing of itself and calls nothing stable', async () => {
    const { marks, time, flags, replica } = await rig();
    await marks.receive([mark(at(time, 1), {})]);
    assert.deepEqual(
      (await marks.report()).map(({ origin }) => origin),
      [replica.origin, BER],
    );
    flags.bootstrapping = true;
    assert.deepEqual(
      (await marks.report()).map(({ origin }) => origin),
      [BER],
    );
    assert.equal(await marks.frontier(), undefined);
  });
});
