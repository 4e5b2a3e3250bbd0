/**
 * One boot of a site as the scheduler sees it: its timers and its input and output. When the boot ends nothing of it runs any
 * more: timers do not fire, calls that were under way never settle.
 */
import { SkerryError, type Timer, type Timers } from '../../core/contracts/index.ts';
import type { ScheduledEvent, Scheduler } from './scheduler.ts';

export class Lane {
  readonly name: string;
  readonly #scheduler: Scheduler;
  readonly #ended = Promise.withResolvers<void>();
  readonly #onEnd: (() => void)[] = [];
  #alive = true;

  constructor(name: string, scheduler: Scheduler) {
    this.name = name;
    this.#scheduler = scheduler;
  }

  get alive(): boolean {
    return this.#alive;
  }

  get nowMs(): number {
    return this.#scheduler.nowMs;
  }

  /** Resolves when the boot has ended. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  end(): void {
    if (!this.#alive) return;
    this.#alive = false;
    for (const listener of this.#onEnd) listener();
    this.#ended.resolve();
  }

  /** Called in the turn in which the boot ends. */
  onEnd(listener: () => void): void {
    this.#onEnd.push(listener);
  }

  after(delayMs: number, label: string, run: () => void | Promise<void>): ScheduledEvent {
    return this.#scheduler.after(delayMs, `${this.name} ${label}`, () => (this.#alive ? run() : undefined));
  }

  /** Input or output: `work` happens at one moment, the caller learns of it at a later one. Dies with the boot. */
  io<T>(
    label: string,
    delays: { readonly beforeMs: number; readonly afterMs: number },
    work: () => Promise<T>,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.after(delays.beforeMs, label, async () => {
        const settle = await settled(work, resolve, reject);
        // what the work set off, a crash at this very point for example, may have ended the boot
        if (this.#alive) this.after(delays.afterMs, `${label}-done`, settle);
      });
    });
  }
}

async function settled<T>(
  work: () => Promise<T>,
  resolve: (value: T) => void,
  reject: (error: unknown) => void,
): Promise<() => void> {
  try {
    const value = await work();
    return () => resolve(value);
  } catch (error) {
    return () => reject(error);
  }
}

/** The smallest step of virtual time. */
const STEP_MS = 0.001;

/** `rate`: how fast the site's clocks run; its timers run as fast. */
export function laneTimers(lane: Lane, rate: number): Timers {
  const after = (delayMs: number, callback: () => void): Timer => {
    if (!(delayMs >= 0)) throw new SkerryError('InvalidArgument', `delayMs must be 0 or more, not ${delayMs}`);
    // time passes, however little is left: who waits for a deadline looks again when it is there
    return lane.after(delayMs === 0 ? 0 : Math.max(delayMs / rate, STEP_MS), 'timer', callback);
  };
  return {
    after,
    soon: (callback) => void lane.after(0, 'soon', callback),
    sleep: (delayMs, signal) =>
      new Promise<void>((resolve, reject) => {
        const aborted = (): void => {
          timer.cancel();
          reject(new SkerryError('Aborted', 'the sleep was aborted', { cause: signal?.reason }));
        };
        const timer = after(delayMs, () => {
          signal?.removeEventListener('abort', aborted);
          resolve();
        });
        if (signal?.aborted === true) aborted();
        else signal?.addEventListener('abort', aborted, { once: true });
      }),
  };
}
