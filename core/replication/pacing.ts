/** How fast: waits after failures, and bytes a second. Both take chance and time from ports. */
import type { Clock, Random, Timers } from '../contracts/index.ts';

export interface BackoffOptions {
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
}

/** Exponential backoff with full jitter above the half ("Exponential Backoff And Jitter", AWS, 2015). */
export class Backoff {
  readonly #options: BackoffOptions;
  readonly #random: Random;
  #failures = 0;

  constructor(options: BackoffOptions, random: Random) {
    this.#options = options;
    this.#random = random;
  }

  get failures(): number {
    return this.#failures;
  }

  /** Milliseconds to wait after one more failure. */
  next(): number {
    const { backoffMinMs, backoffMaxMs } = this.#options;
    const ceiling = Math.min(backoffMaxMs, backoffMinMs * 2 ** Math.min(this.#failures, 30));
    this.#failures++;
    return Math.ceil(ceiling / 2 + (this.#random.unit() * ceiling) / 2);
  }

  reset(): void {
    this.#failures = 0;
  }
}

export interface PacingPorts {
  readonly clock: Clock;
  readonly timers: Timers;
}

/** Token bucket that holds one second's worth. A take larger than the bucket is let through and paid for by the next ones. */
export class TokenBucket {
  readonly #ports: PacingPorts;
  readonly #bytesPerSecond: number;
  #balance: number;
  #updatedMs: number;

  /** 0 bytes a second: no limit. */
  constructor(bytesPerSecond: number, ports: PacingPorts) {
    this.#ports = ports;
    this.#bytesPerSecond = bytesPerSecond;
    this.#balance = bytesPerSecond;
    this.#updatedMs = ports.clock.monotonicMs();
  }

  /** Resolves when `bytes` may pass. Rejects `Aborted` when `signal` aborts first; the bytes count all the same. */
  async take(bytes: number, signal?: AbortSignal): Promise<void> {
    if (this.#bytesPerSecond === 0) return;
    this.#refill();
    this.#balance -= bytes;
    const debt = -this.#balance;
    if (debt > 0) await this.#ports.timers.sleep((debt / this.#bytesPerSecond) * 1000, signal);
  }

  #refill(): void {
    const nowMs = this.#ports.clock.monotonicMs();
    const earned = ((nowMs - this.#updatedMs) / 1000) * this.#bytesPerSecond;
    this.#balance = Math.min(this.#bytesPerSecond, this.#balance + earned);
    this.#updatedMs = nowMs;
  }
}
