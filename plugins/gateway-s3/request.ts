/** From the request line and headers to an S3Request. Names are decoded exactly once; raw forms are kept for signatures. */
import type {
  Auth,
  Authenticated,
  BodySource,
  BucketInfo,
  Hashing,
  ObjectService,
  Principal,
} from '../../core/contracts/index.ts';
import { bodySource, bodyText } from './body.ts';
import { s3Error } from './errors.ts';
import type { Exchange } from './exchange-adapter.ts';
import type { S3Request, TextOptions } from './operation.ts';

/** S3's limit for keys, in bytes of UTF-8. */
export const MAX_KEY_BYTES = 1024;

export type HeaderMap = Readonly<Record<string, readonly string[]>>;
const NO_QUERY: ReadonlyMap<string, string> = new Map();

export interface Target {
  readonly rawPath: string;
  readonly rawQuery: string;
  readonly bucket?: string;
  /** The bucket, when the Host named it: signatures of version 2 cover it. */
  readonly virtualHostBucket?: string;
  readonly key?: string;
  readonly query: ReadonlyMap<string, string>;
}

function decode(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch (error) {
    throw s3Error('InvalidURI', undefined, { fields: { URI: text }, cause: error });
  }
}

/** Query parameters: `+` is a space here (and only here), the first value of a name wins. */
export function parseQuery(rawQuery: string): ReadonlyMap<string, string> {
  if (rawQuery === '') return NO_QUERY;
  const query = new Map<string, string>();
  for (const pair of rawQuery.split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const name = decode((equals < 0 ? pair : pair.slice(0, equals)).replaceAll('+', ' '));
    const value = equals < 0 ? '' : decode(pair.slice(equals + 1).replaceAll('+', ' '));
    if (!query.has(name)) query.set(name, value);
  }
  return query;
}

/** The bucket that a Host names below one of the configured base domains; otherwise the request is path style. */
export function bucketOfHost(host: string, domains: readonly string[]): string | undefined {
  if (domains.length === 0) return undefined;
  const name = host.replace(/:\d*$/, '').toLowerCase();
  for (const domain of domains) {
    const suffix = `.${domain.toLowerCase()}`;
    if (name.length > suffix.length && name.endsWith(suffix)) return name.slice(0, -suffix.length);
  }
  return undefined;
}

function splitPath(
  rawPath: string,
  hostBucket: string | undefined,
): { readonly bucket?: string; readonly rawKey: string } {
  if (hostBucket !== undefined) return { bucket: hostBucket, rawKey: rawPath.slice(1) };
  if (rawPath.length <= 1) return { rawKey: '' };
  const slash = rawPath.indexOf('/', 1);
  const rawBucket = slash < 0 ? rawPath.slice(1) : rawPath.slice(1, slash);
  const bucket = decode(rawBucket);
  if (bucket === '') throw s3Error('InvalidBucketName', undefined, { fields: { BucketName: '' } });
  return { bucket, rawKey: slash < 0 ? '' : rawPath.slice(slash + 1) };
}

/** Decoded and within S3's limit; used for keys wherever a client names one. */
export function checkedKey(key: string): string {
  if (key.length * 3 > MAX_KEY_BYTES) {
    const size = Buffer.byteLength(key);
    if (size > MAX_KEY_BYTES) {
      const fields = { Size: String(size), MaxSizeAllowed: String(MAX_KEY_BYTES) };
      throw s3Error('KeyTooLongError', undefined, { fields });
    }
  }
  return key;
}

/** A request target (`/bucket/key?query`, or with scheme and host before it, as proxies send). Throws InvalidURI, KeyTooLongError. */
export function parseTarget(target: string, host: string, domains: readonly string[]): Target {
  const origin = target.startsWith('/') ? target : (/^https?:\/\/[^/?#]*(.*)$/is.exec(target)?.[1] ?? target);
  const mark = origin.indexOf('?');
  const path = mark < 0 ? origin : origin.slice(0, mark);
  const rawQuery = mark < 0 ? '' : origin.slice(mark + 1);
  const rawPath = path === '' || path === '*' ? '/' : path;
  if (!rawPath.startsWith('/')) throw s3Error('InvalidURI', undefined, { fields: { URI: target } });
  const virtualHostBucket = bucketOfHost(host, domains);
  const { bucket, rawKey } = splitPath(rawPath, virtualHostBucket);
  const query = parseQuery(rawQuery);
  return {
    rawPath,
    rawQuery,
    query,
    ...(bucket === undefined ? undefined : { bucket }),
    ...(virtualHostBucket === undefined ? undefined : { virtualHostBucket }),
    ...(bucket === undefined || rawKey === '' ? undefined : { key: checkedKey(decode(rawKey)) }),
  };
}

/** Lower-case names; values as received, one for each header line. */
export function headerMap(rawHeaders: readonly string[]): HeaderMap {
  const map = Object.create(null) as Record<string, string[]>;
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? '').toLowerCase();
    const value = rawHeaders[at + 1] ?? '';
    const seen = map[name];
    if (seen === undefined) map[name] = [value];
    else seen.push(value);
  }
  return map;
}

// eslint-disable-next-line no-control-regex -- asks for anything but ASCII
const NOT_ASCII = /[^\x00-\x7f]/;

/** HTTP gives header bytes as latin1; clients mean UTF-8. What is no UTF-8 stays latin1. */
function utf8Header(value: string): string {
  if (!NOT_ASCII.test(value)) return value;
  const text = Buffer.from(value, 'latin1').toString('utf8');
  return text.includes('\ufffd') ? value : text;
}

export interface RequestDeps {
  readonly objects: ObjectService;
  readonly hashing: Hashing;
}

const ANONYMOUS: Principal = Object.freeze({
  anonymous: true,
  userId: 'anonymous',
  displayName: 'anonymous',
  account: '000000000000',
  arn: 'arn:aws:iam::000000000000:anonymous',
});
const NOT_YET: Authenticated = {
  principal: ANONYMOUS,
  payload: { kind: 'unsigned' },
  scheme: 'anonymous',
};

export class GatewayRequest implements S3Request {
  readonly id: string;
  readonly method: string;
  readonly headers: HeaderMap;
  readonly host: string;
  readonly rawPath: string;
  readonly rawQuery: string;
  readonly bucket?: string;
  readonly key?: string;
  readonly query: ReadonlyMap<string, string>;
  readonly exchange: Exchange;
  authenticated: Authenticated = NOT_YET;
  readonly #deps: RequestDeps;
  readonly #virtualHostBucket: string | undefined;
  #bucketInfo: Promise<BucketInfo> | undefined;
  #knownBucket: BucketInfo | undefined;
  #bodyTaken = false;

  /** Throws what parseTarget throws. */
  constructor(id: string, exchange: Exchange, headers: HeaderMap, domains: readonly string[], deps: RequestDeps) {
    this.id = id;
    this.method = exchange.method;
    this.exchange = exchange;
    this.headers = headers;
    this.host = headers['host']?.[0] ?? '';
    this.#deps = deps;
    const target = parseTarget(exchange.target, this.host, domains);
    this.rawPath = target.rawPath;
    this.rawQuery = target.rawQuery;
    this.query = target.query;
    this.#virtualHostBucket = target.virtualHostBucket;
    if (target.bucket !== undefined) this.bucket = target.bucket;
    if (target.key !== undefined) this.key = target.key;
  }

  get principal(): Principal {
    return this.authenticated.principal;
  }

  get secure(): boolean {
    return this.exchange.secure;
  }

  get remoteAddress(): string {
    return this.exchange.remoteAddress;
  }

  get signal(): AbortSignal {
    return this.exchange.signal;
  }

  header(name: string): string | undefined {
    const values = this.headers[name];
    if (values === undefined) return undefined;
    const [only] = values;
    return utf8Header(values.length === 1 && only !== undefined ? only : values.join(','));
  }

  /** Bytes of the body as sent, framing included. */
  get sentLength(): number | undefined {
    const text = this.headers['content-length']?.[0];
    return text === undefined ? undefined : Number(text);
  }

  get contentLength(): number | undefined {
    const { payload } = this.authenticated;
    return payload.kind === 'framed' ? payload.decodedLength : this.sentLength;
  }

  /** True when the request has a body at all. */
  get hasBody(): boolean {
    return this.headers['transfer-encoding'] !== undefined || (this.sentLength ?? 0) > 0;
  }

  async authenticate(auth: Auth): Promise<void> {
    this.authenticated = await auth.authenticate({
      method: this.method,
      rawPath: this.rawPath,
      rawQuery: this.rawQuery,
      headers: this.headers,
      remoteAddress: this.remoteAddress,
      secure: this.secure,
      ...(this.#virtualHostBucket === undefined ? undefined : { virtualHostBucket: this.#virtualHostBucket }),
    });
  }

  #takeBody(): void {
    if (this.#bodyTaken) throw new TypeError('a request body is read once');
    this.#bodyTaken = true;
  }

  body(): Promise<BodySource> {
    this.#takeBody();
    return bodySource(this);
  }

  text(limitBytes: number, options: TextOptions = {}): Promise<string> {
    this.#takeBody();
    return bodyText(this, limitBytes, this.#deps.hashing, options);
  }

  /** The bucket, once this request has read it. */
  get knownBucket(): BucketInfo | undefined {
    return this.#knownBucket;
  }

  bucketInfo(): Promise<BucketInfo> {
    if (this.bucket === undefined) return Promise.reject(new TypeError('no bucket in this request'));
    this.#bucketInfo ??= this.#readBucket(this.bucket);
    return this.#bucketInfo;
  }

  async #readBucket(bucket: string): Promise<BucketInfo> {
    this.#knownBucket = await this.#deps.objects.getBucket(bucket);
    return this.#knownBucket;
  }
}
