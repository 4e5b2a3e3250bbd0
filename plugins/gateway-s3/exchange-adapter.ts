/** One request and its answer over node:http: back-pressure both ways, 100-continue only when the body is really wanted, and an early answer that the client gets to see. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

import { SkerryError } from '../../core/contracts/index.ts';
import type { Timers } from '../../core/contracts/index.ts';
import { RequestBody } from './body-adapter.ts';
import type { S3Response } from './operation.ts';

/** One request and its answer. */
export interface Exchange {
  readonly method: string;
  /** As on the request line. */
  readonly target: string;
  /** Names and values alternating, as received, latin1. */
  readonly rawHeaders: readonly string[];
  readonly remoteAddress: string;
  readonly secure: boolean;
  /** Aborts when the client goes away before the answer has ended. */
  readonly signal: AbortSignal;
  /** True once the answer's head was sent: nothing else can be answered. */
  readonly answered: boolean;
  /** Body bytes received so far. */
  readonly receivedBytes: number;
  /** The body, once. Asking for it sends 100-continue when the client waits for that. */
  body(): RequestBody;
  /** Sends the answer; resolves to the number of body bytes sent. Rejects `Aborted` when the client went away. */
  respond(response: S3Response): Promise<number>;
  /** Breaks the connection: the only honest end when a body fails half way. */
  destroy(): void;
}

/** How long an answered connection may go on sending what nobody reads. */
export const LINGER_MS = 5_000;
const clientGone = (): SkerryError =>
  new SkerryError('Aborted', 'the client closed the connection', { details: { clientGone: true } });

/** A SkerryError, for the engine hands those on as they are. */
const clientSilent = (): SkerryError =>
  new SkerryError(
    'Timeout',
    'Your socket connection to the server was not read from or written to within the timeout period.',
    { details: { reason: 'RequestTimeout' } },
  );

export interface ExchangeContext {
  readonly timers: Timers;
  readonly drainMaxBytes: number;
  readonly secure: boolean;
  /** The client sent `Expect: 100-continue`. */
  readonly awaitsContinue: boolean;
  /** Called once, when the handler has settled and the answer has left or the connection is gone. */
  readonly onReleased: (exchange: NodeExchange) => void;
}

export class NodeExchange implements Exchange {
  readonly method: string;
  readonly target: string;
  readonly rawHeaders: readonly string[];
  readonly secure: boolean;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #context: ExchangeContext;
  #holders = 2;
  #awaitsContinue: boolean;
  #body: RequestBody | undefined;
  #abort: AbortController | undefined;
  #closed = false;
  /** The client stopped sending in mid-body. */
  #isSilent = false;
  #wakeWriter: (() => void) | undefined;
  /** Set by the server when it is going away: answers then end their connection. */
  lastOnConnection = false;

  constructor(request: IncomingMessage, response: ServerResponse, context: ExchangeContext) {
    this.method = request.method ?? '';
    this.target = request.url ?? '';
    this.rawHeaders = request.rawHeaders;
    this.secure = context.secure;
    this.#request = request;
    this.#response = response;
    this.#context = context;
    this.#awaitsContinue = context.awaitsContinue;
    response.once('close', () => this.#onClose());
  }

  get remoteAddress(): string {
    const address = this.#request.socket.remoteAddress ?? '';
    return address.startsWith('::ffff:') ? address.slice(7) : address;
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#closed && !this.#response.writableFinished) this.#abort.abort(clientGone());
    }
    return this.#abort.signal;
  }

  get answered(): boolean {
    return this.#response.headersSent;
  }

  get receivedBytes(): number {
    return this.#body?.receivedBytes ?? 0;
  }

  #onClose(): void {
    this.#closed = true;
    if (!this.#response.writableFinished) this.#abort?.abort(clientGone());
    this.#wakeWriter?.();
    this.release();
  }

  /** One of the two that hold the exchange, handler and answer, is through. */
  release(): void {
    this.#holders -= 1;
    if (this.#holders === 0) this.#context.onReleased(this);
  }

  body(): RequestBody {
    if (this.#body === undefined) {
      this.#body = new RequestBody(this.#request, clientGone);
      if (this.#awaitsContinue) {
        this.#awaitsContinue = false;
        this.#response.writeContinue();
      }
    }
    return this.#body;
  }

  async respond(response: S3Response): Promise<number> {
    if (this.#closed) throw clientGone();
    const { body } = response;
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    const flat = flatHeaders(response, bytes);
    const unread = this.#hasUnread();
    const mustClose = this.lastOnConnection || this.#isSilent || (unread && this.#cannotSkipRest());
    if (mustClose) flat.push('connection', 'close');
    this.#response.writeHead(response.status, flat);
    // A client that still waits for 100-continue, or sends no more, has nothing on the way that could hide the answer.
    if (unread && mustClose && !this.#awaitsContinue && !this.#isSilent) return this.#respondAndLinger(bytes);
    if (unread && !mustClose) this.#skipRest();
    if (bytes === undefined || bytes instanceof Uint8Array) {
      this.#response.end(bytes);
      return bytes?.length ?? 0;
    }
    return this.#sendStream(bytes);
  }

  #hasUnread(): boolean {
    if (this.#request.complete) return false;
    const { headers } = this.#request;
    return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
  }

  /** Too much of the body is still to come, or an unknown amount, to read past it and keep the connection. */
  #cannotSkipRest(): boolean {
    if (this.#awaitsContinue) return true;
    const declared = this.#request.headers['content-length'];
    return declared === undefined || Number(declared) - this.receivedBytes > this.#context.drainMaxBytes;
  }

  #skipRest(): void {
    this.#body?.detach();
    this.#request.resume();
  }

  /** Closing at once would reset the connection under a client that is still sending, and the answer would be lost. */
  async #respondAndLinger(bytes: Uint8Array | AsyncIterable<Uint8Array> | undefined): Promise<number> {
    let sent = 0;
    if (bytes instanceof Uint8Array) {
      this.#response.write(bytes);
      sent = bytes.length;
    } else if (bytes === undefined) {
      this.#response.flushHeaders();
    } else {
      return this.#sendStream(bytes);
    }
    this.#body?.detach();
    await lingerRead(this.#request, this.#context.timers);
    this.#response.end();
    return sent;
  }

  /** One piece in flight: the producer may reuse its buffer as soon as the next piece is asked for. */
  async #sendStream(pieces: AsyncIterable<Uint8Array>): Promise<number> {
    let sent = 0;
    for await (const piece of pieces) {
      await this.#writeOut(piece);
      sent += piece.length;
    }
    this.#response.end();
    return sent;
  }

  #writeOut(piece: Uint8Array): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    if (this.#closed) {
      reject(clientGone());
      return promise;
    }
    this.#wakeWriter = () => reject(clientGone());
    this.#response.write(piece, (error) => {
      this.#wakeWriter = undefined;
      if (error) reject(clientGone());
      else resolve();
    });
    return promise;
  }

  destroy(): void {
    this.#request.socket.destroy();
  }

  /** The socket was silent for the idle limit: whose turn was it? */
  onIdle(socket: Socket, idleTimeoutMs: number): void {
    if (this.#body?.waiting === true) {
      this.#isSilent = true;
      this.#body.fail(clientSilent());
    } else if (this.#wakeWriter !== undefined || this.#response.writableEnded) socket.destroy();
    else socket.setTimeout(idleTimeoutMs);
  }
}

function flatHeaders(response: S3Response, body: S3Response['body']): string[] {
  const flat: string[] = [];
  const { headers } = response;
  for (const name in headers) {
    const value = headers[name];
    if (value !== undefined) flat.push(name, value);
  }
  if (body instanceof Uint8Array) {
    if (headers['content-length'] === undefined) flat.push('content-length', String(body.length));
  } else if (
    body === undefined &&
    headers['content-length'] === undefined &&
    response.status !== 204 &&
    response.status !== 304
  ) {
    flat.push('content-length', '0');
  }
  return flat;
}

/**
 * Read and throw away until the body ends or the time is up, however much comes: closing with bytes unread resets the connection, and
 * then a fast client that is still sending never sees its answer.
 */
function lingerRead(request: IncomingMessage, timers: Timers): Promise<void> {
  if (request.complete || request.destroyed) return Promise.resolve();
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = timers.after(LINGER_MS, resolve, { unref: true });
  request.once('end', resolve);
  request.once('close', resolve);
  request.resume();
  return promise.finally(() => timer.cancel());
}
