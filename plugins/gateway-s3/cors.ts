/**
 * CORS at request time. The handler calls `preflight` for every OPTIONS, before authentication (a browser sends no
 * credentials with it, and a presigned query was signed for another method), and adds `corsHeaders` to every other response of
 * a bucket, errors included. The operations that set the rules are in operations/bucket-cors.ts.
 */
import type { BucketInfo, ObjectService } from '../../core/contracts/index.ts';
import { isSkerryError } from '../../core/contracts/index.ts';
import { findCorsRule, storedCorsRules, type CorsQuestion } from './cors-rules.ts';
import { s3Error } from './errors.ts';
import type { S3Response } from './operation.ts';

type Headers = Readonly<Record<string, string>>;

/** The part of a request that CORS looks at. */
export interface CorsRequest {
  readonly method: string;
  header(name: string): string | undefined;
}

const NOTHING: Headers = Object.freeze({});
/** A cache must not give one origin's answer to another, nor the answer without CORS headers to anybody. */
const VARY = 'Origin, Access-Control-Request-Headers, Access-Control-Request-Method';

/** Response headers that the bucket's CORS rules ask for; none when it has no rules. */
export function corsHeaders(info: BucketInfo, request: CorsRequest): Headers {
  const rules = storedCorsRules(info.settings.cors);
  if (rules.length === 0) return NOTHING;
  const origin = request.header('origin');
  if (origin === undefined) return { vary: VARY };
  // As S3 does: a client that names the method it asks for is answered for that one.
  const method = request.header('access-control-request-method') ?? request.method;
  return allowHeaders(info, { origin, method, headers: requestedHeaders(request) }) ?? { vary: VARY };
}

function requestedHeaders(request: CorsRequest): readonly string[] {
  const list = request.header('access-control-request-headers') ?? '';
  return list
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '');
}

function allowHeaders(info: BucketInfo, question: CorsQuestion): Headers | undefined {
  const found = findCorsRule(storedCorsRules(info.settings.cors), question);
  if (found === undefined) return undefined;
  const { rule, origin } = found;
  const anyone = origin === '*';
  return {
    'access-control-allow-origin': anyone ? '*' : question.origin,
    'access-control-allow-methods': rule.methods.join(', '),
    // Browsers refuse credentials for `*`, so S3 allows them for named origins only.
    ...(anyone ? {} : { 'access-control-allow-credentials': 'true' }),
    ...(question.headers.length === 0 ? {} : { 'access-control-allow-headers': question.headers.join(', ') }),
    ...(rule.exposeHeaders.length === 0 ? {} : { 'access-control-expose-headers': rule.exposeHeaders.join(', ') }),
    ...(rule.maxAgeSeconds === undefined ? {} : { 'access-control-max-age': String(rule.maxAgeSeconds) }),
    vary: VARY,
  };
}

/** OPTIONS /bucket[/key]: may the page at Origin send the request that it announces? Throws AccessForbidden or BadRequest. */
export async function preflight(
  request: CorsRequest & { readonly bucket?: string },
  objects: Pick<ObjectService, 'getBucket'>,
): Promise<S3Response> {
  const origin = request.header('origin');
  if (origin === undefined) throw s3Error('BadRequest', 'Insufficient information. Origin request header needed.');
  const method = request.header('access-control-request-method') ?? '';
  if (!/^[A-Z]+$/.test(method)) {
    throw s3Error('BadRequest', `Invalid Access-Control-Request-Method: ${method === '' ? 'null' : method}`);
  }
  if (request.bucket === undefined) throw s3Error('AccessForbidden', 'CORSResponse: Bucket not found');
  const info = await bucketOrForbidden(request.bucket, objects);
  if (storedCorsRules(info.settings.cors).length === 0) {
    throw s3Error('AccessForbidden', 'CORSResponse: CORS is not enabled for this bucket.');
  }
  const headers = allowHeaders(info, { origin, method, headers: requestedHeaders(request) });
  if (headers === undefined) {
    const message =
      'CORSResponse: This CORS request is not allowed. This is usually because the evaluation of Origin, request method / ' +
      'Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource’s CORS spec.';
    throw s3Error('AccessForbidden', message);
  }
  return { status: 200, headers: { ...headers, 'content-length': '0' } };
}

async function bucketOrForbidden(bucket: string, objects: Pick<ObjectService, 'getBucket'>): Promise<BucketInfo> {
  try {
    return await objects.getBucket(bucket);
  } catch (error) {
    if (isSkerryError(error, 'NoSuchBucket')) throw s3Error('AccessForbidden', 'CORSResponse: Bucket not found');
    throw error;
  }
}
