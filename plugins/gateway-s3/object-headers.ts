/** Headers to a version's content and back. Names and limits: Amazon S3 User Guide, "Working with object metadata". */
import type {
  ObjectChecksum,
  VersionContent,
  VersionInfo,
  VersionSettings,
  Versioning,
  WriteResult,
} from '../../core/contracts/index.ts';
import { checkAclHeaders } from './acl.ts';
import { requireAllowed } from './authorize.ts';
import { invalidArgument, s3Error } from './errors.ts';
import type { S3Request, S3Services } from './operation.ts';
import { readTaggingHeader } from './tags.ts';

/** Kept with the object and given back as they are. */
export const STANDARD_HEADERS = [
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-type',
  'expires',
  'x-amz-website-redirect-location',
] as const;
export const DEFAULT_CONTENT_TYPE = 'binary/octet-stream';
const DEFAULT_STORAGE_CLASS = 'STANDARD';
const META = 'x-amz-meta-';
/** Names and values of user metadata together, bytes of UTF-8. */
const MAX_METADATA_BYTES = 2048;

/** Labels that objects may carry; all are served alike. Archive classes, whose objects would need a restore before a read, are refused. */
const STORAGE_CLASSES: ReadonlySet<string> = new Set([
  'STANDARD',
  'REDUCED_REDUNDANCY',
  'STANDARD_IA',
  'ONEZONE_IA',
  'INTELLIGENT_TIERING',
  'GLACIER_IR',
]);

const UNSUPPORTED_HEADERS: Readonly<Record<string, string>> = {
  'x-amz-server-side-encryption': 'Server-side encryption is not supported; encrypt the volume or the object.',
  'x-amz-server-side-encryption-customer-algorithm': 'Encryption with customer keys is not supported.',
  'x-amz-write-offset-bytes': 'Appending to an object is not supported.',
};

/** Throws NotImplemented where accepting a header would promise what is not done. */
export function refuseUnsupported(request: S3Request): void {
  for (const name in UNSUPPORTED_HEADERS) {
    if (request.headers[name] === undefined) continue;
    throw s3Error('NotImplemented', UNSUPPORTED_HEADERS[name], { fields: { Header: name } });
  }
}

/** `aws-chunked` says how the request was framed, not what the object is. */
function withoutChunked(encoding: string): string {
  if (!encoding.includes('aws-chunked')) return encoding;
  const kept = encoding.split(',').map((one) => one.trim());
  return kept.filter((one) => one !== '' && one !== 'aws-chunked').join(',');
}

/** The standard headers of a write. */
export function standardHeaders(request: S3Request): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const name of STANDARD_HEADERS) {
    const value = request.header(name);
    if (value === undefined) continue;
    const kept = name === 'content-encoding' ? withoutChunked(value) : value;
    if (kept !== '') headers[name] = kept;
  }
  headers['content-type'] ??= DEFAULT_CONTENT_TYPE;
  const redirect = headers['x-amz-website-redirect-location'];
  if (redirect !== undefined && !/^(\/|https?:\/\/)/.test(redirect)) {
    throw s3Error(
      'InvalidArgument',
      'The website redirect location must have a prefix of ‘http://’ or ‘https://’ or ‘/’.',
    );
  }
  return headers;
}

// eslint-disable-next-line no-control-regex -- asks for anything that a header field cannot carry as it is
const NOT_PRINTABLE = /[^\x20-\x7e]/;
const ENCODED_WORD = /=\?utf-8\?([bq])\?([^?]*)\?=/gi;

function decodeWord(kind: string, text: string): string {
  if (kind.toLowerCase() === 'b') return Buffer.from(text, 'base64').toString('utf8');
  const bytes = text
    .replaceAll('_', ' ')
    .replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

/** RFC 2047 encoded words become text, so that the limit counts and copies carry what was meant. */
function decodeMetadata(value: string): string {
  if (!value.includes('=?')) return value;
  const joined = value.replace(/(\?=)\s+(=\?)/g, '$1$2');
  return joined.replace(ENCODED_WORD, (_, kind: string, text: string) => decodeWord(kind, text));
}

/** User metadata, as RFC 2047 when it is not plain ASCII: header fields carry nothing else safely. */
function encodeMetadata(value: string): string {
  return NOT_PRINTABLE.test(value) ? `=?UTF-8?B?${Buffer.from(value).toString('base64')}?=` : value;
}

/** A stored or requested text as a header value: UTF-8 bytes in node's latin1 form, control characters refused. */
export function headerValue(value: string): string {
  if (!NOT_PRINTABLE.test(value)) return value;
  // eslint-disable-next-line no-control-regex -- the control characters are what must not pass
  if (/[\x00-\x08\x0a-\x1f\x7f]/.test(value))
    throw invalidArgument('header', '', 'A header value must not hold control characters.');
  return Buffer.from(value).toString('latin1');
}

/** User metadata of a write. Throws MetadataTooLarge. */
export function userMetadata(request: S3Request): Record<string, string> {
  const metadata: Record<string, string> = {};
  let total = 0;
  for (const name in request.headers) {
    if (!name.startsWith(META)) continue;
    const key = name.slice(META.length);
    const value = decodeMetadata(request.header(name) ?? '');
    total += Buffer.byteLength(key) + Buffer.byteLength(value);
    Object.defineProperty(metadata, key, { value, enumerable: true, configurable: true, writable: true });
  }
  if (total > MAX_METADATA_BYTES) {
    throw s3Error('MetadataTooLarge', undefined, {
      fields: { Size: String(total), MaxSizeAllowed: String(MAX_METADATA_BYTES) },
    });
  }
  return metadata;
}

/** The storage class that a write names, if any. Throws InvalidStorageClass. */
export function requestedStorageClass(request: S3Request): string | undefined {
  const name = request.header('x-amz-storage-class');
  if (name === undefined || STORAGE_CLASSES.has(name)) return name;
  throw s3Error('InvalidStorageClass', undefined, { fields: { StorageClassRequested: name } });
}

/** Everything of a new object that headers say, apart from its body. */
export interface WriteIntent {
  readonly headers: Record<string, string>;
  readonly metadata: Record<string, string>;
  readonly storageClass: string;
  readonly settings?: VersionSettings;
}

/** Tags of a write, which need a permission of their own. */
export function taggingSetting(
  request: S3Request,
  services: S3Services,
  bucket: Parameters<typeof requireAllowed>[3],
): VersionSettings | undefined {
  const tagging = request.header('x-amz-tagging');
  if (tagging === undefined) return undefined;
  const tags = readTaggingHeader(tagging);
  requireAllowed(request, services, 's3:PutObjectTagging', bucket);
  return Object.keys(tags).length === 0 ? undefined : { tags };
}

/** Headers of a put or of CreateMultipartUpload. */
export async function writeIntent(request: S3Request, services: S3Services): Promise<WriteIntent> {
  refuseUnsupported(request);
  checkAclHeaders(request, request.principal.userId);
  const bucket = await request.bucketInfo();
  const settings = taggingSetting(request, services, { bucket, key: request.key });
  return {
    headers: standardHeaders(request),
    metadata: userMetadata(request),
    storageClass: requestedStorageClass(request) ?? DEFAULT_STORAGE_CLASS,
    ...(settings === undefined ? undefined : { settings }),
  };
}

let lastDate = { ms: -1, text: '' };

/** Last-Modified; most answers in a row ask about few objects. */
export function httpDate(ms: number): string {
  if (lastDate.ms !== ms) lastDate = { ms, text: new Date(ms).toUTCString() };
  return lastDate.text;
}

export function checksumHeaders(checksums: readonly ObjectChecksum[] | undefined): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const { algorithm, value, type } of checksums ?? []) {
    headers[`x-amz-checksum-${algorithm.toLowerCase()}`] = value;
    headers['x-amz-checksum-type'] = type;
  }
  return headers;
}

/** Headers that name a version: ETag, Last-Modified, version id. Also what a 304 carries. */
export function validatorHeaders(
  info: VersionInfo & { readonly content: VersionContent },
  versioning: Versioning,
): Record<string, string> {
  const headers: Record<string, string> = {
    etag: `"${info.content.etag}"`,
    'last-modified': httpDate(info.modifiedAtMs),
  };
  if (versioning !== 'Off') headers['x-amz-version-id'] = info.versionId;
  return headers;
}

/** Headers that describe a version, without those of the body's extent. */
export function describeVersion(
  info: VersionInfo & { readonly content: VersionContent },
  versioning: Versioning,
): Record<string, string> {
  const headers = validatorHeaders(info, versioning);
  const { content } = info;
  headers['accept-ranges'] = 'bytes';
  for (const name in content.headers) headers[name] = headerValue(content.headers[name] ?? '');
  headers['content-type'] ??= DEFAULT_CONTENT_TYPE;
  for (const name in content.metadata) headers[META + name] = encodeMetadata(content.metadata[name] ?? '');
  if (content.storageClass !== DEFAULT_STORAGE_CLASS) headers['x-amz-storage-class'] = content.storageClass;
  return headers;
}

/** Headers of an accepted write. */
export function writeResultHeaders(result: WriteResult): Record<string, string> {
  const headers = checksumHeaders(result.checksums);
  headers['etag'] = `"${result.etag}"`;
  headers['x-skerry-causality'] = result.causality;
  if (result.versionId !== undefined) headers['x-amz-version-id'] = result.versionId;
  return headers;
}
