/**
 * Which signed requests are fresh. Nonces are kept in buckets by the time that the request itself states, so a repetition
 * always falls into the bucket of the first, and whole buckets are forgotten when their times are out of the window.
 */

export interface ReplayLimits {
  /** How far a request's time may be from ours, either way. */
  readonly windowMs: number;
  readonly entriesMax: number;
  /** Requests of before are refused: an earlier process may have answered them. */
  readonly sinceMs: number;
}

export type Freshness = 'fresh' | 'stale' | 'replayed' | 'full';

const BUCKETS_IN_WINDOW = 10;

export class ReplayGuard {
  readonly #limits: ReplayLimits;
  readonly #bucketMs: number;
  readonly #buckets = new Map<number, Set<string>>();
  #entries = 0;
  /** Times below were forgotten: kept although the clock is set back. */
  #floorMs: number;

  constructor(limits: ReplayLimits) {
    this.#limits = limits;
    this.#bucketMs = Math.ceil(limits.windowMs / BUCKETS_IN_WINDOW);
    this.#floorMs = limits.sinceMs;
  }

  get entries(): number {
    return this.#entries;
  }

  /** Remembers a fresh one. Call it only with what is signed rightly: strangers must not fill the memory. */
  admit(nonce: string, timeMs: number, nowMs: number): Freshness {
    this.#forget(nowMs - this.#limits.windowMs);
    if (timeMs < this.#floorMs || Math.abs(timeMs - nowMs) > this.#limits.windowMs) return 'stale';
    const number = Math.floor(timeMs / this.#bucketMs);
    const bucket = this.#buckets.get(number) ?? new Set<string>();
    const entry = Buffer.from(nonce, 'hex').toString('latin1');
    if (bucket.has(entry)) return 'replayed';
    if (this.#entries >= this.#limits.entriesMax) return 'full';
    this.#buckets.set(number, bucket.add(entry));
    this.#entries++;
    return 'fresh';
  }

  #forget(beforeMs: number): void {
    for (const [number, bucket] of this.#buckets) {
      const endMs = (number + 1) * this.#bucketMs;
      if (endMs > beforeMs) continue;
      this.#buckets.delete(number);
      this.#entries -= bucket.size;
      this.#floorMs = Math.max(this.#floorMs, endMs);
    }
  }
}
