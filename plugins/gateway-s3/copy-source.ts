/** `x-amz-copy-source`: which version a copy reads, and whether the caller may. Serves CopyObject and UploadPartCopy. */
import type { ObjectRef } from '../../core/contracts/index.ts';
import { requireAllowed } from './authorize.ts';
import { invalidArgument } from './errors.ts';
import type { S3Request, S3Services } from './operation.ts';

const HEADER = 'x-amz-copy-source';

/** `[/]bucket/key[?versionId=id]`, percent-encoded. Decoded once; `+` is a plus. Throws InvalidArgument. */
export function parseCopySource(value: string): ObjectRef {
  const [, path = '', id] = /^\/?([^?]*(?:\?(?!versionId=)[^?]*)*)(?:\?versionId=(.*))?$/s.exec(value) ?? [];
  const decoded = decodeOnce(path, value);
  const slash = decoded.indexOf('/');
  const bucket = decoded.slice(0, Math.max(slash, 0));
  const key = decoded.slice(slash + 1);
  if (bucket === '' || key === '' || bucket.startsWith('arn:')) {
    throw invalidArgument(HEADER, value, 'Copy Source must mention the source bucket and key: sourcebucket/sourcekey');
  }
  if (id === undefined) return { bucket, key };
  if (id === '') throw invalidArgument(HEADER, value, 'Version id cannot be the empty string');
  return { bucket, key, versionId: decodeOnce(id, value) };
}

function decodeOnce(text: string, whole: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalidArgument(HEADER, whole, 'The copy source is not percent-encoded UTF-8.');
  }
}

/** The source of this request, once the caller may read it. Throws NoSuchBucket or AccessDenied too. */
export async function allowedCopySource(request: S3Request, services: S3Services): Promise<ObjectRef> {
  const source = parseCopySource(request.header(HEADER) ?? '');
  const bucket = await services.objects.getBucket(source.bucket);
  const action = source.versionId === undefined ? 's3:GetObject' : 's3:GetObjectVersion';
  requireAllowed(request, services, action, { bucket, key: source.key });
  return source;
}
