/** The life signs of one call: says when a heartbeat is due, and when the other side has been silent for too long. */
import type { Clock, Timer, Timers } from '../../core/contracts/index.ts';

export interface PulsePorts {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly heartbeatMs: number;
  readonly idleTimeoutMs: number;
  readonly beat: () => void;
  readonly silent: () => void;
}

export class Pulse {
  readonly #ports: PulsePorts;
  #timer: Timer | undefined;
  #heardMs: number;
  #hasSent = false;
  #isListening = true;

  constructor(ports: PulsePorts) {
    this.#ports = ports;
    this.#heardMs = ports.clock.monotonicMs();
    this.#arm();
  }

  heard(): void {
    this.#heardMs = this.#ports.clock.monotonicMs();
  }

  sent(): void {
    this.#hasSent = true;
  }

  /** While we ourselves read nothing, silence means nothing. */
  listen(isListening: boolean): void {
    if (isListening && !this.#isListening) this.heard();
    this.#isListening = isListening;
  }

  /** Idempotent. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(): void {
    this.#timer = this.#ports.timers.after(this.#ports.heartbeatMs, () => this.#tick(), { unref: true });
  }

  #tick(): void {
    const { clock, idleTimeoutMs, beat, silent } = this.#ports;
    if (this.#isListening && clock.monotonicMs() - this.#heardMs >= idleTimeoutMs) {
      this.stop();
      silent();
      return;
    }
    this.#arm();
    if (!this.#hasSent) beat();
    this.#hasSent = false;
  }
}
