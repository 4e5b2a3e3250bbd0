/** One call as its caller runs it: the signed request, the check of the answer, the frames, credit, life signs. */
import {
  SkerryError,
  type PeerAddress,
  type PeerIdentity,
  type Runtime,
  type Timer,
} from '../../core/contracts/index.ts';
import { AnswerQueue } from './answer-queue.ts';
import { ByteQueue } from './byte-queue.ts';
import { compress, type Encoding } from './compression.ts';
import type { Connector, OutgoingEvents, OutgoingExchange } from './exchange.ts';
import { unpackFault } from './faults.ts';
import { CALLER_FRAMES, FRAME, FrameDecoder, FrameEncoder, SERVER_FRAMES, type Frame } from './frames.ts';
import { PATH_PREFIX, WINDOW_FRAMES, unavailable } from './protocol.ts';
import { Pulse } from './pulse.ts';
import { checkAnswer, frameKeys, sha256, signClaim, type SignedClaim } from './signature.ts';

export interface CallPorts extends Pick<Runtime, 'clock' | 'timers' | 'random'> {
  readonly self: PeerIdentity;
  readonly peer: PeerAddress;
  readonly key: string;
  /** The peer does not take a call that is signed with it. */
  readonly onKeyRefused: () => void;
  readonly connector: Connector;
  readonly compression: Encoding;
  readonly connectTimeoutMs: number;
  readonly heartbeatMs: number;
  readonly idleTimeoutMs: number;
}

/** Longer bodies wait until the peer has accepted the head, so that a refusal costs no upload and gets through. */
const BODY_AT_ONCE_MAX_BYTES = 64 * 1024;
/** Bytes that may wait for the reader before the connection is paused. */
const QUEUE_MAX_BYTES = 4 * 1024 * 1024;
const REFUSAL_MAX_BYTES = 64 * 1024;
/** Credit is sent for so many frames at a time: an idle reader has at least the rest of the window open. */
const CREDIT_FRAMES = WINDOW_FRAMES / 4;
const NONCE_BYTES = 16;

interface Session {
  readonly encoder: FrameEncoder;
  readonly decoder: FrameDecoder;
  readonly pulse: Pulse;
}

export class OutgoingCall {
  readonly #ports: CallPorts;
  readonly #name: string;
  readonly #queue = new AnswerQueue();
  readonly #onEnd: () => void;
  #exchange: OutgoingExchange | undefined;
  #session: Session | undefined;
  #refusal: { readonly status: number; readonly answer: string | undefined; readonly body: ByteQueue } | undefined;
  #headTimer: Timer | undefined;
  #uncredited = 0;
  #isPaused = false;
  #isOver = false;
  #isResent = false;

  /** `onEnd` runs once nothing of the call is left but frames for the reader. */
  constructor(ports: CallPorts, name: string, onEnd: () => void) {
    this.#ports = ports;
    this.#name = name;
    this.#onEnd = onEnd;
  }

  /** Rejects `Aborted` when the call was cancelled meanwhile. */
  async start(body: Uint8Array): Promise<void> {
    const { clock, random, self, peer, key, compression, timers, connectTimeoutMs } = this.#ports;
    const packed = await compress(body, compression);
    if (this.#queue.hasEnded) return;
    const sent = packed ?? body;
    const { header, signed } = signClaim(key, this.#name, {
      from: self.origin,
      to: peer.site,
      timeMs: clock.wallMs(),
      nonce: random.hex(NONCE_BYTES),
      sentBytes: sent.length,
      rawBytes: body.length,
      encoding: packed === undefined ? 'none' : compression,
      accept: compression,
      hash: sha256(sent),
    });
    const late = new SkerryError('Timeout', `${peer.url} has not answered within ${connectTimeoutMs} ms`);
    this.#headTimer = timers.after(connectTimeoutMs, () => this.#fail(late), { unref: true });
    this.#request(header, signed, sent, false);
  }

  /** The request goes out again, the very same, only over a connection that died idle; its nonce lets it run once at most. */
  #request(authorization: string, claim: SignedClaim, body: Uint8Array, isFresh: boolean): void {
    this.#isResent = isFresh;
    const events: OutgoingEvents = {
      head: (status, answer) => this.#onHead(claim, body, status, answer),
      bytes: (chunk) => this.#guard(() => this.#onBytes(chunk)),
      ended: () => this.#onEnded(claim),
      broke: (cause, isUntouched) => {
        if (isUntouched && !isFresh) this.#request(authorization, claim, body, true);
        else this.#fail(unavailable(`the link to ${this.#ports.peer.url} broke: ${reason(cause)}`, cause));
      },
    };
    const path = `${PATH_PREFIX}${this.#name}`;
    const exchange = this.#ports.connector.request({ path, headers: { authorization }, isFresh }, events);
    this.#exchange = exchange;
    if (body.length <= BODY_AT_ONCE_MAX_BYTES) exchange.write(body);
  }

  /** The next frame, or `undefined` behind the last. One call at a time. */
  async take(): Promise<Uint8Array | undefined> {
    let frame: Uint8Array | undefined;
    try {
      frame = await this.#queue.take();
    } catch (error) {
      this.#release(true);
      throw error;
    }
    if (frame !== undefined) this.#taken();
    return frame;
  }

  /** The reader wants no more, or is told that it gets no more. Idempotent. */
  cancel(failure: SkerryError): void {
    this.#queue.abandon(failure);
    this.#release(true);
  }

  #taken(): void {
    this.#uncredited++;
    if (this.#uncredited >= CREDIT_FRAMES) this.#credit();
    if (this.#isPaused && this.#queue.bytes < QUEUE_MAX_BYTES / 2) this.#pause(false);
  }

  #credit(): void {
    const { encoder, pulse } = this.#session ?? {};
    if (encoder === undefined || this.#queue.hasEnded) return;
    const payload = Buffer.alloc(CALLER_FRAMES[FRAME.credit] ?? 0);
    payload.writeUInt32BE(this.#uncredited);
    this.#uncredited = 0;
    for (const piece of encoder.encode(FRAME.credit, payload)) this.#exchange?.write(piece);
    pulse?.sent();
  }

  #pause(isPaused: boolean): void {
    this.#isPaused = isPaused;
    this.#session?.pulse.listen(!isPaused);
    if (isPaused) this.#exchange?.pause();
    else this.#exchange?.resume();
  }

  #onHead(claim: SignedClaim, body: Uint8Array, status: number, answer: string | undefined): void {
    const { key, clock, timers, heartbeatMs, idleTimeoutMs, peer } = this.#ports;
    if (status !== 200) {
      this.#refusal = { status, answer, body: new ByteQueue() };
      return;
    }
    const nonce = checkAnswer(key, claim, { header: answer, status, body: new Uint8Array(0) });
    if (nonce === undefined) {
      this.#fail(new SkerryError('Unauthenticated', `who answers at ${peer.url} does not know the key`));
      return;
    }
    this.#headTimer?.cancel();
    const keys = frameKeys(key, claim, nonce);
    const encoder = new FrameEncoder(keys.caller);
    const silence = new SkerryError('Timeout', `${peer.url} has been silent for ${idleTimeoutMs} ms`);
    const pulse = new Pulse({
      clock,
      timers,
      heartbeatMs,
      idleTimeoutMs,
      beat: () => encoder.encode(FRAME.heartbeat).forEach((piece) => this.#exchange?.write(piece)),
      silent: () => this.#fail(silence),
    });
    this.#session = { encoder, decoder: new FrameDecoder(keys.server, SERVER_FRAMES), pulse };
    if (body.length > BODY_AT_ONCE_MAX_BYTES) this.#exchange?.write(body);
  }

  #onBytes(chunk: Uint8Array): void {
    if (this.#refusal !== undefined) {
      const { body } = this.#refusal;
      body.append(chunk);
      if (body.length > REFUSAL_MAX_BYTES) throw unavailable(`${this.#ports.peer.url} answers something else`);
      return;
    }
    if (this.#session === undefined || this.#queue.hasEnded) return;
    this.#session.pulse.heard();
    for (const frame of this.#session.decoder.push(chunk)) this.#onFrame(frame);
    if (!this.#isPaused && !this.#isOver && this.#queue.bytes >= QUEUE_MAX_BYTES) this.#pause(true);
  }

  #onFrame(frame: Frame): void {
    if (frame.type === FRAME.heartbeat) return;
    if (frame.type === FRAME.end) this.#finish(undefined);
    else if (frame.type === FRAME.error)
      this.#finish(unpackFault(frame.payload) ?? unavailable('broken stream: no error in an error frame'));
    else this.#queue.push(frame);
  }

  /** The stream is over as agreed, so the connection is good for another call. */
  #finish(failure: SkerryError | undefined): void {
    this.#queue.end(failure);
    this.#exchange?.end();
    this.#release(false);
  }

  #onEnded(claim: SignedClaim): void {
    if (this.#queue.hasEnded) return;
    if (this.#refusal === undefined) {
      this.#fail(unavailable('the answer broke off before its end'));
      return;
    }
    const { status, answer } = this.#refusal;
    const body = this.#refusal.body.peek(this.#refusal.body.length);
    const isSigned = checkAnswer(this.#ports.key, claim, { header: answer, status, body }) !== undefined;
    if (!isSigned && isKeyRefusal(status)) this.#ports.onKeyRefused();
    const failure = refusalOf(status, isSigned ? unpackFault(body) : undefined, this.#ports.peer.url);
    const hasRun = this.#isResent && failure.details['reason'] === 'replayed';
    this.#finish(hasRun ? unavailable('the link broke after the peer had got the call', failure) : failure);
  }

  #guard(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#fail(error instanceof SkerryError ? error : unavailable('broken stream', error));
    }
  }

  #fail(failure: SkerryError): void {
    this.#queue.end(failure);
    this.#release(true);
  }

  #release(isCut: boolean): void {
    this.#headTimer?.cancel();
    this.#session?.pulse.stop();
    if (this.#isOver) return;
    this.#isOver = true;
    if (isCut) this.#exchange?.destroy();
    this.#onEnd();
  }
}

/** What an unsigned refusal says is hearsay: only its status counts. */
function refusalOf(status: number, signed: SkerryError | undefined, url: string): SkerryError {
  if (signed !== undefined) return signed;
  if (isKeyRefusal(status))
    return new SkerryError('Unauthenticated', `${url} does not accept our key`, {
      details: { status, hint: 'is replication.clusterKey the same at both sites?' },
    });
  return new SkerryError('Unavailable', `${url} refused the call with status ${status}`, { details: { status } });
}

const isKeyRefusal = (status: number): boolean => status === 401 || status === 403;

function reason(cause: unknown): string {
  const { code, message } = cause as { readonly code?: unknown; readonly message?: unknown };
  return typeof code === 'string' ? code : String(message ?? cause);
}
