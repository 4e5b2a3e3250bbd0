/** The listener over node:http(s). It gives a stranger little: a short head, a short time, a bounded number of connections. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';

import { SkerryError, type Timers } from '../../core/contracts/index.ts';
import type { TlsFiles } from './client-adapter.ts';
import type { IncomingEvents, IncomingExchange } from './exchange.ts';

export interface ListenerOptions {
  readonly listen: { readonly host: string; readonly port: number };
  readonly tls: (TlsFiles & { readonly mutual: boolean }) | undefined;
  readonly connectionsMax: number;
  readonly headerTimeoutMs: number;
  readonly timers: Timers;
  /** Never throws. */
  readonly handle: (exchange: IncomingExchange) => void;
  /** Something that is no HTTP request. `what` is a code of Node.js or OpenSSL, never text of the caller. */
  readonly garbage: (what: string, remote: string) => void;
}

const HEADERS_MAX_BYTES = 8 * 1024;
const HEADERS_MAX = 32;
const KEEP_ALIVE_MS = 75_000;
/** What a refused caller may still send, and for how long, before it is cut: enough that it gets to read why. */
const REFUSED_MAX_BYTES = 256 * 1024;
const REFUSED_MAX_MS = 2000;
/** How node tells that a caller died or was cut off: no garbage, and no news, since links break. */
const BROKEN_OFF: ReadonlySet<string> = new Set(['ECONNRESET', 'HPE_INVALID_EOF_STATE']);

export class HttpListener {
  readonly #options: ListenerOptions;
  #server: Server | undefined;

  constructor(options: ListenerOptions) {
    this.#options = options;
  }

  /** The address that it answers on. `Unavailable` when it cannot listen, `InvalidConfig` for certificates that do not work. */
  async open(): Promise<string> {
    const { listen, connectionsMax, timers, handle, garbage } = this.#options;
    const server = this.#create();
    server.maxConnections = connectionsMax;
    server.maxHeadersCount = HEADERS_MAX;
    server.keepAliveTimeout = KEEP_ALIVE_MS;
    server.on('request', (request, response) => handle(new NodeIncoming(request, response, timers)));
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      if (!BROKEN_OFF.has(error.code ?? '')) garbage(error.code ?? error.name, remoteOf(socket));
      socket.destroy();
    });
    server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
      garbage(error.code ?? error.name, remoteOf(socket));
      socket.destroy();
    });
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
    const { address, family, port } = server.address() as AddressInfo;
    const scheme = this.#options.tls === undefined ? 'http' : 'https';
    return `${scheme}://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
  }

  #create(): Server {
    const { tls, headerTimeoutMs } = this.#options;
    const common = {
      requestTimeout: 0,
      headersTimeout: headerTimeoutMs,
      connectionsCheckingInterval: Math.ceil(headerTimeoutMs / 4),
      maxHeaderSize: HEADERS_MAX_BYTES,
    };
    if (tls === undefined) return createServer(common);
    const { cert, key, ca, mutual } = tls;
    const pem = { cert: Buffer.from(cert ?? []), key: Buffer.from(key ?? []) };
    const trust = ca === undefined ? {} : { ca: Buffer.from(ca) };
    try {
      const secure = { ...pem, ...trust, requestCert: mutual, rejectUnauthorized: mutual };
      return createTlsServer({ ...common, ...secure, handshakeTimeout: headerTimeoutMs });
    } catch (error) {
      throw new SkerryError('InvalidConfig', `transport: the TLS files do not work: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }

  /** Cuts every connection. */
  async close(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const { promise, resolve } = Promise.withResolvers<void>();
    server.close(() => resolve());
    server.closeAllConnections();
    await promise;
  }
}

class NodeIncoming implements IncomingExchange {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #timers: Timers;

  constructor(request: IncomingMessage, response: ServerResponse, timers: Timers) {
    this.#request = request;
    this.#response = response;
    this.#timers = timers;
    // What broke is told by `close`.
    request.on('error', () => undefined);
    response.on('error', () => undefined);
  }

  get method(): string {
    return this.#request.method ?? '';
  }

  get path(): string {
    return this.#request.url ?? '';
  }

  get authorization(): string | undefined {
    return this.#request.headers.authorization;
  }

  get remote(): string {
    return remoteOf(this.#request.socket);
  }

  refuse(status: number, headers: Readonly<Record<string, string>>, body: Uint8Array): void {
    const [request, response] = [this.#request, this.#response];
    let left = REFUSED_MAX_BYTES;
    const timer = this.#timers.after(REFUSED_MAX_MS, () => this.destroy(), { unref: true });
    request.on('data', (chunk: Buffer) => {
      left -= chunk.length;
      if (left < 0) this.destroy();
    });
    request.once('close', () => timer.cancel());
    request.once('end', () => timer.cancel());
    response.writeHead(status, { ...headers, 'content-type': 'application/json', 'content-length': body.length });
    response.end(body);
  }

  begin(headers: Readonly<Record<string, string>>, events: IncomingEvents): void {
    this.#request.on('data', (chunk: Buffer) => events.bytes(chunk));
    this.#request.on('end', () => {
      if (!this.#response.writableEnded) events.gone();
    });
    this.#response.on('close', () => events.gone());
    this.#response.writeHead(200, { ...headers, 'content-type': 'application/octet-stream' });
    this.#response.flushHeaders();
  }

  write(pieces: readonly Uint8Array[]): boolean {
    const response = this.#response;
    if (response.destroyed || response.writableEnded) return true;
    let isOpen = true;
    for (const piece of pieces) if (piece.length > 0) isOpen = response.write(piece);
    return isOpen;
  }

  async drained(): Promise<void> {
    const response = this.#response;
    if (!response.writableNeedDrain || response.destroyed) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    response.once('drain', resolve);
    response.once('close', resolve);
    await promise;
    response.off('drain', resolve);
    response.off('close', resolve);
  }

  end(): void {
    if (!this.#response.destroyed) this.#response.end();
  }

  destroy(): void {
    this.#request.destroy();
  }
}

function remoteOf(socket: Duplex): string {
  const { remoteAddress, remotePort } = socket as { remoteAddress?: string; remotePort?: number };
  return `${remoteAddress ?? 'unknown'}:${remotePort ?? 0}`;
}

function listenFailure(error: unknown, { host, port }: ListenerOptions['listen']): SkerryError {
  const { code } = error as { readonly code?: string };
  const why = code === 'EADDRINUSE' ? 'the port is taken' : code === 'EACCES' ? 'not permitted' : String(error);
  return new SkerryError('Unavailable', `transport: cannot listen on ${host}:${port}: ${why}`, {
    cause: error,
    retryable: false,
    details: { hint: 'plugins.transport.listen names another' },
  });
}
