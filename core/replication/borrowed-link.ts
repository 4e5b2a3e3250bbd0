/** A link that a peer lends: calls go out as frames of its `turn` call, and their answers come in as `turned` calls. */
import { SkerryError, type PeerLink, type Timers } from '../contracts/index.ts';
import type { TurnedRequest, TurnFrame } from './turned-protocol.ts';
import { Wakeup } from './wakeup.ts';

/** The lender hears of us at least this often, so that it does not take the link for broken. */
const BUSY_MS = 5000;

interface Delivery {
  readonly message: TurnedRequest;
  readonly taken: (isTaken: boolean) => void;
}

interface Running {
  readonly deliveries: Delivery[];
  readonly arrived: Wakeup;
}

export class BorrowedLink implements PeerLink {
  readonly #timers: Timers;
  readonly #orders: TurnFrame[] = [];
  readonly #ordered: Wakeup;
  readonly #running = new Map<number, Running>();
  #lastId = 0;
  #isClosed = false;

  constructor(timers: Timers) {
    this.#timers = timers;
    this.#ordered = new Wakeup(timers);
  }

  /** What goes to the lender; ends when the link is closed or `signal` aborts. */
  async *orders(signal: AbortSignal): AsyncGenerator<TurnFrame> {
    while (!signal.aborted) {
      const seen = this.#ordered.count;
      const order = this.#orders.shift();
      if (order !== undefined) yield order;
      else if (this.#isClosed) return;
      else {
        await this.#ordered.wait(seen, BUSY_MS, signal);
        if (this.#orders.length === 0 && !this.#isClosed) yield { kind: 'busy' };
      }
    }
  }

  async *call(
    name: string,
    body: Uint8Array,
    signal: AbortSignal = new AbortController().signal,
  ): AsyncGenerator<Uint8Array> {
    if (this.#isClosed) throw lost();
    const id = ++this.#lastId;
    const running: Running = { deliveries: [], arrived: new Wakeup(this.#timers) };
    this.#running.set(id, running);
    this.#order({ kind: 'call', id, name, body });
    let isOver = false;
    try {
      for (;;) {
        const message = await this.#next(running, signal);
        isOver = message.kind !== 'frame';
        if (message.kind === 'end') return;
        if (message.kind === 'error') throw failure(message.error);
        yield message.bytes;
      }
    } finally {
      this.#running.delete(id);
      for (const { taken } of running.deliveries) taken(false);
      if (!isOver) this.#order({ kind: 'cancel', id });
    }
  }

  async #next({ deliveries, arrived }: Running, signal: AbortSignal): Promise<TurnedRequest> {
    for (;;) {
      const seen = arrived.count;
      const delivery = deliveries.shift();
      if (delivery !== undefined) {
        delivery.taken(true);
        return delivery.message;
      }
      if (signal.aborted) throw new SkerryError('Aborted', 'the call was aborted');
      if (this.#isClosed) throw lost();
      await arrived.wait(seen, BUSY_MS, signal);
    }
  }

  /** A part of an answer came; resolves when it was taken, false when nobody wants it. */
  deliver(message: TurnedRequest): Promise<boolean> {
    const running = this.#running.get(message.id);
    if (running === undefined || this.#isClosed) return Promise.resolve(false);
    return new Promise((taken) => {
      running.deliveries.push({ message, taken });
      running.arrived.notify();
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#ordered.notify();
    for (const { arrived } of this.#running.values()) arrived.notify();
  }

  #order(order: TurnFrame): void {
    this.#orders.push(order);
    this.#ordered.notify();
  }
}

const lost = (): SkerryError => new SkerryError('Unavailable', 'the peer took its link back');

const failure = ({ code, message, retryable, details }: Extract<TurnedRequest, { kind: 'error' }>['error']) =>
  new SkerryError(code, message, { retryable, details });
