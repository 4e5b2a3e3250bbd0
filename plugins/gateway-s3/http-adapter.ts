/** The listener over node:http(s): idle limits instead of a total one, S3 answers to what is not HTTP, a graceful end. */
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';

import { SkerryError } from '../../core/contracts/index.ts';
import type { Timers } from '../../core/contracts/index.ts';
import type { S3ErrorCode } from './errors.ts';
import { LINGER_MS, NodeExchange, type Exchange } from './exchange-adapter.ts';
import type { S3Options } from './options.ts';

/** Never rejects. */
export type ExchangeHandler = (exchange: Exchange) => Promise<void>;

export interface HttpDeps {
  readonly timers: Timers;
  readonly handle: ExchangeHandler;
  /** The answer to something that is not HTTP, so that there is no request to handle. */
  readonly renderRefusal: (code: S3ErrorCode) => {
    readonly status: number;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string;
  };
}

const CURRENT = Symbol('current exchange');
type TrackedSocket = Socket & { [CURRENT]?: NodeExchange | undefined };

/** The listener. */
export class HttpListener {
  readonly #options: S3Options;
  readonly #deps: HttpDeps;
  readonly #active = new Set<NodeExchange>();
  #server: Server | undefined;
  #draining = false;
  #onIdle: (() => void) | undefined;

  constructor(options: S3Options, deps: HttpDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  async open(): Promise<void> {
    const server = await this.#createServer();
    const { idleTimeoutMs, keepAliveTimeoutMs, maxConnections, listen } = this.#options;
    server.timeout = idleTimeoutMs;
    server.keepAliveTimeout = keepAliveTimeoutMs;
    server.maxConnections = maxConnections;
    server.on('request', (request, response) => this.#accept(request, response, false));
    server.on('checkContinue', (request, response) => this.#accept(request, response, true));
    server.on('checkExpectation', (request, response) => this.#refuse(request, response));
    server.on('clientError', (error, socket) => this.#onClientError(error, socket));
    server.on('timeout', (socket) => this.#onTimeout(socket));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once('error', reject);
    server.listen({ host: listen.host, port: listen.port }, resolve);
    try {
      await promise;
    } catch (error) {
      throw listenFailure(error, listen);
    }
    server.off('error', reject);
    this.#server = server;
  }

  async #createServer(): Promise<Server> {
    const common = {
      requestTimeout: 0,
      headersTimeout: Math.min(this.#options.idleTimeoutMs, 60_000),
      maxHeaderSize: this.#options.maxHeaderBytes,
      requireHostHeader: false,
    };
    const { tls } = this.#options;
    if (tls === undefined) return createServer(common);
    const [cert, key] = await Promise.all([readFile(tls.certFile), readFile(tls.keyFile)]).catch((error: unknown) => {
      throw new SkerryError('InvalidConfig', `TLS files cannot be read: ${String(error)}`, { cause: error });
    });
    return createTlsServer({ ...common, cert, key });
  }

  addresses(): readonly string[] {
    const address = this.#server?.address() as AddressInfo | null | undefined;
    if (address === null || address === undefined) return [];
    const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
    return [`${this.#options.tls === undefined ? 'http' : 'https'}://${host}:${address.port}`];
  }

  #accept(request: IncomingMessage, response: ServerResponse, awaitsContinue: boolean): void {
    const secure = this.#options.tls !== undefined;
    const { timers, handle } = this.#deps;
    const socket: TrackedSocket = request.socket;
    const exchange = new NodeExchange(request, response, {
      timers,
      drainMaxBytes: this.#options.drainMaxBytes,
      secure,
      awaitsContinue,
      onReleased: (released) => this.#release(socket, released),
    });
    exchange.lastOnConnection = this.#draining;
    socket[CURRENT] = exchange;
    this.#active.add(exchange);
    void handle(exchange).finally(() => exchange.release());
  }

  #release(socket: TrackedSocket, exchange: NodeExchange): void {
    if (socket[CURRENT] === exchange) socket[CURRENT] = undefined;
    this.#active.delete(exchange);
    if (this.#active.size === 0) this.#onIdle?.();
  }

  #refuse(request: IncomingMessage, response: ServerResponse): void {
    const { status, headers, body } = this.#deps.renderRefusal('ExpectationFailed');
    response.writeHead(status, { ...headers, connection: 'close' });
    response.end(body);
    request.resume();
  }

  #onTimeout(socket: TrackedSocket): void {
    const exchange = socket[CURRENT];
    if (exchange === undefined) socket.destroy();
    else exchange.onIdle(socket, this.#options.idleTimeoutMs);
  }

  #onClientError(error: Error & { code?: string }, stream: Duplex): void {
    const socket = stream as TrackedSocket;
    const exchange = socket[CURRENT];
    // An answer has begun: a second head would be read as its body.
    if (!socket.writable || exchange?.answered === true || error.code === 'ECONNRESET') {
      socket.destroy();
      return;
    }
    const { status, headers, body } = this.#deps.renderRefusal(refusalCode(error.code));
    const lines = Object.entries({
      ...headers,
      'content-length': String(Buffer.byteLength(body)),
      connection: 'close',
    });
    const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
    socket.removeAllListeners('data');
    socket.on('data', () => undefined);
    socket.end(`HTTP/1.1 ${status} Bad Request\r\n${head}\r\n${body}`);
    const timer = this.#deps.timers.after(LINGER_MS, () => socket.destroy(), { unref: true });
    socket.once('close', () => timer.cancel());
  }

  async drain(graceMs: number): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#draining = true;
    server.close();
    server.closeIdleConnections();
    for (const exchange of this.#active) exchange.lastOnConnection = true;
    if (this.#active.size > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#onIdle = resolve;
      const timer = this.#deps.timers.after(graceMs, resolve, { unref: true });
      await promise;
      timer.cancel();
    }
    server.closeAllConnections();
  }

  async close(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    this.#draining = true;
    const { promise, resolve } = Promise.withResolvers<void>();
    // The callback's error only says that `drain` has closed the listener already.
    server.close(() => resolve());
    server.closeAllConnections();
    await promise;
    if (this.#active.size > 0) {
      await new Promise<void>((settled) => {
        this.#onIdle = settled;
      });
    }
  }
}

function refusalCode(code: string | undefined): S3ErrorCode {
  if (code === 'HPE_HEADER_OVERFLOW') return 'RequestHeaderSectionTooLarge';
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'RequestTimeout' : 'BadRequest';
}

function listenFailure(error: unknown, listen: S3Options['listen']): SkerryError {
  const code = (error as { code?: string }).code;
  const hint = code === 'EADDRINUSE' ? 'the port is taken' : code === 'EACCES' ? 'not permitted' : String(error);
  return new SkerryError('Unavailable', `cannot listen on ${listen.host}:${listen.port}: ${hint}`, {
    cause: error,
    retryable: false,
    details: { hint: '--listen, or listen of the s3 gateway, names another' },
  });
}
