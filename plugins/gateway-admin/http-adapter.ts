/** The listeners over node:http: a unix socket that only its owner may use, and a TCP address when one is configured. */
import { chmod, lstat, unlink } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect, type ListenOptions } from 'node:net';
import { relative } from 'node:path';
import { SkerryError, type Timers } from '../../core/contracts/index.ts';
import type { Answer } from './routes.ts';

/** One request, before anything of its body was read. */
export interface Incoming {
  readonly method: string;
  /** Raw path without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly authorization: string | undefined;
  /** The whole body; rejects `TooLarge`, or `Aborted` when the client went away. */
  body(): Promise<Uint8Array>;
}

export interface ListenerInput {
  readonly socketPath: string;
  readonly address?: { readonly host: string; readonly port: number };
  readonly bodyMaxBytes: number;
  readonly requestTimeoutMs: number;
  readonly timers: Timers;
  /** Never rejects. */
  readonly handle: (incoming: Incoming) => Promise<Answer>;
}

/** sockaddr_un.sun_path without its NUL: 107 bytes on Linux, 103 on macOS and the BSDs. */
const SOCKET_PATH_MAX_BYTES = process.platform === 'linux' ? 107 : 103;
const OWNER_ONLY = 0o600;
const MAX_CONNECTIONS = 64;
/** How often node:http looks for requests that are overdue. */
const CHECK_EVERY_MS = 5000;

export class AdminListener {
  readonly #input: ListenerInput;
  readonly #servers: Server[] = [];
  readonly #active = new Set<ServerResponse>();
  #onIdle: (() => void) | undefined;
  #draining = false;

  constructor(input: ListenerInput) {
    this.#input = input;
  }

  /** `Locked` when another process answers on the socket, `InvalidConfig` when its path is too long, `Unavailable` otherwise. */
  async open(): Promise<void> {
    const { socketPath, address } = this.#input;
    const path = shortPath(socketPath);
    await removeStale(path, socketPath);
    try {
      await this.#listen({ path }, socketPath);
      await chmod(path, OWNER_ONLY);
      if (address !== undefined) await this.#listen(address, `${address.host}:${address.port}`);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** `unix:<path>` and `http://host:port`. */
  addresses(): readonly string[] {
    return this.#servers.flatMap((server) => {
      const address = server.address();
      if (address === null) return [];
      if (typeof address === 'string') return [`unix:${this.#input.socketPath}`];
      const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
      return [`http://${host}:${address.port}`];
    });
  }

  async #listen(options: ListenOptions, shown: string): Promise<void> {
    const { requestTimeoutMs } = this.#input;
    const server = createServer({
      requestTimeout: requestTimeoutMs,
      headersTimeout: requestTimeoutMs,
      connectionsCheckingInterval: Math.min(requestTimeoutMs, CHECK_EVERY_MS),
    });
    server.maxConnections = MAX_CONNECTIONS;
    server.on('request', (request, response) => void this.#serve(request, response));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once('error', reject);
    server.listen(options, resolve);
    try {
      await promise;
    } catch (error) {
      const why = (error as { code?: string }).code === 'EADDRINUSE' ? 'it is taken' : (error as Error).message;
      throw new SkerryError('Unavailable', `admin: cannot listen on ${shown}: ${why}`, {
        cause: error,
        retryable: false,
      });
    }
    server.off('error', reject);
    this.#servers.push(server);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#active.add(response);
    response.once('close', () => this.#release(response));
    const { pathname, query } = target(request.url ?? '/');
    const answer = await this.#input.handle({
      method: request.method ?? 'GET',
      path: pathname,
      query,
      authorization: request.headers.authorization,
      body: async () => readBody(request, this.#input.bodyMaxBytes),
    });
    this.#reply(request, response, answer);
  }

  #reply(request: IncomingMessage, response: ServerResponse, { status, body }: Answer): void {
    if (response.destroyed) return;
    // A body that nobody reads would be taken for the next request.
    if (this.#draining || !request.complete) response.setHeader('connection', 'close');
    response.setHeader('cache-control', 'no-store');
    response.statusCode = status;
    if (body === undefined) {
      response.end();
      return;
    }
    const bytes = Buffer.from(JSON.stringify(body), 'utf8');
    response.setHeader('content-type', 'application/json');
    response.setHeader('content-length', bytes.length);
    response.end(bytes);
  }

  #release(response: ServerResponse): void {
    this.#active.delete(response);
    if (this.#active.size === 0) this.#onIdle?.();
  }

  async drain(graceMs: number): Promise<void> {
    this.#draining = true;
    for (const server of this.#servers) {
      server.close();
      server.closeIdleConnections();
    }
    if (this.#active.size > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#onIdle = resolve;
      const timer = this.#input.timers.after(graceMs, resolve);
      await promise;
      timer.cancel();
    }
    for (const server of this.#servers) server.closeAllConnections();
  }

  /** Closing the listener takes the socket file away. */
  async close(): Promise<void> {
    const closing = this.#servers.splice(0).map(async (server) => {
      // The callback's error only says that `drain` has closed the listener already.
      const { promise, resolve } = Promise.withResolvers<void>();
      server.close(() => resolve());
      server.closeAllConnections();
      await promise;
    });
    await Promise.all(closing);
  }
}

/** Not by `new URL`, which folds `..` and throws on some request lines. */
function target(url: string): { readonly pathname: string; readonly query: URLSearchParams } {
  const mark = url.indexOf('?');
  if (mark < 0) return { pathname: url, query: new URLSearchParams() };
  return { pathname: url.slice(0, mark), query: new URLSearchParams(url.slice(mark + 1)) };
}

async function readBody(request: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  const tooLarge = new SkerryError('TooLarge', `the body is longer than ${maxBytes} bytes`, { details: { maxBytes } });
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge;
  const pieces: Buffer[] = [];
  let total = 0;
  try {
    for await (const piece of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      total += piece.length;
      if (total > maxBytes) throw tooLarge;
      pieces.push(piece);
    }
  } catch (error) {
    if (error === tooLarge) throw tooLarge;
    throw new SkerryError('Aborted', 'the client went away in the middle of its request', { cause: error });
  }
  return Buffer.concat(pieces);
}

/** The operating system takes short paths only; from the working directory it may be shorter. */
function shortPath(socketPath: string): string {
  const fromHere = relative(process.cwd(), socketPath);
  const path = Buffer.byteLength(fromHere) < Buffer.byteLength(socketPath) ? fromHere : socketPath;
  if (Buffer.byteLength(path) <= SOCKET_PATH_MAX_BYTES) return path;
  throw new SkerryError(
    'InvalidConfig',
    `the admin socket ${socketPath} has a path longer than the ${SOCKET_PATH_MAX_BYTES} bytes that a socket may have (hint: a shorter dataDir, or admin.enabled: false)`,
    { details: { socketPath, maxBytes: SOCKET_PATH_MAX_BYTES } },
  );
}

/** A killed process leaves its socket file behind; it goes only when nobody answers on it. */
async function removeStale(path: string, shown: string): Promise<void> {
  const stat = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw new SkerryError('Io', `cannot look at ${shown}: ${error.message}`, { cause: error });
  });
  if (stat === undefined) return;
  if (!stat.isSocket()) {
    throw new SkerryError('AlreadyExists', `${shown} is in the way of the admin socket and is no socket`);
  }
  if (await answers(path)) throw new SkerryError('Locked', `another process answers on ${shown}`);
  await unlink(path);
}

async function answers(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const probe = connect(path);
  probe.once('connect', () => resolve(true));
  // Refused: nobody. Anything else (no permission, a full backlog): somebody.
  probe.once('error', (error: NodeJS.ErrnoException) =>
    resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
  );
  const answered = await promise;
  probe.destroy();
  return answered;
}
