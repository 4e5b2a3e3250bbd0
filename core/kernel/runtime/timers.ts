import { SkerryError } from '../../contracts/index.ts';
import type { Timer, Timers } from '../../contracts/index.ts';

/** Longest delay that setTimeout takes; a longer one would fire at once. */
const DELAY_MAX_MS = 2 ** 31 - 1;

/** One timer that may need several setTimeouts: long delays overflow one, and libuv may fire a fraction early. */
class NodeTimer implements Timer {
  readonly #callback: () => void;
  readonly #deadlineMs: number;
  readonly #unref: boolean;
  #handle: NodeJS.Timeout | undefined;

  constructor(delayMs: number, callback: () => void, unref: boolean) {
    this.#callback = callback;
    this.#unref = unref;
    this.#deadlineMs = performance.now() + delayMs;
    this.#arm(delayMs);
  }

  cancel(): void {
    clearTimeout(this.#handle);
    this.#handle = undefined;
  }

  #arm(delayMs: number): void {
    this.#handle = setTimeout(() => this.#fire(), Math.min(Math.ceil(delayMs), DELAY_MAX_MS));
    if (this.#unref) this.#handle.unref();
  }

  #fire(): void {
    const remainingMs = this.#deadlineMs - performance.now();
    if (remainingMs > 0) this.#arm(remainingMs);
    else this.#callback();
  }
}

function after(delayMs: number, callback: () => void, options: { readonly unref?: boolean } = {}): Timer {
  if (!(delayMs >= 0)) throw new SkerryError('InvalidArgument', `delayMs must be 0 or more, not ${delayMs}`);
  return new NodeTimer(delayMs, callback, options.unref ?? false);
}

function aborted(signal: AbortSignal): SkerryError {
  return new SkerryError('Aborted', 'the sleep was aborted', { cause: signal.reason });
}

async function sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) throw aborted(signal);
  await new Promise<void>((resolve, reject) => {
    const onAbort = (): void => {
      timer.cancel();
      if (signal !== undefined) reject(aborted(signal));
    };
    const timer = after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** The event loop's own timers. */
export const nodeTimers: Timers = Object.freeze({
  after,
  sleep,
  soon: (callback: () => void) => {
    setImmediate(callback);
  },
});
