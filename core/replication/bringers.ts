/**
 * Peers that ask what is wanted here and bring it: where bytes come from for a site that dials nobody, or not those who have them. A
 * reader waits for them as long as one may still come with what it needs.
 */
import type { ChunkHash, Clock, SiteId, Timer, Timers } from '../contracts/index.ts';
import type { ChunkRef } from './protocol.ts';

/** Who is in touch asks again so soon, or brings something. */
const IN_TOUCH_MS = 2000;
/** Sites remembered; more would be somebody making them up. */
const SITES_MAX = 1024;

interface Waiting {
  readonly hash: ChunkHash;
  /** Who may bring it. */
  readonly hopes: Set<SiteId>;
  /** Those of them that know. */
  readonly told: Set<SiteId>;
  readonly isBrought: PromiseWithResolvers<boolean>;
  readonly timer: Timer;
}

export interface BringersDeps {
  readonly clock: Clock;
  readonly timers: Timers;
  /** Longest wait for one chunk. */
  readonly waitMs: number;
}

export class Bringers {
  readonly #deps: BringersDeps;
  /** How many calls of each are open. */
  readonly #asking = new Map<SiteId, number>();
  /** When each was heard of last, monotonic milliseconds. */
  readonly #heardMs = new Map<SiteId, number>();
  readonly #waiting = new Set<Waiting>();

  constructor(deps: BringersDeps) {
    this.#deps = deps;
  }

  /** A peer asks what is wanted: call the result with what it is told, nothing if it is not told any more. Only the first time counts. */
  asks(site: SiteId): (told: readonly ChunkRef[]) => void {
    // who was told and asks again has come without it
    for (const one of this.#waiting) if (one.told.has(site)) this.#giveUp(one, site);
    this.#asking.set(site, (this.#asking.get(site) ?? 0) + 1);
    let isOpen = true;
    return (told) => {
      if (!isOpen) return;
      isOpen = false;
      this.#answered(site, new Set(told.map(({ hash }) => hash)));
    };
  }

  /** True once it was brought; false at once when nobody asks what is wanted, and when nobody who does can have it. */
  wait(hash: ChunkHash): Promise<boolean> {
    const hopes = new Set(this.#inTouch());
    if (hopes.size === 0) return Promise.resolve(false);
    const { timers, waitMs } = this.#deps;
    const timer = timers.after(waitMs, () => this.#settle(one, false), { unref: true });
    const one = { hash, hopes, told: new Set<SiteId>(), isBrought: Promise.withResolvers<boolean>(), timer };
    this.#waiting.add(one);
    return one.isBrought.promise;
  }

  brought(site: SiteId, hashes: readonly ChunkHash[]): void {
    this.#heard(site);
    for (const one of this.#waiting) if (hashes.includes(one.hash)) this.#settle(one, true);
  }

  close(): void {
    for (const one of this.#waiting) this.#settle(one, false);
  }

  #inTouch(): readonly SiteId[] {
    const sinceMs = this.#deps.clock.monotonicMs() - IN_TOUCH_MS;
    const heard = [...this.#heardMs].filter(([, atMs]) => atMs > sinceMs).map(([site]) => site);
    return [...this.#asking.keys(), ...heard];
  }

  #heard(site: SiteId): void {
    this.#heardMs.delete(site);
    this.#heardMs.set(site, this.#deps.clock.monotonicMs());
    const [oldest] = this.#heardMs.keys();
    if (this.#heardMs.size > SITES_MAX && oldest !== undefined) this.#heardMs.delete(oldest);
  }

  #answered(site: SiteId, told: ReadonlySet<ChunkHash>): void {
    const left = (this.#asking.get(site) ?? 0) - 1;
    if (left > 0) this.#asking.set(site, left);
    else this.#asking.delete(site);
    if (told.size > 0) this.#heard(site);
    for (const one of this.#waiting)
      if (told.has(one.hash)) one.told.add(site);
      else if (left <= 0 && !one.told.has(site)) this.#giveUp(one, site);
  }

  #giveUp(one: Waiting, site: SiteId): void {
    one.hopes.delete(site);
    if (one.hopes.size === 0) this.#settle(one, false);
  }

  #settle(one: Waiting, isBrought: boolean): void {
    this.#waiting.delete(one);
    one.timer.cancel();
    one.isBrought.resolve(isBrought);
  }
}
