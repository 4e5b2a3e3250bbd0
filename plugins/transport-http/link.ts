/** A link to one peer, and the reader's end of its calls. */
import type { PeerLink, SkerryError } from '../../core/contracts/index.ts';
import type { OutgoingCall } from './outgoing-call.ts';
import { aborted, closed } from './protocol.ts';

export interface LinkPorts {
  /** Makes a call that has not begun; throws when there cannot be one. */
  readonly begin: (name: string, body: Uint8Array, onEnd: () => void) => OutgoingCall;
  /** The link is closed. */
  readonly forget: () => void;
}

export class HttpLink implements PeerLink {
  readonly #ports: LinkPorts;
  readonly #calls = new Set<OutgoingCall>();
  #hasEnded = false;

  constructor(ports: LinkPorts) {
    this.#ports = ports;
  }

  /** Nothing happens before the first frame is asked for, so a call that nobody reads costs nothing. */
  call(name: string, body: Uint8Array, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    return new Answer(signal, body, () => {
      if (this.#hasEnded) throw closed();
      const call: OutgoingCall = this.#ports.begin(name, body, () => this.#calls.delete(call));
      this.#calls.add(call);
      return call;
    });
  }

  async close(): Promise<void> {
    this.end();
    this.#ports.forget();
  }

  end(): void {
    this.#hasEnded = true;
    for (const call of this.#calls) call.cancel(closed());
  }
}

/** Not a generator: `return` of one waits for the `next` that is running, and here it must end a call whose server says nothing. */
class Answer implements AsyncIterableIterator<Uint8Array> {
  readonly #signal: AbortSignal | undefined;
  readonly #body: Uint8Array;
  readonly #begin: () => OutgoingCall;
  #call: OutgoingCall | undefined;
  #isOver = false;
  /** Calls of `next` run one after another; the first at once, so that a `return` behind it finds it running. */
  #waiting = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(signal: AbortSignal | undefined, body: Uint8Array, begin: () => OutgoingCall) {
    this.#signal = signal;
    this.#body = body;
    this.#begin = begin;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const next = this.#waiting === 0 ? this.#next() : this.#last.then(() => this.#next());
    const settled = (): void => void this.#waiting--;
    this.#waiting++;
    this.#last = next.then(settled, settled);
    return next;
  }

  async #next(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#isOver) return { done: true, value: undefined };
    let frame: Uint8Array | undefined;
    try {
      const call = this.#call ?? (await this.#start());
      frame = await call.take();
    } catch (error) {
      this.#release();
      throw error;
    }
    if (frame !== undefined) return { done: false, value: frame };
    this.#release();
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#cancel(aborted());
    this.#release();
    return { done: true, value: undefined };
  }

  async #start(): Promise<OutgoingCall> {
    if (this.#signal?.aborted === true) throw aborted();
    const call = this.#begin();
    this.#call = call;
    this.#signal?.addEventListener('abort', this.#onAbort, { once: true });
    await call.start(this.#body);
    return call;
  }

  #cancel(failure: SkerryError): void {
    this.#call?.cancel(failure);
  }

  #release(): void {
    this.#isOver = true;
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }

  readonly #onAbort = (): void => this.#cancel(aborted());
}
