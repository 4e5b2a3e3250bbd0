/**
 * Rule 14 over histories of a changing cluster: sites join, also with data, are removed, come back, relay, report and write in any order.
 * What some site forgot is never needed again: nothing that comes there later is older and has not seen it.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import * as fc from 'fast-check';

import { isSkerryError, type Hlc, type Op, type Origin } from '../../core/contracts/index.ts';
import { formatHlc, hlcWallMs } from '../../core/engine/hlc.ts';
import type { MemberRegister } from '../../core/engine/members.ts';
import { stampHlc } from '../../core/engine/stamp.ts';
import { coversDot } from '../../core/engine/vector.ts';
import { Membership } from '../../core/replication/membership.ts';
import { DEFAULT_OPTIONS } from '../../core/replication/options.ts';
import type { Watermark } from '../../core/replication/protocol.ts';
import { isStable } from '../../core/replication/stability.ts';
import type { ReplicationState } from '../../core/replication/state.ts';
import { createWatermarks, type Watermarks } from '../../core/replication/watermarks.ts';
import { silentLogger } from '../engine/fake-stores.ts';
import { ModelReplica } from './fixtures/model-replica.ts';

const GRACE_MS = 1000;
const NAMES = ['waw', 'ber', 'lon', 'nyc'];

type Step =
  | { readonly kind: 'write' | 'boot' | 'renew' | 'forget'; readonly site: number; readonly waitMs: number }
  | {
      readonly kind: 'meet';
      readonly site: number;
      readonly other: number;
      readonly ops: number;
      readonly waitMs: number;
    }
  | { readonly kind: 'remove'; readonly site: number; readonly other: number; readonly waitMs: number };

const site = fc.nat(NAMES.length - 1);
const waitMs = fc.oneof({ weight: 8, arbitrary: fc.nat(20) }, { weight: 2, arbitrary: fc.nat(2 * GRACE_MS) });
const alone = (kind: 'write' | 'boot' | 'renew' | 'forget') => fc.record({ kind: fc.constant(kind), site, waitMs });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: alone('write') },
  { weight: 1, arbitrary: alone('boot') },
  { weight: 1, arbitrary: alone('renew') },
  { weight: 4, arbitrary: alone('forget') },
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('meet' as const),
      site,
      other: site,
      ops: fc.oneof(fc.constant(99), fc.integer({ min: 1, max: 3 })),
      waitMs,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), site, other: site, waitMs }) },
);

class ModelSite {
  readonly replica: ModelReplica;
  readonly watermarks: Watermarks;
  readonly membership: Membership;
  /** Stamps of what it does not remember any more, and of which op. */
  readonly forgotten: Op[] = [];
  #ticked: Hlc = '';

  constructor(name: string, incarnation: number, nowMs: () => number) {
    this.replica = new ModelReplica(name, { wallMs: nowMs, incarnation: String(incarnation).padStart(16, '0') });
    const marks = new Map<Origin, Watermark>();
    const state: ReplicationState = {
      tick: async () => {
        this.#ticked = formatHlc(nowMs(), 0);
        return this.#cut();
      },
      loadWatermarks: async () => [...marks.values()],
      saveWatermarks: async (news) => news.forEach((mark) => marks.set(mark.origin, mark)),
      forgetPeers: async (origins) => origins.forEach((origin) => marks.delete(origin)),
      memberRegisters: () => this.registers(),
      isRemoved: async (origin) => (await this.registers()).some((one) => one.origin === origin && !one.isMember),
      join: async () => undefined,
      removeMembers: async () => undefined,
      firstOps: async () => {
        const ops = await this.ops();
        return Object.fromEntries(ops.toReversed().map(({ dot, stamp }) => [dot.origin, hlcWallMs(stampHlc(stamp))]));
      },
      bootstrapping: () => false,
      letIn: async () => undefined,
    };
    const clock = { wallMs: nowMs, monotonicMs: nowMs };
    const { replica } = this;
    const cut = { origin: replica.origin, cut: () => this.#cut() };
    this.watermarks = createWatermarks({
      replica: cut,
      state,
      clock,
      logger: silentLogger,
      maxClockDriftMs: 60_000,
      peers: [],
    });
    this.membership = new Membership({
      self: { site: name, origin: replica.origin },
      replica: cut,
      state,
      watermarks: this.watermarks,
      clock,
      logger: silentLogger,
      options: { ...DEFAULT_OPTIONS, tombstoneGraceMs: GRACE_MS },
      onEvicted: () => undefined,
    });
    this.report = async () => ({
      site: name,
      origin: replica.origin,
      vector: replica.vector,
      firstOpMs: await state.firstOps(),
    });
  }

  readonly report: () => Promise<Parameters<Membership['judge']>[0]>;

  async #cut() {
    const cut = await this.replica.cut();
    return { ...cut, hlc: cut.hlc > this.#ticked ? cut.hlc : this.#ticked };
  }

  async ops(): Promise<readonly Op[]> {
    const page = await this.replica.opsAfter({}, { maxOps: 10_000, maxBytes: 1 });
    assert.equal(page.kind, 'ops');
    return page.kind === 'ops' ? page.ops.map(({ op }) => op) : [];
  }

  async registers(): Promise<readonly MemberRegister[]> {
    const registers = new Map<Origin, MemberRegister>();
    for (const { body, stamp } of await this.ops())
      if (body.type === 'member.put' || body.type === 'member.remove')
        registers.set(body.id, { origin: body.id, isMember: body.type === 'member.put', stamp });
    return [...registers.values()];
  }

  async isRemoved(origin: Origin): Promise<boolean> {
    return (await this.registers()).some((register) => register.origin === origin && !register.isMember);
  }

  /** As a purge does it: what is stable, and older than the grace by everybody's clock. */
  async forget(): Promise<void> {
    const frontier = await this.watermarks.frontier();
    if (frontier === undefined) return;
    const untilMs = hlcWallMs(frontier.hlc) - GRACE_MS;
    for (const op of await this.ops())
      if (isStable(frontier, op.stamp) && hlcWallMs(stampHlc(op.stamp)) <= untilMs && !this.forgotten.includes(op))
        this.forgotten.push(op);
  }
}

class World {
  nowMs = 1_700_000_000_000;
  readonly sites: (ModelSite | undefined)[] = NAMES.map(() => undefined);
  incarnations = 0;
  proven = 0;
  turnedAway = 0;

  async run(one: Step): Promise<void> {
    this.nowMs += one.waitMs + 2;
    const here = this.sites[one.site];
    if (one.kind === 'boot') return here === undefined ? this.#boot(one.site) : undefined;
    if (here === undefined) return;
    if (one.kind === 'forget') return here.forget();
    if (one.kind === 'renew') return this.#renew(one.site, here);
    if (await here.isRemoved(here.replica.origin)) return; // it writes nothing and finds no one
    if (one.kind === 'write') return void here.replica.put('k', []);
    if (one.kind !== 'meet' && one.kind !== 'remove') return;
    const other = this.sites[one.other];
    if (other === undefined || other === here) return;
    if (one.kind === 'meet') return this.#meet(here, other, one.ops);
    const { origin } = other.replica;
    if (!(await here.isRemoved(origin))) here.replica.write({ type: 'member.remove', id: origin });
  }

  /** It writes by itself before it has met anybody. */
  #boot(index: number): void {
    const name = NAMES[index] as string;
    const booted = new ModelSite(name, ++this.incarnations, () => this.nowMs);
    this.sites[index] = booted;
    booted.replica.write({ type: 'member.put', id: booted.replica.origin, value: {} });
  }

  /** A removed site comes back as another origin, if it is told that others have all its ops. */
  async #renew(index: number, before: ModelSite): Promise<void> {
    const { origin, vector } = before.replica;
    const others = this.sites.flatMap((one) => (one === undefined || one === before ? [] : [one]));
    const known = others.some((one) => coversDot(one.replica.vector, { origin, seq: vector[origin] ?? 0 }));
    const removed = await Promise.all(others.map((one) => one.isRemoved(origin)));
    if (!known || !removed.includes(true)) return;
    const ops = await before.ops();
    this.#boot(index);
    await this.sites[index]?.replica.apply(ops.map((op) => ({ op })));
  }

  /** A handshake, reports, and some of the ops that each lacks; any of which the other may refuse. */
  async #meet(asker: ModelSite, answerer: ModelSite, maxOps: number): Promise<void> {
    try {
      await answerer.membership.admit({ site: '', origin: asker.replica.origin });
      await answerer.membership.judge(await asker.report());
      await asker.membership.judge(await answerer.report());
    } catch (error) {
      assert.ok(isSkerryError(error, 'Conflict'), String(error));
      this.turnedAway++;
      return;
    }
    await this.#pull(asker, answerer, maxOps);
    await this.#pull(answerer, asker, maxOps);
    await asker.membership.tend(answerer.replica.vector);
    await answerer.membership.tend(asker.replica.vector);
    await answerer.watermarks.receive(await asker.watermarks.report());
    await asker.watermarks.receive(await answerer.watermarks.report());
  }

  async #pull(to: ModelSite, from: ModelSite, maxOps: number): Promise<void> {
    const page = await from.replica.opsAfter(to.replica.vector, { maxOps, maxBytes: 1 });
    assert.equal(page.kind, 'ops');
    if (page.kind !== 'ops') return;
    for (const { op } of page.ops) {
      if (await to.isRemoved(from.replica.origin)) return;
      const outcome = await to.replica.apply([{ op }]);
      if (outcome.outcomes[0] === 'applied') this.#check(to, op);
    }
  }

  #check({ forgotten, replica }: ModelSite, come: Op): void {
    for (const gone of forgotten) {
      this.proven++;
      assert.ok(
        come.stamp > gone.stamp || coversDot(come.deps, gone.dot),
        `${come.stamp} came to ${replica.origin}, which has forgotten ${gone.stamp}`,
      );
    }
  }
}

describe('what a changing cluster forgets', () => {
  test('rule 14: is not needed any more, whoever joins, is removed or comes back', async () => {
    let [proven, turnedAway] = [0, 0];
    const histories = fc.array(step, { minLength: 30, maxLength: 160, size: 'max' });
    const property = fc.asyncProperty(histories, async (steps) => {
      const world = new World();
      for (const index of [0, 1]) await world.run({ kind: 'boot', site: index, waitMs: 0 });
      for (const one of steps) await world.run(one);
      proven += world.proven;
      turnedAway += world.turnedAway;
    });
    await fc.assert(property, { seed: 77, numRuns: 300, endOnFailure: true });
    assert.ok(proven > 1000 && turnedAway > 100, `${proven} proven, ${turnedAway} turned away`);
  });
});
