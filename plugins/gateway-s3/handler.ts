/** The pipeline of one request: id, health, route, authenticate, authorise, run, answer, log. Nothing that is thrown gets past it. */
import { isSkerryError, SkerryError } from '../../core/contracts/index.ts';
import type { Health, Random } from '../../core/contracts/index.ts';
import { authorizeOperation, isAllowed } from './authorize.ts';
import { awaitToken, withToken } from './causality.ts';
import { corsHeaders, preflight } from './cors.ts';
import { s3Error, toS3Error, type S3Error, type S3ErrorCode } from './errors.ts';
import type { Exchange } from './exchange-adapter.ts';
import { forward, type ForwardDeps } from './forward.ts';
import type { S3Operation, S3Response, S3Services } from './operation.ts';
import { GatewayRequest, headerMap } from './request.ts';
import { route } from './router.ts';
import { element, printable, xmlDocument } from './xml.ts';

const SERVER = 'Skerry';
/** How soon clients of a site that is being filled may ask again. */
const JOINING_RETRY_MS = 2000;
const HEALTH_PREFIX = '/-/health/';
/** What nginx calls "client closed request": only ever seen in the log. */
const STATUS_CLIENT_GONE = 499;

export interface HandlerDeps {
  readonly services: S3Services;
  readonly health: Health;
  readonly random: Random;
  /** Hands writes on where this site is a replica. */
  readonly forwarding: ForwardDeps;
}

/** What the log line of a request is made of. */
interface Trace {
  readonly id: string;
  readonly startedMs: number;
  operation?: string;
  request?: GatewayRequest;
  status: number;
  sentBytes: number;
  error?: S3Error;
}

/** Ids unique to this process without a call of the random source for each request. */
function requestIds(random: Random): () => string {
  const prefix = random.hex(5).toUpperCase();
  let count = 0;
  return () => {
    count += 1;
    return prefix + count.toString(16).toUpperCase().padStart(6, '0');
  };
}

/** The XML body of a failure. */
export function errorDocument(error: S3Error, resource: string, requestId: string, hostId: string): string {
  const fields = Object.entries(error.fields).map(([name, value]) => element(name, printable(value)));
  const content =
    element('Code', error.code) +
    element('Message', error.message) +
    fields.join('') +
    element('Resource', resource) +
    element('RequestId', requestId) +
    element('HostId', hostId);
  return xmlDocument('Error', undefined, content);
}

const SECRET_QUERY = /((?:^|&)(?:x-amz-signature|x-amz-security-token|signature)=)[^&]*/gi;

/** A query fit for a log. */
export function redactQuery(rawQuery: string): string {
  return rawQuery.replace(SECRET_QUERY, '$1[redacted]');
}

export class S3Handler {
  readonly #services: S3Services;
  readonly #health: Health;
  readonly #forwarding: ForwardDeps;
  readonly #nextId: () => string;
  readonly #hostId: string;

  constructor({ services, health, random, forwarding }: HandlerDeps) {
    this.#services = services;
    this.#health = health;
    this.#forwarding = forwarding;
    this.#nextId = requestIds(random);
    this.#hostId = Buffer.from(random.bytes(24)).toString('base64');
  }

  /** Never rejects. */
  async handle(exchange: Exchange): Promise<void> {
    if (exchange.target.startsWith(HEALTH_PREFIX)) return this.#answerHealth(exchange);
    const trace: Trace = {
      id: this.#nextId(),
      startedMs: this.#services.clock.monotonicMs(),
      status: 0,
      sentBytes: 0,
    };
    try {
      const response = await this.#run(exchange, trace);
      await this.#send(exchange, trace, response);
    } catch (error) {
      await this.#fail(exchange, trace, error);
    }
    this.#log(exchange, trace);
  }

  /** An answer to bytes that were no request. */
  renderRefusal(code: S3ErrorCode): { status: number; headers: Record<string, string>; body: string } {
    const id = this.#nextId();
    const error = s3Error(code);
    const headers = { ...this.#commonHeaders(id), 'content-type': 'application/xml' };
    return { status: error.status, headers, body: errorDocument(error, '', id, this.#hostId) };
  }

  async #run(exchange: Exchange, trace: Trace): Promise<S3Response> {
    const services = this.#services;
    const { joining, reason = 'the site takes in what its peers have' } = this.#health.ready();
    if (joining) throw new SkerryError('Unavailable', reason, { details: { retryAfterMs: JOINING_RETRY_MS } });
    const headers = headerMap(exchange.rawHeaders);
    const request = new GatewayRequest(trace.id, exchange, headers, services.options.domains, services);
    trace.request = request;
    if (request.method === 'OPTIONS') return preflight(request, services.objects);
    const operation = route(request);
    trace.operation = operation.name;
    await request.authenticate(services.auth);
    await awaitToken(request, services, operation);
    await authorizeOperation(request, services, operation);
    const forwarded = await forward(this.#forwarding, request, operation);
    if (forwarded !== undefined) return forwarded;
    try {
      return await withToken(request, services, await operation.run(request, services));
    } catch (error) {
      throw await this.#hideAbsence(error, request, operation);
    }
  }

  /** Who may not list a bucket is not told whether a key exists (AWS: 403 instead of 404 without s3:ListBucket). */
  async #hideAbsence(error: unknown, request: GatewayRequest, operation: S3Operation): Promise<unknown> {
    if (operation.resource !== 'object' || !isSkerryError(error, 'NoSuchKey')) return error;
    if (request.method !== 'GET' && request.method !== 'HEAD') return error;
    const bucket = await request.bucketInfo();
    return isAllowed(request, this.#services, 's3:ListBucket', { bucket })
      ? error
      : s3Error('AccessDenied', undefined, { cause: error });
  }

  #commonHeaders(id: string): Record<string, string> {
    return { 'x-amz-request-id': id, 'x-amz-id-2': this.#hostId, server: SERVER };
  }

  async #send(exchange: Exchange, trace: Trace, response: S3Response): Promise<void> {
    trace.status = response.status;
    const cors = this.#corsHeaders(trace.request);
    const headers = { ...this.#commonHeaders(trace.id), ...response.headers, ...cors };
    try {
      trace.sentBytes = await exchange.respond({ ...response, headers });
    } finally {
      response.done?.();
    }
  }

  /** CORS headers go on every answer of a bucket that has rules, failures included. */
  #corsHeaders(request: GatewayRequest | undefined): Readonly<Record<string, string>> | undefined {
    const bucket = request?.knownBucket;
    if (request === undefined || bucket?.settings.cors === undefined || request.method === 'OPTIONS') return undefined;
    return corsHeaders(bucket, request);
  }

  async #fail(exchange: Exchange, trace: Trace, thrown: unknown): Promise<void> {
    const error = toS3Error(thrown);
    trace.error = error;
    if (exchange.answered) {
      // The head went out with another status: a broken connection is the only way left to say that the body is not whole.
      exchange.destroy();
      return;
    }
    try {
      await this.#send(exchange, trace, this.#errorResponse(exchange, trace.id, error));
    } catch (sendError) {
      exchange.destroy();
      if (!isSkerryError(sendError, 'Aborted')) trace.error = s3Error('InternalError', undefined, { cause: sendError });
    }
  }

  #errorResponse(exchange: Exchange, id: string, error: S3Error): S3Response {
    if (error.status === 304) return { status: 304, headers: error.headers };
    if (exchange.method === 'HEAD') {
      return { status: error.status, headers: { ...error.headers, 'content-type': 'application/xml' } };
    }
    const resource = exchange.target.split('?', 1)[0] ?? '';
    const body = errorDocument(error, resource, id, this.#hostId);
    return { status: error.status, headers: { ...error.headers, 'content-type': 'application/xml' }, body };
  }

  async #answerHealth(exchange: Exchange): Promise<void> {
    const what = exchange.target.slice(HEALTH_PREFIX.length).split('?', 1)[0];
    const { ready, reason, writesRefused } = this.#health.ready();
    const readyText = writesRefused === undefined ? 'ready' : `ready to read; writes are refused: ${writesRefused}`;
    const answers: Readonly<Record<string, readonly [good: boolean, text: string]>> = {
      live: [this.#health.live(), 'live'],
      ready: [ready, ready ? readyText : (reason ?? 'not ready')],
    };
    const answer = answers[what ?? ''];
    const status = answer === undefined ? 404 : answer[0] ? 200 : 503;
    const body = exchange.method === 'HEAD' ? undefined : `${answer?.[1] ?? 'unknown'}\n`;
    const headers = { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' };
    try {
      await exchange.respond(body === undefined ? { status, headers } : { status, headers, body });
    } catch (error) {
      this.#services.logger.debug({ err: error }, 'the health answer did not reach its asker');
    }
  }

  #log(exchange: Exchange, trace: Trace): void {
    const { logger, options, clock } = this.#services;
    const { error, request } = trace;
    const gone = isSkerryError(error?.cause, 'Aborted');
    if (error?.code === 'InternalError') {
      logger.error({ requestId: trace.id, operation: trace.operation, err: error.cause ?? error }, 'request failed');
    }
    if (!options.accessLog) return;
    const elapsedMs = clock.monotonicMs() - trace.startedMs;
    logger.info(
      {
        requestId: trace.id,
        remote: exchange.remoteAddress,
        method: exchange.method,
        path: request?.rawPath ?? '',
        query: request === undefined ? '' : redactQuery(request.rawQuery),
        operation: trace.operation,
        accessKeyId: request?.principal.accessKeyId,
        status: gone ? STATUS_CLIENT_GONE : trace.status,
        errorCode: error?.code,
        receivedBytes: exchange.receivedBytes,
        sentBytes: trace.sentBytes,
        elapsedMs: Math.round(elapsedMs * 1000) / 1000,
      },
      'request',
    );
  }
}
