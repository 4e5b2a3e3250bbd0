/** The body of a write, piece by piece: never empty pieces, never more or fewer bytes than declared, and it can be aborted. */
import { isSkerryError, SkerryError } from '../contracts/index.ts';
import type { BodySource } from '../contracts/index.ts';

export class BodyReader {
  readonly #declaredSize: number | undefined;
  readonly #iterator: AsyncIterator<Uint8Array>;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = (): void => this.#rejectPending?.(aborted());
  #rejectPending: ((error: SkerryError) => void) | undefined;
  #receivedBytes = 0;
  #ended = false;

  constructor(body: BodySource, signal: AbortSignal | undefined) {
    if ((body.bytes === undefined) === (body.stream === undefined)) {
      throw new SkerryError('InvalidArgument', 'a body has either bytes or a stream');
    }
    this.#declaredSize = body.size;
    this.#iterator = (body.stream ?? once(body.bytes as Uint8Array))[Symbol.asyncIterator]();
    this.#signal = signal;
    signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** True when all that was declared is here. */
  isComplete(): boolean {
    return this.#ended || this.#receivedBytes === this.#declaredSize;
  }

  /** The next piece, or `undefined` after the last. */
  async next(): Promise<Uint8Array | undefined> {
    for (;;) {
      const result = await this.#pull();
      if (result.done === true) break;
      if (result.value.length === 0) continue;
      this.#receivedBytes += result.value.length;
      if (this.#declaredSize !== undefined && this.#receivedBytes > this.#declaredSize) throw this.#wrongSize('more');
      return result.value;
    }
    this.#end();
    if (this.#declaredSize !== undefined && this.#receivedBytes < this.#declaredSize) throw this.#wrongSize('fewer');
    return undefined;
  }

  /** Tells the source that nothing more is wanted. For a write that failed: its error is the one that counts. */
  async cancel(): Promise<void> {
    if (this.#ended) return;
    const isPulling = this.#rejectPending !== undefined;
    this.#end();
    const returned = Promise.resolve(this.#iterator.return?.()).then(
      () => undefined,
      () => undefined,
    );
    // a generator that still waits for its own source would answer only after that
    if (!isPulling) await returned;
  }

  async #pull(): Promise<IteratorResult<Uint8Array>> {
    if (this.#signal?.aborted === true) throw aborted();
    const next = this.#iterator.next();
    try {
      // not Promise.race: it would keep one reaction for every piece on the promise of the abort
      const result = await new Promise<IteratorResult<Uint8Array>>((resolve, reject) => {
        this.#rejectPending = reject;
        next.then(resolve, reject);
      });
      this.#rejectPending = undefined;
      return result;
    } catch (error) {
      // after an abort the pull is still running, and `cancel` must know
      if (!isSkerryError(error, 'Aborted')) this.#rejectPending = undefined;
      if (isSkerryError(error)) throw error;
      throw new SkerryError('IncompleteBody', 'the body broke off', { cause: error });
    }
  }

  #end(): void {
    this.#ended = true;
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }

  #wrongSize(how: string): SkerryError {
    const details = { declaredSize: this.#declaredSize, receivedBytes: this.#receivedBytes };
    return new SkerryError('IncompleteBody', `the body has ${how} bytes than declared`, { details });
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function aborted(): SkerryError {
  return new SkerryError('Aborted', 'the write was aborted');
}
