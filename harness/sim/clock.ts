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

/** The wall clock was set: to another time, or to stand still or go on. */
export interface ClockChange {
  /** True time, milliseconds. */
  readonly atMs: number;
  /** What the clock said before. */
  readonly wallMs: number;
  readonly byMs: number;
}

export class SimClock implements Clock {
  /** Milliseconds of these clocks in one of true time. */
  readonly rate: number;
  readonly #nowMs: () => number;
  /** Wall time at `#since`. */
  #anchorMs: number;
  #since = 0;
  #frozen = false;
  readonly #changes: ClockChange[] = [];

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
    const left = this.changesSince(this.#nowMs() - withinMs).map(({ wallMs }) => wallMs);
    return Math.max(this.wallMs(), ...left);
  }

  /** From this moment of true time on. */
  changesSince(ms: number): readonly ClockChange[] {
    return this.#changes.filter(({ atMs }) => atMs >= ms);
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
    this.#changes.push({ atMs: this.#nowMs(), wallMs: this.wallMs(), byMs: wallMs - this.#wall() });
    this.#anchorMs = wallMs;
    this.#since = this.#nowMs();
  }
}
