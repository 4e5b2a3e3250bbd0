/** A site's clocks over virtual time: they drift, and the wall clock jumps and stops. */
import type { Clock } from '../../core/contracts/index.ts';

/** Wall time when a run begins, Unix milliseconds. */
export const EPOCH_MS = 1_700_000_000_000;

export interface SimClockOptions {
  /** How far the wall clock is off when the run begins, milliseconds. */
  readonly offsetMs: number;
  /** Parts per million by which both clocks run fast. */
  readonly driftPpm: number;
}

export class SimClock implements Clock {
  /** Milliseconds of these clocks in one of true time. */
  readonly rate: number;
  readonly #nowMs: () => number;
  /** Wall time at `#since`. */
  #anchorMs: number;
  #since = 0;
  #frozen = false;
  /** Readings that were left by a jump, and when. */
  readonly #left: { readonly wallMs: number; readonly atMs: number }[] = [];

  constructor(nowMs: () => number, { offsetMs, driftPpm }: SimClockOptions) {
    this.#nowMs = nowMs;
    this.rate = 1 + driftPpm / 1e6;
    this.#anchorMs = EPOCH_MS + offsetMs;
  }

  wallMs(): number {
    return Math.floor(this.#wall());
  }

  monotonicMs(): number {
    return this.#nowMs() * this.rate;
  }

  /** The largest reading of the last so many milliseconds of true time. */
  latestMs(withinMs: number): number {
    const left = this.#left.filter(({ atMs }) => atMs >= this.#nowMs() - withinMs).map(({ wallMs }) => wallMs);
    return Math.max(this.wallMs(), ...left);
  }

  /** Either way. */
  jump(byMs: number): void {
    this.#reset(this.#wall() + byMs);
  }

  freeze(): void {
    this.#reset(this.#wall());
    this.#frozen = true;
  }

  /** Back to true time, as an NTP step does. */
  correct(): void {
    this.#frozen = false;
    this.#reset(EPOCH_MS + this.#nowMs());
  }

  #wall(): number {
    return this.#frozen ? this.#anchorMs : this.#anchorMs + (this.#nowMs() - this.#since) * this.rate;
  }

  #reset(wallMs: number): void {
    this.#left.push({ wallMs: this.wallMs(), atMs: this.#nowMs() });
    this.#anchorMs = wallMs;
    this.#since = this.#nowMs();
  }
}
