/** The bucket and key that an operation was routed with; without them the router is wrong, not the client. */
import type { ObjectRef } from '../../core/contracts/index.ts';
import { invalidArgument } from './errors.ts';
import type { S3Request } from './operation.ts';

export function bucketOf(request: S3Request): string {
  if (request.bucket === undefined) throw new TypeError('an operation on a bucket was routed without one');
  return request.bucket;
}

export function keyOf(request: S3Request): string {
  if (request.key === undefined) throw new TypeError('an operation on an object was routed without a key');
  return request.key;
}

/** The object or version that the request names. Throws InvalidArgument for an empty version id. */
export function objectRef(request: S3Request): ObjectRef {
  const bucket = bucketOf(request);
  const key = keyOf(request);
  const versionId = request.query.get('versionId');
  if (versionId === undefined) return { bucket, key };
  if (versionId === '') throw invalidArgument('versionId', '', 'Version id cannot be the empty string');
  return { bucket, key, versionId };
}
