/** One run: sites, network, clients and faults on one scheduler, watched by the checkers. */
import { coversDot } from '../../core/engine/vector.ts';
import { isSkerryError } from '../../core/contracts/index.ts';
import { createCheckers, type Checker, type WorldView } from '../checkers/index.ts';
import { applyFault, healAll } from '../faults/apply.ts';
import { rotAndRepair } from '../faults/rot.ts';
import { runStep, type Served } from '../workload/client.ts';
import type { CallRecord } from '../workload/history.ts';
import type { ClientStep } from '../workload/steps.ts';
import { outstanding } from '../checkers/convergence.ts';
import { vectorName } from '../checkers/vectors.ts';
import { canonicalJson } from '../checkers/dump.ts';
import { Network } from './network.ts';
import type { Plan } from './plan.ts';
import type { LogLine } from './runtime.ts';
import { Scheduler } from './scheduler.ts';
import { idOf, type Commit, type KnownOps } from './site-record.ts';
import { SimSite, type SiteAdapter } from './site.ts';
import { SqliteShelf } from './sqlite-shelf.ts';
import type { Trace } from './trace.ts';

export interface Failure {
  readonly checker: string;
  readonly message: string;
  /** Virtual milliseconds. */
  readonly atMs: number;
}

/** How often running sites are looked at. */
const LOOK_EVERY_MS = 500;
/** How adapters log what replication tells of itself. */
const FACT = 'replication: ';
const MARKED: ReadonlySet<string> = new Set(['a snapshot of a peer was taken', 'this site goes on as a new origin']);
/** How long everything is given to come to rest once clients and faults are over. */
const QUIET_MS = 3000;
/** Longer than until who was turned away tries again. */
const TURNED_AWAY_MS = 30_000;

export class World {
  readonly failures: Failure[] = [];
  readonly marks = new Map<string, number>();
  readonly scheduler: Scheduler;
  readonly network: Network;
  readonly sites: readonly SimSite[];
  readonly #plan: Plan;
  readonly #adapter: SiteAdapter;
  readonly #trace: Trace;
  readonly #checkers: readonly Checker[];
  readonly #view: WorldView;
  /** Steps that are being done now. */
  readonly #running = new Set<string>();
  readonly #known: KnownOps = new Map();
  readonly #sqlite: SqliteShelf;
  #hasLostDisks = false;
  #turnedAwayMs = Number.NEGATIVE_INFINITY;
  #isPutAside = false;

  constructor(plan: Plan, adapter: SiteAdapter, trace: Trace) {
    this.#plan = plan;
    this.#adapter = adapter;
    this.#trace = trace;
    this.#checkers = createCheckers(plan.seed);
    this.scheduler = new Scheduler(plan.seed, trace);
    this.network = new Network(plan.seed);
    const { scheduler, network } = this;
    this.#sqlite = new SqliteShelf(scheduler, (line) => this.#onLog(line));
    const parts = {
      seed: plan.seed,
      scheduler,
      network,
      adapter,
      watcher: this,
      log: (line: LogLine) => this.#onLog(line),
      known: this.#known,
      sqlite: this.#sqlite,
    };
    this.sites = plan.sites.map((setup) => new SimSite(parts, setup));
    for (const site of this.sites) site.peers = peersOf(plan, site.name);
    this.#view = {
      sites: this.sites,
      replicates: adapter.replicates,
      movesBytes: adapter.movesBytes,
      network,
      drains: plan.drainMs > 0,
      hasLostDisks: () => this.#hasLostDisks,
      nowMs: () => scheduler.nowMs,
      fail: (checker, message) => this.fail(checker, message),
      mark: (name) => this.mark(name),
    };
  }

  fail(checker: string, message: string): void {
    this.failures.push({ checker, message, atMs: this.scheduler.nowMs });
    this.#trace.line(`FAIL ${checker}: ${message}`);
  }

  mark(name: string): void {
    this.marks.set(name, (this.marks.get(name) ?? 0) + 1);
  }

  loses(site: SimSite): void {
    this.#hasLostDisks = true;
    const others = this.sites.filter((one) => one !== site);
    const lost = site.record.ops.filter(({ dot }) => !others.some(({ record }) => coversDot(record.vector, dot)));
    for (const op of lost) this.#known.delete(idOf(op));
    for (const checker of this.#checkers) checker.onLost?.(lost);
  }

  /** To the end, or to the first broken promise. */
  async run(): Promise<void> {
    const { activeMs } = this.#plan;
    for (const site of this.sites) await site.start();
    for (const step of this.#plan.steps) this.#scheduleStep(step);
    for (const { id, atMs, fault } of this.#plan.faults) {
      this.scheduler.after(atMs, `fault ${id}`, () => applyFault(this, fault));
    }
    for (let atMs = LOOK_EVERY_MS; atMs < activeMs; atMs += LOOK_EVERY_MS)
      this.scheduler.after(atMs, 'look', () => this.#look());
    await this.#runUntil(activeMs);
    await this.#settle();
    await this.#ask('atRest');
    await this.#rot();
    await this.#loseWhatIsNotDurable();
    await this.#settle();
    await this.#runUntil(this.scheduler.nowMs + this.#plan.drainMs);
    await this.#ask('atEnd');
    if (this.#sqlite.reopened > 0) this.mark('meta-sqlite reopened');
  }

  /** Gives back what the run held outside this process's memory. */
  close(): Promise<void> {
    return this.#sqlite.close();
  }

  onCommit(commit: Commit): void {
    for (const op of commit.ops) this.#trace.line(`${commit.site.name} commits ${op.stamp} ${canonicalJson(op.body)}`);
    for (const checker of this.#checkers) checker.onCommit?.(commit, this.#view);
  }

  onStartFailure(site: { readonly name: string }, error: unknown): void {
    this.fail(
      'start',
      `${site.name} did not start: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    );
  }

  #hasEnded(): boolean {
    return this.failures.length > 0 || this.#isPutAside;
  }

  #runUntil(untilMs: number): Promise<void> {
    return this.scheduler.run(untilMs, () => this.#hasEnded());
  }

  /** Everything healed: waits until all is done and one, then collects garbage. */
  async #settle(): Promise<void> {
    if (this.#hasEnded()) return;
    healAll(this);
    const deadlineMs = this.scheduler.nowMs + this.#plan.settleMs;
    let isAtRest = false;
    while (!isAtRest && this.scheduler.nowMs < deadlineMs && !this.#hasEnded()) {
      await this.#runUntil(this.scheduler.nowMs + QUIET_MS);
      isAtRest = await this.#isAtRest();
    }
    if (!isAtRest) this.#tellUnrest();
    for (const site of this.sites) {
      site.collectGarbage().catch((error: unknown) => this.fail('garbage', `${site.name}: ${String(error)}`));
    }
    await this.#runUntil(this.scheduler.nowMs + QUIET_MS);
    for (const step of this.#running) this.fail('liveness', `${step} was never answered`);
  }

  async #rot(): Promise<void> {
    const { seed, rot, steps, settleMs } = this.#plan;
    if (rot === undefined || this.#hasEnded()) return;
    const keys = new Map(steps.flatMap(({ op }) => ('key' in op ? [[`${op.bucket}/${op.key}`, op] as const] : [])));
    const rotting = { isOver: false };
    this.scheduler.after(0, 'rot', () => {
      rotAndRepair(this, { seed, rot, keys: [...keys.values()] })
        .catch((error: unknown) => this.fail('rot', error instanceof Error ? (error.stack ?? '') : String(error)))
        .finally(() => (rotting.isOver = true));
    });
    const deadlineMs = this.scheduler.nowMs + 2 * settleMs;
    while (!rotting.isOver && this.scheduler.nowMs < deadlineMs && !this.#hasEnded())
      await this.#runUntil(this.scheduler.nowMs + QUIET_MS);
    if (!rotting.isOver) this.fail('rot', 'damaged bytes were never dealt with');
  }

  /** Power off everywhere, and nothing unsynced survives. */
  async #loseWhatIsNotDurable(): Promise<void> {
    if (this.#hasEnded()) return;
    this.scheduler.after(0, 'last power cut', () => {
      for (const site of this.sites) {
        site.survival = 0;
        site.crash();
      }
    });
    await this.#runUntil(this.scheduler.nowMs + 1);
  }

  async #isAtRest(): Promise<boolean> {
    const isUp = this.sites.every((site) => site.isUp);
    if (!isUp || this.#running.size > 0) return false;
    if (!this.#adapter.replicates) return true;
    const vectors = new Set(this.sites.map(({ record }) => vectorName(record.vector)));
    if (vectors.size > 1) return false;
    return !this.#adapter.movesBytes || (await outstanding(this.sites, this.#hasLostDisks)).length === 0;
  }

  /** Who lost its disks and wrote alone for longer than half of what removals are remembered for is turned away by design (decision 27). */
  #tellUnrest(): void {
    if (this.#hasEnded()) return;
    const isRefused = this.scheduler.nowMs - this.#turnedAwayMs < TURNED_AWAY_MS;
    if (isRefused && this.#hasLostDisks && this.#plan.sites.some(({ keepsLittle }) => keepsLittle)) {
      this.#isPutAside = true;
      return this.mark('put aside: a newcomer was turned away');
    }
    const found = this.sites.map(
      ({ name, isUp, record }) => `${name}${isUp ? '' : ' (down)'} [${vectorName(record.vector)}]`,
    );
    this.fail('liveness', `healed ${this.#plan.settleMs} ms ago, and not at rest: ${found.join(', ')}`);
  }

  #scheduleStep(step: ClientStep): void {
    const site = this.#siteOf(step, step.site);
    this.scheduler.after(step.atMs, `step ${step.id}`, () => {
      this.#running.add(step.id);
      const ports = {
        site: servedBy(site),
        at: (name: string) => servedBy(this.#siteOf(step, name)),
        nowMs: () => this.scheduler.nowMs,
        sleep: (ms: number) =>
          new Promise<void>((resolve) => void this.scheduler.after(ms, `client ${step.id}`, resolve)),
        record: (call: CallRecord) => this.#onCall(call),
      };
      runStep(step, ports)
        .catch((error: unknown) => this.fail('harness', error instanceof Error ? (error.stack ?? '') : String(error)))
        .finally(() => this.#running.delete(step.id));
    });
  }

  #siteOf({ id }: ClientStep, name: string): SimSite {
    const site = this.sites.find((one) => one.name === name);
    if (site === undefined) throw new RangeError(`step ${id} names an unknown site ${name}`);
    return site;
  }

  #onCall(call: CallRecord): void {
    const { outcome } = call;
    this.#trace.line(
      `call ${call.step} ${canonicalJson(outcome.kind === 'refused' ? { code: outcome.code } : outcome)}`,
    );
    this.mark(outcome.kind === 'refused' ? `refused ${outcome.code}` : `call ${outcome.kind}`);
    if (outcome.kind === 'done') this.mark(`done ${call.op.type}`);
    for (const checker of this.#checkers) checker.onCall?.(call, this.#view);
  }

  #onLog(line: LogLine): void {
    this.#trace.line(`${line.site} ${line.level} ${line.message}${causeOf(line)}`);
    if (line.message.startsWith(FACT) || MARKED.has(line.message)) this.mark(line.message);
    if (reasonOf(line) === 'not-a-member') this.#turnedAwayMs = this.scheduler.nowMs;
    for (const checker of this.#checkers) checker.onLog?.(line, this.#view);
  }

  #look(): Promise<void> {
    return this.#ask('onLook');
  }

  async #ask(moment: 'onLook' | 'atRest' | 'atEnd'): Promise<void> {
    for (const checker of this.#checkers) {
      if (!this.#hasEnded()) await checker[moment]?.(this.#view);
    }
  }
}

const servedBy = (site: SimSite): Served => ({
  applied: () => site.record.ops.length,
  call: (work) => site.call(work),
  collectGarbage: () => site.collectGarbage(),
});

const errorOf = ({ fields }: LogLine): unknown => (fields as { readonly err?: unknown }).err;

function reasonOf(line: LogLine): unknown {
  const error = errorOf(line);
  return isSkerryError(error) ? error.details['reason'] : undefined;
}

/** The error that a line tells of. */
function causeOf(line: LogLine): string {
  const err = errorOf(line);
  if (!(err instanceof Error)) return '';
  return `: ${isSkerryError(err) ? err.code : err.name}: ${err.message}`;
}

function peersOf({ dials }: Plan, name: string) {
  return dials.filter(([from]) => from === name).map(([, to]) => ({ site: to, url: Network.urlOf(to) }));
}
