/**
 * Writes of a replica that hands them to the primary: the client was authenticated and authorised here; its request goes on to the primary's S3 endpoint,
 * signed anew with the client's own key, so that the primary judges it as any other. Its answer is the client's answer.
 */
import { isSkerryError, SkerryError } from '../../core/contracts/index.ts';
import type { Auth, Logger, ObjectService, SiteId, WriteRouting } from '../../core/contracts/index.ts';
import type { IncomingAnswer, OutgoingRequest } from './forward-adapter.ts';
import type { S3Operation, S3Response } from './operation.ts';
import { parseQuery, type GatewayRequest, type HeaderMap } from './request.ts';

export interface ForwardDeps {
  readonly siteId: SiteId;
  readonly writers: WriteRouting;
  readonly auth: Auth;
  readonly objects: ObjectService;
  readonly logger: Logger;
  readonly send: (request: OutgoingRequest) => Promise<IncomingAnswer>;
}

/** Names the site that hands a request on; one that was handed on once is never handed on again. */
const FORWARDED_BY = 'x-skerry-forwarded-by';
const FORWARDED_TO = 'x-skerry-forwarded-to';
const CAUSALITY = 'x-skerry-causality';
/** How long the answer to a write waits until this site shows the write; the client has its token either way. */
const READ_YOUR_WRITES_MS = 5000;
const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD';

/** Uploads in flight are where writes are. */
const READS_OF_UPLOADS: ReadonlySet<string> = new Set(['ListParts', 'ListMultipartUploads']);
/** Of this connection or of the client's signature; the rest goes on as it came. */
const OWN_REQUEST_HEADERS: ReadonlySet<string> = new Set([
  'authorization',
  'connection',
  'content-length',
  'date',
  'expect',
  'host',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'x-amz-content-sha256',
  'x-amz-date',
  'x-amz-decoded-content-length',
  'x-amz-security-token',
  'x-amz-trailer',
]);
const OWN_ANSWER_HEADERS: ReadonlySet<string> = new Set([
  'connection',
  'date',
  'keep-alive',
  'server',
  'transfer-encoding',
  'x-amz-id-2',
  'x-amz-request-id',
]);
/** Signatures in the query, by version. */
const QUERY_SIGNATURES: Readonly<Record<string, ReadonlySet<string>>> = {
  'sigv4-query': new Set([
    'X-Amz-Algorithm',
    'X-Amz-Content-Sha256',
    'X-Amz-Credential',
    'X-Amz-Date',
    'X-Amz-Expires',
    'X-Amz-Security-Token',
    'X-Amz-Signature',
    'X-Amz-SignedHeaders',
  ]),
  'sigv2-query': new Set(['AWSAccessKeyId', 'Expires', 'Signature']),
};

/** The primary's answer; `undefined` for what is decided here. Throws `Unavailable` when the primary is out of reach. */
export async function forward(
  deps: ForwardDeps,
  request: GatewayRequest,
  operation: S3Operation,
): Promise<S3Response | undefined> {
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  if (isRead && !READS_OF_UPLOADS.has(operation.name)) return undefined;
  const primary = await deps.writers.forwardTo();
  if (primary === undefined) return undefined;
  if (request.header(FORWARDED_BY) !== undefined)
    throw new SkerryError('Unavailable', `site ${deps.siteId} is not the primary: ask again`, { details: primary });
  const outgoing = await outgoingRequest(deps, request, new URL(primary.url));
  const answer = await send(deps, outgoing, primary);
  try {
    if (!isRead && answer.status < 300) await untilShown(deps, request, answer.headers[CAUSALITY]);
  } catch (error) {
    answer.close();
    throw error;
  }
  return responseOf(answer, primary.site);
}

async function send(
  { send: sendOut, logger }: ForwardDeps,
  outgoing: OutgoingRequest,
  { site, url }: { readonly site: SiteId; readonly url: string },
): Promise<IncomingAnswer> {
  try {
    return await sendOut(outgoing);
  } catch (error) {
    if (isSkerryError(error) || error instanceof TypeError) throw error;
    outgoing.signal.throwIfAborted();
    logger.warn({ err: error, primary: site, url }, 'a write could not be handed to the primary');
    throw new SkerryError('Unavailable', `writes go to the primary ${site}, which does not answer at ${url}`, {
      cause: error,
      details: { primary: site, primaryUrl: url },
    });
  }
}

async function outgoingRequest(
  { siteId, auth }: ForwardDeps,
  request: GatewayRequest,
  origin: URL,
): Promise<OutgoingRequest> {
  const rawPath = pathOf(request);
  const rawQuery = withoutSignature(request);
  const { headers: ofBody, body } = bodyOf(request);
  const kept = Object.entries(request.headers).filter(([name]) => !OWN_REQUEST_HEADERS.has(name));
  const headers: Record<string, readonly string[]> = {
    ...Object.fromEntries(kept),
    host: [origin.host],
    [FORWARDED_BY]: [siteId],
  };
  for (const [name, value] of Object.entries(ofBody)) headers[name] = [value];
  const { method, principal, signal } = request;
  // Length is between the two of us: a connection may frame the body as it likes.
  const { 'content-length': length, ...signable } = headers;
  const signed = await auth.sign({ method, rawPath, rawQuery, headers: signable }, principal);
  return {
    origin,
    method,
    path: rawQuery === '' ? rawPath : `${rawPath}?${rawQuery}`,
    headers: { ...flat(signable), ...(length === undefined ? {} : { 'content-length': length[0] ?? '' }), ...signed },
    body,
    signal,
  };
}

/** One value as text, several as lines of their own. */
const flat = (headers: HeaderMap): Record<string, string | string[]> =>
  Object.fromEntries(
    Object.entries(headers).map(([name, [first = '', ...more]]) => [
      name,
      more.length === 0 ? first : [first, ...more],
    ]),
  );

/** Path style, whatever the client used. */
function pathOf({ bucket, key }: GatewayRequest): string {
  if (bucket === undefined) return '/';
  return `/${[bucket, ...(key === undefined ? [] : key.split('/'))].map(encode).join('/')}`;
}

/** RFC 3986: everything but unreserved characters. */
function encode(segment: string): string {
  return encodeURIComponent(segment).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

function withoutSignature({ rawQuery, authenticated }: GatewayRequest): string {
  const names = QUERY_SIGNATURES[authenticated.scheme];
  if (names === undefined) return rawQuery;
  const isKept = (pair: string): boolean => ![...parseQuery(pair).keys()].some((name) => names.has(name));
  return rawQuery.split('&').filter(isKept).join('&');
}

interface Body {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: AsyncIterable<Uint8Array> | undefined;
}

/**
 * What the client signed of its body is verified here while it passes, where the primary cannot do it: a framed body is framed anew without signatures
 * and ends there only after it ended well here.
 */
function bodyOf(request: GatewayRequest): Body {
  const { payload } = request.authenticated;
  const hash = payload.kind === 'sha256' ? payload.hex : UNSIGNED_PAYLOAD;
  const length = request.sentLength;
  if (payload.kind === 'framed') return framed(request, payload);
  if (!request.hasBody) {
    const isEmpty = request.method === 'PUT' || request.method === 'POST';
    return {
      headers: { 'x-amz-content-sha256': hash, ...(isEmpty ? { 'content-length': '0' } : {}) },
      body: undefined,
    };
  }
  const headers = {
    'x-amz-content-sha256': hash,
    ...(length === undefined ? {} : { 'content-length': String(length) }),
  };
  return { headers, body: request.exchange.body() };
}

type FramedPayload = Extract<GatewayRequest['authenticated']['payload'], { readonly kind: 'framed' }>;

function framed(request: GatewayRequest, payload: FramedPayload): Body {
  const announced = (request.header('x-amz-trailer') ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '' && name.toLowerCase() !== 'x-amz-trailer-signature');
  return {
    headers: {
      'x-amz-content-sha256': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
      ...(announced.length === 0 ? {} : { 'x-amz-trailer': announced.join(',') }),
      ...(payload.decodedLength === undefined ? {} : { 'x-amz-decoded-content-length': String(payload.decodedLength) }),
    },
    body: frames(payload.decode(request.exchange.body()), () => payload.trailers()),
  };
}

async function* frames(
  pieces: AsyncIterable<Uint8Array>,
  trailers: () => Readonly<Record<string, string>>,
): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    if (piece.length === 0) continue;
    yield Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')]);
  }
  const lines = Object.entries(trailers()).map(([name, value]) => `${name}:${value}\r\n`);
  yield Buffer.from(`0\r\n${lines.join('')}\r\n`, 'latin1');
}

/** The write is done, whatever comes of this: a client that reads here next should find it. */
async function untilShown(
  { objects, logger }: ForwardDeps,
  { bucket, key, signal, id }: GatewayRequest,
  token: string | undefined,
): Promise<void> {
  if (token === undefined) return;
  const scope = bucket === undefined ? {} : { bucket, ...(key === undefined ? {} : { key }) };
  try {
    await objects.waitFor(token, scope, { timeoutMs: READ_YOUR_WRITES_MS, signal });
  } catch (error) {
    if (!isSkerryError(error, 'Unavailable')) throw error;
    logger.debug({ err: error, requestId: id }, 'a write at the primary is not here yet');
  }
}

function responseOf(answer: IncomingAnswer, site: SiteId): S3Response {
  const { status, body } = answer;
  const kept = Object.entries(answer.headers).filter(([name]) => !OWN_ANSWER_HEADERS.has(name));
  const headers = { ...Object.fromEntries(kept), [FORWARDED_TO]: site };
  return { status, headers, body, done: () => answer.close() };
}
