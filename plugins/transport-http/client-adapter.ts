/** Connections to one peer over node:http(s): kept alive, used again, bounded. */
import { Agent, request as requestPlain, type ClientRequest, type IncomingMessage } from 'node:http';
import { Agent as TlsAgent, request as requestTls } from 'node:https';

import { SkerryError } from '../../core/contracts/index.ts';
import type { Connector, OutgoingEvents, OutgoingExchange, OutgoingRequest } from './exchange.ts';
import { ANSWER_HEADER } from './protocol.ts';

export interface TlsFiles {
  readonly cert?: Uint8Array;
  readonly key?: Uint8Array;
  readonly ca?: Uint8Array;
}

export interface ConnectorOptions {
  readonly url: string;
  readonly connectionsMax: number;
  readonly tls: TlsFiles | undefined;
}

/** Shorter than the listener keeps a connection, so that it is the caller who lets go. */
const IDLE_CONNECTION_MS = 30_000;
const IDLE_CONNECTIONS_MAX = 16;
const HEADERS_MAX_BYTES = 16 * 1024;

/** Throws `InvalidArgument` for a URL that no peer can have. Connects when first used. */
export function createConnector({ url, connectionsMax, tls }: ConnectorOptions): Connector {
  const base = parsed(url);
  const isTls = base.protocol === 'https:';
  const shared = {
    keepAlive: true,
    maxSockets: connectionsMax,
    maxFreeSockets: IDLE_CONNECTIONS_MAX,
    timeout: IDLE_CONNECTION_MS,
  };
  const secrets = isTls ? toNode(tls) : {};
  const agent = isTls ? new TlsAgent({ ...shared, ...secrets }) : new Agent(shared);
  const prefix = base.pathname.replace(/\/$/, '');
  const target = { hostname: base.hostname.replace(/^\[|\]$/g, ''), ...(base.port === '' ? {} : { port: base.port }) };
  return {
    request: ({ path, headers, isFresh }: OutgoingRequest, events) => {
      const options = { ...target, method: 'POST', path: `${prefix}${path}`, maxHeaderSize: HEADERS_MAX_BYTES };
      const agentOfRequest = isFresh ? false : agent;
      const all = { ...options, headers, agent: agentOfRequest };
      return new NodeOutgoing(isTls ? requestTls({ ...all, ...secrets }) : requestPlain(all), events);
    },
    close: () => agent.destroy(),
  };
}

function parsed(url: string): URL {
  const base = URL.canParse(url) ? new URL(url) : undefined;
  const isPeer = base !== undefined && /^https?:$/.test(base.protocol) && base.username === '' && base.search === '';
  if (isPeer) return base;
  throw new SkerryError('InvalidArgument', `no URL of a peer: ${url} (http://host:port or https://host:port)`);
}

/** Node.js takes PEM as Buffer. */
function toNode(tls: TlsFiles | undefined): Record<string, Buffer> {
  return Object.fromEntries(Object.entries(tls ?? {}).map(([name, pem]) => [name, Buffer.from(pem as Uint8Array)]));
}

class NodeOutgoing implements OutgoingExchange {
  readonly #request: ClientRequest;
  readonly #events: OutgoingEvents;
  #response: IncomingMessage | undefined;
  #isOver = false;

  constructor(request: ClientRequest, events: OutgoingEvents) {
    this.#request = request;
    this.#events = events;
    request.on('response', (response) => this.#onResponse(response));
    request.on('error', (error) => this.#break(error));
    request.on('close', () => this.#break(new Error('the connection closed')));
    // The agent's idle limit is for connections that lie idle, not for a call that says little.
    request.on('socket', (socket) => socket.setTimeout(0));
    request.flushHeaders();
  }

  write(bytes: Uint8Array): void {
    if (bytes.length > 0 && !this.#isOver && !this.#request.writableEnded) this.#request.write(bytes);
  }

  end(): void {
    if (!this.#request.destroyed) this.#request.end();
  }

  pause(): void {
    this.#response?.pause();
  }

  resume(): void {
    this.#response?.resume();
  }

  destroy(): void {
    this.#isOver = true;
    this.#request.destroy();
  }

  #onResponse(response: IncomingMessage): void {
    if (this.#isOver) return;
    this.#response = response;
    const answer = response.headers[ANSWER_HEADER];
    response.on('data', (chunk: Buffer) => {
      if (!this.#isOver) this.#events.bytes(chunk);
    });
    response.on('end', () => {
      if (this.#isOver || !response.complete) return;
      this.#isOver = true;
      this.#events.ended();
    });
    response.on('error', (error) => this.#break(error));
    this.#events.head(response.statusCode ?? 0, typeof answer === 'string' ? answer : undefined);
  }

  #break(cause: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#events.broke(cause, this.#request.reusedSocket && this.#response === undefined);
  }
}
