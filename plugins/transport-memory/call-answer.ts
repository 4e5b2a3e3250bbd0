/**
 * The reader's end of a call. Not a generator: `return` of one waits for the `next` that is running, and here it must end a
 * call whose server says nothing.
 */
import { SkerryError } from '../../core/contracts/index.ts';
import { FrameStream } from './stream.ts';

export interface CallPorts {
  readonly signal: AbortSignal | undefined;
  /** Begins the call; throws when it cannot. */
  readonly start: (stream: FrameStream) => void;
  /** The call is over, however it ended. */
  readonly released: () => void;
}

export class CallAnswer implements AsyncIterableIterator<Uint8Array> {
  readonly #ports: CallPorts;
  readonly #stream = new FrameStream();
  #state: 'new' | 'running' | 'over' = 'new';

  constructor(ports: CallPorts) {
    this.#ports = ports;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#state === 'over') return { done: true, value: undefined };
    try {
      if (this.#state === 'new') this.#start();
      const frame = await this.#stream.take();
      if (frame !== undefined) return { done: false, value: frame };
    } catch (error) {
      this.#release();
      throw error;
    }
    this.#release();
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.cancel(aborted());
    this.#release();
    return { done: true, value: undefined };
  }

  cancel(failure: SkerryError): void {
    this.#stream.cancel(failure);
  }

  #start(): void {
    const { signal, start } = this.#ports;
    if (signal?.aborted === true) throw aborted();
    start(this.#stream);
    this.#state = 'running';
    signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  #release(): void {
    this.#state = 'over';
    this.#ports.signal?.removeEventListener('abort', this.#onAbort);
    this.#ports.released();
  }

  readonly #onAbort = (): void => this.cancel(aborted());
}

function aborted(): SkerryError {
  return new SkerryError('Aborted', 'the caller gave up the call');
}
