/** Refusals in the log, so that whoever is refused a million times does not fill it: each reason once in ten seconds, with its count. */
import type { Clock, Logger } from '../../core/contracts/index.ts';

const QUIET_MS = 10_000;

export class RefusalLog {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #reasons = new Map<string, { lastMs: number; silenced: number }>();

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /** `reason` is one of a few, never text of the caller. */
  refused(reason: string, fields: Readonly<Record<string, unknown>>): void {
    const nowMs = this.#clock.monotonicMs();
    const entry = this.#reasons.get(reason);
    if (entry !== undefined && nowMs - entry.lastMs < QUIET_MS) {
      entry.silenced++;
      return;
    }
    this.#reasons.set(reason, { lastMs: nowMs, silenced: 0 });
    this.#logger.warn({ reason, silenced: entry?.silenced ?? 0, ...fields }, 'a call was refused');
  }
}
