/**
 * Causal reads over HTTP: `x-skerry-causality` on the answer to a write is a token; sent back to any site, it makes the request wait for
 * a state that includes the write, or be refused with 503 and Retry-After.
 */
import type { CausalScope } from '../../core/contracts/index.ts';
import { parseCopySource } from './copy-source.ts';
import type { S3Operation, S3Request, S3Response, S3Services } from './operation.ts';

const HEADER = 'x-skerry-causality';

/** Operations whose answer is made of all objects under a prefix. */
const LISTINGS: ReadonlySet<string> = new Set(['ListObjects', 'ListObjectsV2', 'ListObjectVersions', 'ListConflicts']);

/** Waits when the request brings a token. Throws InvalidArgument for one that no site made, Unavailable when it takes too long. */
export async function awaitToken(request: S3Request, services: S3Services, operation: S3Operation): Promise<void> {
  const token = request.header(HEADER);
  if (token === undefined) return;
  for (const scope of scopesOf(request, operation))
    await services.objects.waitFor(token, scope, { signal: request.signal });
}

/** What the request reads: its object or listing, and the source of a copy. */
function scopesOf(request: S3Request, operation: S3Operation): readonly CausalScope[] {
  const source = request.header('x-amz-copy-source');
  return [targetScope(request, operation), ...(source === undefined ? [] : [objectScope(parseCopySource(source))])];
}

function targetScope({ bucket, key, query }: S3Request, { name }: S3Operation): CausalScope {
  if (bucket === undefined) return {};
  if (key === undefined) return LISTINGS.has(name) ? { bucket, prefix: query.get('prefix') ?? '' } : { bucket };
  const versionId = query.get('versionId');
  return objectScope({ bucket, key, ...(versionId === undefined ? {} : { versionId }) });
}

/** A version that is named is never another one: it is there, or its read is refused. */
function objectScope(ref: { readonly bucket: string; readonly key: string; readonly versionId?: string }): CausalScope {
  return ref.versionId === undefined ? { bucket: ref.bucket, key: ref.key } : { bucket: ref.bucket };
}

/** Every write is answered with a token; operations on objects make their own. */
export async function withToken(request: S3Request, services: S3Services, response: S3Response): Promise<S3Response> {
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  if (isRead || response.status >= 300 || response.headers[HEADER] !== undefined) return response;
  return { ...response, headers: { ...response.headers, [HEADER]: await services.objects.causality() } };
}
