/**
 * What each origin last reported of itself, first-hand or relayed. A report that tells of ops that we lack proves nothing yet;
 * it waits until we have them, and the one before counts until then, so that a busy site's frontier moves too.
 */
import type { Clock, Logger, Origin, SiteId } from '../contracts/index.ts';
import { HLC_ZERO, hlcWallMs } from '../engine/hlc.ts';
import type { Cut, Replica } from '../engine/replica.ts';
import { coversVector } from '../engine/vector.ts';
import type { Watermark } from './protocol.ts';
import { stableFrontier, type Frontier } from './stability.ts';
import type { ReplicationState } from './state.ts';

/** Origins remembered; members come first, the rest is somebody making them up. */
const ORIGINS_MAX = 1024;

interface Reports {
  /** The last report that we had everything of. */
  covered?: Watermark;
  /** The oldest report that we have not, kept until we do. */
  awaited?: Watermark;
  latest: Watermark;
}

export interface WatermarksDeps {
  readonly replica: Pick<Replica, 'origin' | 'cut'>;
  readonly state: ReplicationState;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly maxClockDriftMs: number;
  /** Sites that this one calls: before each is recorded as a member nothing is stable. */
  readonly peers: readonly SiteId[];
}

export interface Watermarks {
  open(): Promise<void>;
  /**
   * This site has had what a peer had: from now on it reports, and never stops to, over restarts. Others go by that, so it lets in no
   * newcomer with old data any more. While it is bootstrapping nothing happens.
   */
  begin(): Promise<void>;
  isReporting(): boolean;
  /** Everything to tell a peer: our own report, unless we have not begun or are bootstrapping, and what others reported. */
  report(): Promise<readonly Watermark[]>;
  /** Takes in what a peer tells. A clock from the future is not let in (rule 11). */
  receive(marks: readonly Watermark[]): Promise<void>;
  /** `undefined` while nothing is known to be stable. */
  frontier(): Promise<Frontier | undefined>;
  /** The last report of another origin. */
  lastReport(origin: Origin): Watermark | undefined;
}

export function createWatermarks(deps: WatermarksDeps): Watermarks {
  return new Board(deps);
}

class Board implements Watermarks {
  readonly #deps: WatermarksDeps;
  readonly #reports = new Map<Origin, Reports>();
  /** Origins that were removed and of which nothing is kept. */
  readonly #dropped = new Set<Origin>();
  #isReporting = false;

  constructor(deps: WatermarksDeps) {
    this.#deps = deps;
  }

  async open(): Promise<void> {
    const { vector } = await this.#deps.replica.cut();
    for (const mark of await this.#deps.state.loadWatermarks())
      if (mark.origin === this.#deps.replica.origin) this.#isReporting = true;
      else this.#take(mark, vector);
  }

  async report(): Promise<readonly Watermark[]> {
    const { state, replica } = this.#deps;
    await this.#dropRemoved();
    const others = [...this.#reports.values()].map(({ latest }) => latest);
    if (!this.#isReporting || state.bootstrapping()) return others;
    const { hlc, vector } = await state.tick();
    return [{ origin: replica.origin, hlc, vector }, ...others];
  }

  async begin(): Promise<void> {
    const { state, replica } = this.#deps;
    if (this.#isReporting || state.bootstrapping()) return;
    // That there is one is what counts: what it says is known at any time.
    await state.saveWatermarks([{ origin: replica.origin, hlc: HLC_ZERO, vector: {} }]);
    this.#isReporting = true;
  }

  isReporting(): boolean {
    return this.#isReporting;
  }

  async receive(marks: readonly Watermark[]): Promise<void> {
    const { vector, letInMs = 0 } = await this.#deps.replica.cut();
    const latestMs = Math.max(letInMs, this.#deps.clock.wallMs() + this.#deps.maxClockDriftMs);
    const removed = await this.#dropRemoved();
    const news = marks.filter((mark) => !removed.has(mark.origin) && this.#isNews(mark, latestMs));
    for (const mark of news) this.#take(mark, vector);
    if (news.length > 0) await this.#deps.state.saveWatermarks(news);
  }

  async frontier(): Promise<Frontier | undefined> {
    const { replica, state } = this.#deps;
    if (!this.#isReporting || state.bootstrapping()) return undefined;
    const { hlc, vector }: Cut = await replica.cut();
    const covered = new Map<Origin, Watermark>();
    for (const [origin, reports] of this.#reports) {
      promote(reports, vector);
      if (reports.covered !== undefined) covered.set(origin, reports.covered);
    }
    const cluster = { registers: await state.memberRegisters(), peers: this.#deps.peers };
    return stableFrontier({ origin: replica.origin, hlc, vector }, cluster, covered);
  }

  lastReport(origin: Origin): Watermark | undefined {
    return this.#reports.get(origin)?.latest;
  }

  /** What an origin reported before it was removed proves nothing, and does not come back through others; nor does it come for ops. */
  async #dropRemoved(): Promise<ReadonlySet<Origin>> {
    const { state } = this.#deps;
    const registers = await state.memberRegisters();
    const removed = new Set(registers.filter(({ isMember }) => !isMember).map(({ origin }) => origin));
    const dropped = [...removed].filter((origin) => !this.#dropped.has(origin));
    for (const origin of dropped) this.#reports.delete(origin);
    if (dropped.length > 0) await state.forgetPeers(dropped);
    for (const origin of dropped) this.#dropped.add(origin);
    return removed;
  }

  /** Only an origin itself says more of itself, and of ours nobody else does. */
  #isNews({ origin, hlc }: Watermark, latestMs: number): boolean {
    if (origin === this.#deps.replica.origin) return false;
    const known = this.#reports.get(origin);
    if (known === undefined ? this.#reports.size >= ORIGINS_MAX : hlc <= known.latest.hlc) return false;
    if (hlcWallMs(hlc) <= latestMs) return true;
    this.#deps.logger.warn({ origin, hlc }, 'a watermark from the future was not let in');
    return false;
  }

  #take(mark: Watermark, vector: Cut['vector']): void {
    const reports: Reports = this.#reports.get(mark.origin) ?? { latest: mark };
    reports.latest = mark;
    reports.awaited ??= mark;
    promote(reports, vector);
    this.#reports.set(mark.origin, reports);
  }
}

/** The awaited report counts once we have all that it tells of; then the latest one is awaited. */
function promote(reports: Reports, vector: Cut['vector']): void {
  while (reports.awaited !== undefined && coversVector(vector, reports.awaited.vector)) {
    reports.covered = reports.awaited;
    if (reports.awaited === reports.latest) delete reports.awaited;
    else reports.awaited = reports.latest;
  }
}
