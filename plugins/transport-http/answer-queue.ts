/** Frames that have arrived and wait for the reader, packed as they came. */
import { SkerryError } from '../../core/contracts/index.ts';
import { expand } from './compression.ts';
import { FRAME, RAW_LENGTH_BYTES, type Frame } from './frames.ts';
import { PAYLOAD_MAX_BYTES } from './protocol.ts';

export class AnswerQueue {
  readonly #frames: Frame[] = [];
  #bytes = 0;
  #end: { readonly failure: SkerryError | undefined } | undefined;
  #changed = Promise.withResolvers<void>();

  /** Payload bytes that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  get hasEnded(): boolean {
    return this.#end !== undefined;
  }

  push(frame: Frame): void {
    this.#frames.push(frame);
    this.#bytes += frame.payload.length;
    this.#changed.resolve();
  }

  /** What has arrived before is still delivered. The first end counts. */
  end(failure?: SkerryError): void {
    this.#end ??= { failure };
    this.#changed.resolve();
  }

  /** The reader gives up: what has arrived is dropped. */
  abandon(failure: SkerryError): void {
    if (this.#end !== undefined && this.#frames.length === 0) return;
    this.#frames.length = 0;
    this.#bytes = 0;
    this.#end = { failure };
    this.#changed.resolve();
  }

  /** The next frame, `undefined` behind the last; rejects where the stream failed. One call at a time. */
  async take(): Promise<Uint8Array | undefined> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame !== undefined) {
        this.#bytes -= frame.payload.length;
        return unpack(frame);
      }
      if (this.#end?.failure !== undefined) throw this.#end.failure;
      if (this.#end !== undefined) return undefined;
      this.#changed = Promise.withResolvers<void>();
      await this.#changed.promise;
    }
  }
}

async function unpack({ type, payload }: Frame): Promise<Uint8Array> {
  if (type === FRAME.data) return payload;
  if (payload.length < RAW_LENGTH_BYTES) throw new SkerryError('Corrupt', 'a packed frame without its length');
  const rawBytes = new DataView(payload.buffer, payload.byteOffset).getUint32(0);
  if (rawBytes > PAYLOAD_MAX_BYTES) throw new SkerryError('TooLarge', `a packed frame of ${rawBytes} bytes`);
  return expand(payload.subarray(RAW_LENGTH_BYTES), type === FRAME.zstd ? 'zstd' : 'gzip', rawBytes);
}
