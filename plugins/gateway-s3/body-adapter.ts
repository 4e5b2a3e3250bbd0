/** A request's body: a bounded queue between node's `data` events and one reader, cheaper than the stream's own iterator. */
import type { IncomingMessage } from 'node:http';

/** Pieces are at most 64 KiB each: the queue holds at most about 256 KiB before the socket is paused. */
const PAUSE_AT_PIECES = 4;

export class RequestBody implements AsyncIterableIterator<Uint8Array> {
  readonly #request: IncomingMessage;
  readonly #queue: Uint8Array[] = [];
  #ended = false;
  #failure: Error | undefined;
  #reader: PromiseWithResolvers<IteratorResult<Uint8Array>> | undefined;
  #paused = false;
  receivedBytes = 0;
  readonly #onData = (piece: Uint8Array): void => this.#push(piece);
  readonly #onEnd = (): void => this.#end();
  readonly #onClose: () => void;

  constructor(request: IncomingMessage, clientGone: () => Error) {
    this.#request = request;
    this.#onClose = () => {
      if (!this.#ended) this.fail(clientGone());
    };
    if (request.destroyed && !request.complete) this.#failure = clientGone();
    request.on('data', this.#onData);
    request.once('end', this.#onEnd);
    request.once('close', this.#onClose);
  }

  /** The reader waits for the client. */
  get waiting(): boolean {
    return this.#reader !== undefined;
  }

  #push(piece: Uint8Array): void {
    this.receivedBytes += piece.length;
    const reader = this.#reader;
    if (reader !== undefined) {
      this.#reader = undefined;
      reader.resolve({ done: false, value: piece });
      return;
    }
    this.#queue.push(piece);
    if (this.#queue.length >= PAUSE_AT_PIECES) {
      this.#paused = true;
      this.#request.pause();
    }
  }

  #end(): void {
    this.#ended = true;
    this.#reader?.resolve({ done: true, value: undefined });
    this.#reader = undefined;
  }

  fail(error: Error): void {
    this.#failure ??= error;
    this.#reader?.reject(this.#failure);
    this.#reader = undefined;
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    const piece = this.#queue.shift();
    if (piece !== undefined) {
      if (this.#paused && this.#queue.length === 0) {
        this.#paused = false;
        this.#request.resume();
      }
      return { done: false, value: piece };
    }
    if (this.#ended) return { done: true, value: undefined };
    if (this.#failure !== undefined) throw this.#failure;
    this.#reader = Promise.withResolvers<IteratorResult<Uint8Array>>();
    return this.#reader.promise;
  }

  /** The reader wants no more. What is left on the wire is the answer's business. */
  return(): Promise<IteratorResult<Uint8Array>> {
    this.detach();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The whole body in one array; `undefined` as soon as it turns out longer than `limitBytes`. */
  async readAll(limitBytes: number): Promise<Uint8Array | undefined> {
    const pieces: Uint8Array[] = [];
    let total = 0;
    for (;;) {
      const { done, value } = await this.next();
      if (done === true) break;
      total += value.length;
      if (total > limitBytes) return undefined;
      pieces.push(value);
    }
    const [only] = pieces;
    return pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces, total);
  }

  /** Stop listening and forget what is queued. */
  detach(): void {
    this.#queue.length = 0;
    this.#ended = true;
    this.#request.off('data', this.#onData);
    this.#request.off('end', this.#onEnd);
    this.#request.off('close', this.#onClose);
    this.#request.pause();
  }
}
