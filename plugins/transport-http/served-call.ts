/** One call as its server runs it: the body, the generator held to the window, the frames, life signs. */
import {
  SkerryError,
  type IncomingCall,
  type Logger,
  type Runtime,
  type ServeCall,
} from '../../core/contracts/index.ts';
import { ByteQueue } from './byte-queue.ts';
import { compress, expand } from './compression.ts';
import type { IncomingExchange } from './exchange.ts';
import { packFault } from './faults.ts';
import { CALLER_FRAMES, FRAME, FrameDecoder, FrameEncoder, RAW_LENGTH_BYTES } from './frames.ts';
import type { FrameType } from './frames.ts';
import type { Admitted } from './gate.ts';
import { PAYLOAD_MAX_BYTES, WINDOW_FRAMES, unavailable } from './protocol.ts';
import { Pulse } from './pulse.ts';
import { frameKeys, sha256 } from './signature.ts';

export interface ServedPorts extends Pick<Runtime, 'clock' | 'timers'> {
  readonly logger: Logger;
  readonly exchange: IncomingExchange;
  readonly serve: ServeCall;
  readonly heartbeatMs: number;
  readonly idleTimeoutMs: number;
  /** Bytes of bodies that are held from now on, or (below 0) no longer, so that all calls together stay below a limit; throws `SlowDown` above it. */
  readonly hold: (bytes: number) => void;
}

export class ServedCall {
  readonly #ports: ServedPorts;
  readonly #admitted: Admitted;
  readonly #abort = new AbortController();
  readonly #encoder: FrameEncoder;
  readonly #decoder: FrameDecoder;
  readonly #pulse: Pulse;
  readonly #body: ByteQueue;
  readonly #bodyArrived = Promise.withResolvers<void>();
  #bodyMissing: number;
  #heldBytes = 0;
  #sent = 0;
  #credited = 0;
  #isOver = false;
  #changed = Promise.withResolvers<void>();
  #iterator: AsyncIterator<Uint8Array> | undefined;

  constructor(ports: ServedPorts, admitted: Admitted, nonce: string) {
    const { clock, timers, heartbeatMs, idleTimeoutMs } = ports;
    const keys = frameKeys(admitted.key, admitted.claim, nonce);
    this.#ports = ports;
    this.#admitted = admitted;
    this.#encoder = new FrameEncoder(keys.server);
    this.#decoder = new FrameDecoder(keys.caller, CALLER_FRAMES);
    this.#bodyMissing = admitted.claim.sentBytes;
    this.#body = new ByteQueue(admitted.claim.sentBytes);
    this.#bodyArrived.promise.catch(() => undefined);
    const silence = unavailable(`the caller has been silent for ${idleTimeoutMs} ms`);
    const beat = (): void => void this.#write(FRAME.heartbeat);
    const silent = (): void => this.stop(silence);
    this.#pulse = new Pulse({ clock, timers, heartbeatMs, idleTimeoutMs, beat, silent });
  }

  /** Resolves when the call is over and its generator has ended. Never rejects. */
  async run(): Promise<void> {
    try {
      const body = await this.#readBody();
      const { name, from } = this.#admitted;
      await this.#pump({ name, from, body, signal: this.#abort.signal });
      this.#write(FRAME.end);
    } catch (error) {
      this.#report(error);
      if (!this.#abort.signal.aborted) this.#write(FRAME.error, packFault(error));
    }
    this.#isOver = true;
    this.#pulse.stop();
    this.#ports.exchange.end();
    await this.#returnGenerator();
    this.#hold(-this.#heldBytes);
  }

  bytes(chunk: Uint8Array): void {
    if (this.#isOver || this.#abort.signal.aborted) return;
    this.#pulse.heard();
    try {
      const ofBody = chunk.subarray(0, this.#bodyMissing);
      if (this.#bodyMissing > 0) this.#onBody(ofBody);
      if (ofBody.length === chunk.length) return;
      for (const { payload } of this.#decoder.push(chunk.subarray(ofBody.length))) this.#onCredit(payload);
    } catch (error) {
      this.stop(error instanceof SkerryError ? error : unavailable('broken stream', error));
    }
  }

  /** The caller is gone, or must go: the generator is told at once. Idempotent. */
  stop(reason: SkerryError): void {
    if (this.#isOver || this.#abort.signal.aborted) return;
    this.#pulse.stop();
    this.#abort.abort(reason);
    this.#bodyArrived.reject(reason);
    this.#changed.resolve();
    this.#ports.exchange.destroy();
    void this.#returnGenerator();
  }

  #onBody(bytes: Uint8Array): void {
    this.#hold(bytes.length);
    this.#body.append(bytes);
    this.#bodyMissing -= bytes.length;
    if (this.#bodyMissing === 0) this.#bodyArrived.resolve();
  }

  /** Counted until the call is over: who serves it holds it that long. */
  #hold(bytes: number): void {
    this.#ports.hold(bytes);
    this.#heldBytes += bytes;
  }

  async #readBody(): Promise<Uint8Array> {
    const { encoding, rawBytes, sentBytes, hash } = this.#admitted.claim;
    if (sentBytes > 0) await this.#bodyArrived.promise;
    const body = this.#body.take(sentBytes);
    if (sha256(body) !== hash) throw new SkerryError('Unauthenticated', 'the body is not the one that was signed');
    if (encoding === 'none') return body;
    this.#hold(rawBytes);
    return expand(body, encoding, rawBytes);
  }

  /** A heartbeat has no payload. */
  #onCredit(payload: Uint8Array): void {
    if (payload.length === 0) return;
    this.#credited += new DataView(payload.buffer, payload.byteOffset).getUint32(0);
    if (this.#credited > this.#sent) throw unavailable('broken stream: credit for frames that were not sent');
    this.#changed.resolve();
  }

  async #pump(call: IncomingCall): Promise<void> {
    this.#abort.signal.throwIfAborted();
    const iterator = this.#ports.serve(call)[Symbol.asyncIterator]();
    this.#iterator = iterator;
    for (;;) {
      await this.#windowOpen();
      const result = await this.#next(iterator);
      this.#abort.signal.throwIfAborted();
      if (result.done === true) break;
      await this.#send(result.value);
    }
    this.#iterator = undefined;
  }

  /** An iterator that has thrown is over: it is not returned from. */
  async #next(iterator: AsyncIterator<Uint8Array>): Promise<IteratorResult<Uint8Array, unknown>> {
    try {
      return await iterator.next();
    } catch (error) {
      this.#iterator = undefined;
      throw error;
    }
  }

  async #windowOpen(): Promise<void> {
    while (this.#sent - this.#credited >= WINDOW_FRAMES) {
      this.#changed = Promise.withResolvers<void>();
      await this.#changed.promise;
      this.#abort.signal.throwIfAborted();
    }
  }

  async #send(frame: Uint8Array): Promise<void> {
    if (!(frame instanceof Uint8Array)) throw new SkerryError('Internal', 'a frame that is no byte string');
    if (frame.length > PAYLOAD_MAX_BYTES) throw new SkerryError('TooLarge', `a frame of ${frame.length} bytes`);
    const { accept } = this.#admitted.claim;
    const packed = await compress(frame, accept);
    this.#abort.signal.throwIfAborted();
    this.#sent++;
    if (packed === undefined) await this.#flush(FRAME.data, frame);
    else await this.#flush(accept === 'zstd' ? FRAME.zstd : FRAME.gzip, withLength(packed, frame.length));
  }

  async #flush(type: FrameType, payload: Uint8Array): Promise<void> {
    if (!this.#write(type, payload)) await this.#ports.exchange.drained();
    this.#abort.signal.throwIfAborted();
  }

  #write(type: FrameType, payload?: Uint8Array): boolean {
    this.#pulse.sent();
    return this.#ports.exchange.write(this.#encoder.encode(type, payload));
  }

  /** A generator that is waiting ends behind its wait; one that waits at a `yield` ends now. */
  async #returnGenerator(): Promise<void> {
    const iterator = this.#iterator;
    if (iterator === undefined) return;
    try {
      await iterator.return?.();
    } catch (error) {
      this.#ports.logger.debug({ call: this.#admitted.name, error }, 'a call failed while it was ended');
    }
  }

  #report(error: unknown): void {
    if (this.#abort.signal.aborted || error instanceof SkerryError) return;
    const { name, from } = this.#admitted;
    this.#ports.logger.error({ call: name, from: from.origin, error }, 'a call failed in a way nobody foresaw');
  }
}

function withLength(packed: Uint8Array, rawBytes: number): Uint8Array {
  const payload = new Uint8Array(RAW_LENGTH_BYTES + packed.length);
  new DataView(payload.buffer).setUint32(0, rawBytes);
  payload.set(packed, RAW_LENGTH_BYTES);
  return payload;
}
