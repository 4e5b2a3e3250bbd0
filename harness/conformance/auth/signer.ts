/**
 * A client's side of SigV4, written from AWS's description and sharing nothing with any plugin, so that the two check each other.
 * Source: "Authenticating Requests (AWS Signature Version 4)", Amazon S3 API Reference.
 */
import { createHash, createHmac } from 'node:crypto';

import type { AuthRequest, Identity } from '../../../core/contracts/index.ts';

/** A request before it is signed; every part as a person would write it, nothing encoded. */
export interface PlainRequest {
  readonly method?: string;
  /** Decoded path. */
  readonly path?: string;
  readonly query?: Readonly<Record<string, string>>;
  /** Lower-case names; `host` is added. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly payloadHash?: string;
  readonly body?: Uint8Array;
}

export interface SigningOptions {
  readonly who: Pick<Identity, 'accessKeyId' | 'secretKey'>;
  readonly timeMs: number;
  readonly region?: string;
  readonly service?: string;
  readonly terminator?: string;
  /** Day of the credential scope, `YYYYMMDD`; default: that of `timeMs`. */
  readonly scopeDate?: string;
  /** Headers left out of the signature. */
  readonly unsigned?: readonly string[];
  /** Presigned: seconds of validity. */
  readonly expiresS?: number | string;
}

/** What signed chunks continue from. */
export interface Seed {
  readonly key: Buffer;
  readonly amzDate: string;
  readonly scope: string;
  readonly signature: string;
}

export interface SignedRequest {
  readonly request: AuthRequest;
  readonly seed: Seed;
}

export const sha256 = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex');
export const EMPTY_SHA256 = sha256('');
const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
const order = (a: readonly [string, string], b: readonly [string, string]): number => {
  if (a[0] !== b[0]) return a[0] < b[0] ? -1 : 1;
  return a[1] < b[1] ? -1 : 1;
};

export function amzDateOf(timeMs: number): string {
  return new Date(timeMs).toISOString().replace(/[-:]|\.\d{3}/g, '');
}

type HeaderLists = Readonly<Record<string, readonly string[]>>;

interface Draft {
  readonly method: string;
  readonly rawPath: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: HeaderLists;
  readonly payloadHash: string;
}

function listsOf(headers: PlainRequest['headers'] = {}): HeaderLists {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, typeof value === 'string' ? [value] : value]),
  );
}

function scopeOf(options: SigningOptions): string {
  const { timeMs, region = 'us-east-1', service = 's3', terminator = 'aws4_request' } = options;
  return `${options.scopeDate ?? amzDateOf(timeMs).slice(0, 8)}/${region}/${service}/${terminator}`;
}

function keyOf(secretKey: string, scope: string): Buffer {
  return scope.split('/').reduce<Buffer>((key, part) => hmac(key, part), Buffer.from(`AWS4${secretKey}`));
}

function signedNames(headers: HeaderLists, { unsigned = [] }: SigningOptions): readonly string[] {
  return Object.keys(headers)
    .filter((name) => !unsigned.includes(name))
    .sort();
}

function queryText(query: Readonly<Record<string, string>>): string {
  return Object.entries(query)
    .map(([name, value]): [string, string] => [encode(name), encode(value)])
    .sort(order)
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
}

function signDraft(draft: Draft, names: readonly string[], options: SigningOptions): Seed {
  const tidy = (value: string): string => value.replace(/ +/g, ' ').replace(/^ | $/g, '');
  const lines = names.map((name) => `${name}:${(draft.headers[name] ?? []).map(tidy).join(',')}\n`).join('');
  const canonical = [
    draft.method,
    draft.rawPath,
    queryText(draft.query),
    lines,
    names.join(';'),
    draft.payloadHash,
  ].join('\n');
  const amzDate = amzDateOf(options.timeMs);
  const scope = scopeOf(options);
  const key = keyOf(options.who.secretKey, scope);
  const text = `AWS4-HMAC-SHA256\n${amzDate}\n${scope}\n${sha256(Buffer.from(canonical, 'latin1'))}`;
  return { key, amzDate, scope, signature: hmac(key, text).toString('hex') };
}

function draftOf(plain: PlainRequest, more: HeaderLists, payloadHash: string): Draft {
  const { method = 'GET', path = '/bucket/key', query = {} } = plain;
  const headers = { host: ['s3.example.com'], ...listsOf(plain.headers), ...more };
  return { method, rawPath: path.split('/').map(encode).join('/'), query, headers, payloadHash };
}

function requestOf({ method, rawPath, query, headers }: Draft, extra: string, authorization?: string): AuthRequest {
  const text = queryText(query);
  return {
    method,
    rawPath,
    rawQuery: [text, extra].filter((part) => part !== '').join('&'),
    headers: authorization === undefined ? headers : { ...headers, authorization: [authorization] },
    remoteAddress: '192.0.2.7',
    secure: false,
  };
}

/** Signed in the Authorization header. */
export function signHeader(plain: PlainRequest, options: SigningOptions): SignedRequest {
  const payloadHash = plain.payloadHash ?? sha256(plain.body ?? '');
  const more = { 'x-amz-content-sha256': [payloadHash], 'x-amz-date': [amzDateOf(options.timeMs)] };
  const draft = draftOf(plain, more, payloadHash);
  const names = signedNames(draft.headers, options);
  const seed = signDraft(draft, names, options);
  const credential = `${options.who.accessKeyId}/${seed.scope}`;
  const authorization = `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${names.join(';')}, Signature=${seed.signature}`;
  return { request: requestOf(draft, '', authorization), seed };
}

/** Signed in the query. */
export function presign(plain: PlainRequest, options: SigningOptions): SignedRequest {
  const draft = draftOf(plain, {}, plain.payloadHash ?? 'UNSIGNED-PAYLOAD');
  const names = signedNames(draft.headers, options);
  const query = {
    ...draft.query,
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': `${options.who.accessKeyId}/${scopeOf(options)}`,
    'X-Amz-Date': amzDateOf(options.timeMs),
    'X-Amz-Expires': String(options.expiresS ?? 3600),
    'X-Amz-SignedHeaders': names.join(';'),
  };
  const signing = { ...draft, query };
  const seed = signDraft(signing, names, options);
  return { request: requestOf(signing, `X-Amz-Signature=${seed.signature}`), seed };
}

/** An aws-chunked body. */
export interface Framing {
  readonly chunks: readonly Uint8Array[];
  /** Absent: unsigned chunks. */
  readonly seed?: Seed;
  /** Absent: no trailers, and no line for them. */
  readonly trailers?: Readonly<Record<string, string>>;
}

export function frame({ chunks, seed, trailers }: Framing): Buffer {
  let previous = seed?.signature ?? '';
  const sign = (kind: string, hashed: string): string => {
    if (seed === undefined) return '';
    previous = hmac(
      seed.key,
      `AWS4-HMAC-SHA256-${kind}\n${seed.amzDate}\n${seed.scope}\n${previous}\n${hashed}`,
    ).toString('hex');
    return previous;
  };
  const pieces: Uint8Array[] = [];
  for (const chunk of [...chunks, new Uint8Array(0)]) {
    const signature = sign('PAYLOAD', `${EMPTY_SHA256}\n${sha256(chunk)}`);
    const extension = seed === undefined ? '' : `;chunk-signature=${signature}`;
    pieces.push(Buffer.from(`${chunk.length.toString(16)}${extension}\r\n`), chunk);
    if (chunk.length > 0) pieces.push(Buffer.from('\r\n'));
  }
  pieces.push(Buffer.from(trailerText(trailers, sign)));
  return Buffer.concat(pieces);
}

function trailerText(trailers: Framing['trailers'], sign: (kind: string, hashed: string) => string): string {
  if (trailers === undefined) return '\r\n';
  const lines = Object.entries(trailers);
  const signature = sign('TRAILER', sha256(lines.map(([name, value]) => `${name}:${value}\n`).join('')));
  const signatureLine = signature === '' ? '' : `x-amz-trailer-signature:${signature}\r\n`;
  return `${lines.map(([name, value]) => `${name}:${value}\r\n`).join('')}${signatureLine}\r\n`;
}
