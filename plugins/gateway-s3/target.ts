/** The bucket and key that an operation was routed with; without them the router is wrong, not the client. */
import type { S3Request } from './operation.ts';

export function bucketOf(request: S3Request): string {
  if (request.bucket === undefined) throw new TypeError('an operation on a bucket was routed without one');
  return request.bucket;
}

export function keyOf(request: S3Request): string {
  if (request.key === undefined) throw new TypeError('an operation on an object was routed without a key');
  return request.key;
}
