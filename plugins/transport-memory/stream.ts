/**
 * One call's answer on its way: a bounded queue between the serving generator and the reader. Both ends may end it: the
 * server by finishing or failing, the reader by taking no more, either transport by closing.
 */
import { SkerryError } from '../../core/contracts/index.ts';
import { fault } from './faults.ts';

/** Frames that the serving generator may be ahead of the reader. */
export const WINDOW_FRAMES = 16;
export const FRAME_MAX_BYTES = 16 * 1024 * 1024;

export class FrameStream {
  readonly #frames: Uint8Array[] = [];
  readonly #abort = new AbortController();
  #failure: SkerryError | undefined;
  #ended = false;
  #changed = Promise.withResolvers<void>();

  /** For the server: aborts when the reader is gone. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Moves what `serve` yields into the window; resolves when the generator is done with or was returned from. */
  async pump(serve: () => AsyncIterable<Uint8Array>): Promise<void> {
    try {
      for await (const frame of serve()) {
        if (this.#ended) return;
        this.#frames.push(checked(frame));
        this.#change();
        while (this.#frames.length >= WINDOW_FRAMES) await this.#changed.promise;
        if (this.#ended) return;
      }
    } catch (error) {
      this.#failure ??= fault(error);
    } finally {
      this.#ended = true;
      this.#change();
    }
  }

  /** The next frame, or `undefined` behind the last. What came before a failure is delivered, then it rejects forever. */
  async take(): Promise<Uint8Array | undefined> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame !== undefined) {
        this.#change();
        return frame;
      }
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#ended) return undefined;
      await this.#changed.promise;
    }
  }

  /** Ends the call from the reader's side or from outside; frames under way are dropped. Idempotent; does not wait. */
  cancel(failure: SkerryError): void {
    if (this.#ended && this.#frames.length === 0) return;
    this.#failure ??= failure;
    this.#ended = true;
    this.#frames.length = 0;
    this.#abort.abort(failure);
    this.#change();
  }

  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }
}

/** A copy, so that neither side can change what the other holds. */
function checked(frame: Uint8Array): Uint8Array {
  if (!(frame instanceof Uint8Array)) throw new SkerryError('Internal', 'a frame that is no byte string');
  if (frame.length > FRAME_MAX_BYTES) throw new SkerryError('TooLarge', `a frame of ${frame.length} bytes`);
  return new Uint8Array(frame);
}
