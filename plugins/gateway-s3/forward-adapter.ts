/** Requests to the S3 endpoint of another site over node:http(s): bodies streamed with back-pressure, answers that come before the body has ended. */
import { Agent, request as requestPlain, type ClientRequest, type IncomingMessage } from 'node:http';
import { Agent as TlsAgent, request as requestTls } from 'node:https';

export interface OutgoingRequest {
  readonly origin: URL;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[]>>;
  /** Read until it ends or the answer comes. */
  readonly body: AsyncIterable<Uint8Array> | undefined;
  readonly signal: AbortSignal;
}

export interface IncomingAnswer {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: AsyncIterable<Uint8Array>;
  /** Gives up what is not read yet. Idempotent. */
  close(): void;
}

/** Shorter than a gateway keeps a connection, so that it is the caller who lets go. */
const IDLE_CONNECTION_MS = 30_000;

export class SiteClient {
  readonly #idleTimeoutMs: number;
  readonly #plain = new Agent({ keepAlive: true, timeout: IDLE_CONNECTION_MS });
  readonly #tls = new TlsAgent({ keepAlive: true, timeout: IDLE_CONNECTION_MS });

  /** `idleTimeoutMs`: a request on which no byte moves for so long has failed. */
  constructor(idleTimeoutMs: number) {
    this.#idleTimeoutMs = idleTimeoutMs;
  }

  /** Rejects with what the body rejects with, else with an error of node's. */
  async send({ origin, method, path, headers, body, signal }: OutgoingRequest): Promise<IncomingAnswer> {
    const isTls = origin.protocol === 'https:';
    const hostname = origin.hostname.replace(/^\[|\]$/g, '');
    const target = { hostname, port: origin.port, method, path, headers, signal, timeout: this.#idleTimeoutMs };
    const outgoing = isTls
      ? requestTls({ ...target, agent: this.#tls })
      : requestPlain({ ...target, agent: this.#plain });
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    outgoing.once('response', resolve);
    outgoing.on('error', reject);
    outgoing.on('timeout', () => outgoing.destroy(new Error(`silent for ${this.#idleTimeoutMs} ms`)));
    const progress = { isAnswered: false };
    sendBody(outgoing, body, progress).catch((error: unknown) => {
      reject(error);
      outgoing.destroy();
    });
    const answer = await promise;
    progress.isAnswered = true;
    outgoing.emit('drain'); // whoever waits to send on sees that nobody listens
    return incoming(outgoing, answer);
  }

  close(): void {
    this.#plain.destroy();
    this.#tls.destroy();
  }
}

async function sendBody(
  outgoing: ClientRequest,
  body: AsyncIterable<Uint8Array> | undefined,
  progress: { readonly isAnswered: boolean },
): Promise<void> {
  for await (const piece of body ?? []) {
    if (progress.isAnswered || outgoing.destroyed) return;
    if (!outgoing.write(piece)) await writable(outgoing);
  }
  if (!progress.isAnswered) outgoing.end();
}

function writable(outgoing: ClientRequest): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  outgoing.once('drain', resolve);
  outgoing.once('close', resolve);
  return promise.finally(() => {
    outgoing.off('drain', resolve);
    outgoing.off('close', resolve);
  });
}

function incoming(outgoing: ClientRequest, answer: IncomingMessage): IncomingAnswer {
  const headers: Record<string, string> = {};
  for (let at = 0; at + 1 < answer.rawHeaders.length; at += 2)
    headers[(answer.rawHeaders[at] ?? '').toLowerCase()] = answer.rawHeaders[at + 1] ?? '';
  return {
    status: answer.statusCode ?? 0,
    headers,
    body: answer,
    close() {
      // A connection in mid-request cannot serve another one.
      if (!answer.complete || !outgoing.writableFinished) outgoing.destroy();
    },
  };
}
