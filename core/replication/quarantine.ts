/** Origins whose next op cannot be applied now. Others go on; nothing is skipped: the vector stays where it is. */
import type { Clock, Origin, Quarantined, Stamp } from '../contracts/index.ts';
import type { Held, OnFact } from './facts.ts';

/** However the clock is set later, an op is tried again after this. */
const RETRY_MAX_MS = 60_000;
const RETRY_MIN_MS = 100;
/** Origins remembered; more would be somebody making them up. */
const ORIGINS_MAX = 1024;

export interface Hold {
  readonly origin: Origin;
  readonly stamp: Stamp;
  readonly reason: Quarantined['reason'];
  /** Wanted time of the next attempt. */
  readonly retryInMs: number;
}

export class Quarantine {
  readonly #clock: Clock;
  readonly #onFact: OnFact;
  readonly #held = new Map<Origin, Held>();
  /** On the monotonic clock, so that a wall clock that is set back holds nothing for longer. */
  readonly #dueMs = new Map<Origin, number>();

  constructor(clock: Clock, onFact: OnFact) {
    this.#clock = clock;
    this.#onFact = onFact;
  }

  hold({ origin, stamp, reason, retryInMs }: Hold): void {
    const delayMs = Math.min(RETRY_MAX_MS, Math.max(RETRY_MIN_MS, retryInMs));
    const known = this.#held.get(origin);
    const nowMs = this.#clock.wallMs();
    const quarantined: Held = {
      origin,
      stamp,
      reason,
      sinceMs: known?.sinceMs ?? nowMs,
      retryAtMs: Math.ceil(nowMs + delayMs),
      attempts: (known?.attempts ?? 0) + 1,
    };
    this.#held.delete(origin);
    this.#held.set(origin, quarantined);
    this.#dueMs.set(origin, this.#clock.monotonicMs() + delayMs);
    this.#forgetOldest();
    if (known === undefined) this.#onFact({ kind: 'quarantined', quarantined });
  }

  release(origin: Origin): void {
    if (!this.#held.delete(origin)) return;
    this.#dueMs.delete(origin);
    this.#onFact({ kind: 'released', origin });
  }

  /** Not to be tried now. */
  isWaiting(origin: Origin): boolean {
    const dueMs = this.#dueMs.get(origin);
    return dueMs !== undefined && dueMs > this.#clock.monotonicMs();
  }

  retry(origin: Origin): void {
    if (this.#dueMs.has(origin)) this.#dueMs.set(origin, this.#clock.monotonicMs());
  }

  has(origin: Origin): boolean {
    return this.#held.has(origin);
  }

  waiting(): readonly Origin[] {
    return [...this.#dueMs.keys()].filter((origin) => this.isWaiting(origin));
  }

  /** Milliseconds until `origin` is tried again; 0 when it may be tried now. */
  dueInMs(origin: Origin): number {
    return Math.max(0, (this.#dueMs.get(origin) ?? 0) - this.#clock.monotonicMs());
  }

  /** Milliseconds until the next one is tried again. */
  nextDueInMs(): number {
    return this.waiting().reduce((least, origin) => Math.min(least, this.dueInMs(origin)), Number.POSITIVE_INFINITY);
  }

  list(): readonly Held[] {
    return [...this.#held.values()];
  }

  #forgetOldest(): void {
    const [oldest] = this.#held.keys();
    if (this.#held.size > ORIGINS_MAX && oldest !== undefined) this.release(oldest);
  }
}
