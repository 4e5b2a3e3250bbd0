/** "Something is new": told at once to everybody who waits, and never missed by who was just looking. */
import type { Timers } from '../contracts/index.ts';

export class Wakeup {
  readonly #timers: Timers;
  readonly #waiting = new Set<() => void>();
  #count = 0;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** Take it before looking; `wait` with it returns at once when something came since. */
  get count(): number {
    return this.#count;
  }

  notify(): void {
    this.#count++;
    for (const wake of this.#waiting) wake();
  }

  /** Resolves after the next `notify` since `seen`, after `waitMs`, or when `signal` aborts, whichever is first. */
  wait(seen: number, waitMs: number, signal?: AbortSignal): Promise<void> {
    if (seen !== this.#count || signal?.aborted === true || waitMs <= 0) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        timer.cancel();
        this.#waiting.delete(wake);
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      const timer = this.#timers.after(waitMs, wake, { unref: true });
      this.#waiting.add(wake);
      signal?.addEventListener('abort', wake, { once: true });
    });
  }
}
