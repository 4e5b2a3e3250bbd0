/** `x-amz-copy-source`: which version a copy reads, and whether the caller may. Serves CopyObject and UploadPartCopy. */
import { isSkerryError, type ObjectRef, type VersionInfo } from '../../core/contracts/index.ts';
import { existingTags, isAllowed, requireAllowed } from './authorize.ts';
import { checkCopyConditions } from './conditions.ts';
import { invalidArgument, s3Error } from './errors.ts';
import type { S3Request, S3Services } from './operation.ts';

const HEADER = 'x-amz-copy-source';
/** AWS's limit for a copy in one request, and for one part. */
export const MAX_COPY_BYTES = 5 * 1024 ** 3;

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
  const tags = await existingTags(request, services, bucket, source);
  requireAllowed(request, services, action, { bucket, key: source.key, tags });
  return source;
}

/** For the engine to call with the source it found: conditions and size. A ranged part copy passes `Infinity`. */
export function checkCopySource(
  request: S3Request,
  { content, modifiedAtMs }: VersionInfo,
  limitBytes: number = MAX_COPY_BYTES,
): void {
  if (content === undefined) throw markerSource();
  checkCopyConditions(request, { etag: content.etag, modifiedAtMs });
  if (content.size > limitBytes) {
    const message = `The specified copy source is larger than the maximum allowable size for a copy source: ${limitBytes}`;
    throw s3Error('InvalidRequest', message);
  }
}

function markerSource(cause?: unknown): Error {
  const message = 'The source of a copy request may not specifically refer to a delete marker by version id.';
  return s3Error('InvalidRequest', message, { cause });
}

/** The engine's refusal in S3's words; that a source is absent is told to those who may list its bucket. */
export async function copyFailure(
  error: unknown,
  request: S3Request,
  services: S3Services,
  source: ObjectRef,
): Promise<unknown> {
  if (isSkerryError(error, 'MethodNotAllowed')) return markerSource(error);
  if (!isSkerryError(error, 'NoSuchKey')) return error;
  const bucket = await services.objects.getBucket(source.bucket);
  const mayList = isAllowed(request, services, 's3:ListBucket', { bucket });
  return mayList ? error : s3Error('AccessDenied', undefined, { cause: error });
}
