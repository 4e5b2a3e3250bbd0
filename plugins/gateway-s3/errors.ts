/**
 * The S3 error catalogue: code, HTTP status, message. The one place where a failure becomes what a client sees.
 * Source: "Error responses", Amazon S3 API Reference.
 */
import { SkerryError } from '../../core/contracts/index.ts';

const CATALOGUE = {
  AccessControlListNotSupported: [400, 'The bucket does not allow ACLs'],
  AccessDenied: [403, 'Access Denied'],
  AccessForbidden: [403, 'Access forbidden'],
  AuthorizationHeaderMalformed: [400, 'The authorization header that you provided is not valid.'],
  AuthorizationQueryParametersError: [400, 'The authorization query parameters that you provided are not valid.'],
  BadDigest: [400, 'The Content-MD5 or checksum value that you specified did not match what the server received.'],
  BadRequest: [400, 'Bad Request'],
  BucketAlreadyExists: [409, 'The requested bucket name is not available. Select a different name and try again.'],
  BucketAlreadyOwnedByYou: [409, 'Your previous request to create the named bucket succeeded and you already own it.'],
  BucketNotEmpty: [409, 'The bucket you tried to delete is not empty.'],
  ConditionalRequestConflict: [409, 'A conflicting operation occurred. Retry the request.'],
  EntityTooLarge: [400, 'Your proposed upload exceeds the maximum allowed object size.'],
  EntityTooSmall: [400, 'Your proposed upload is smaller than the minimum allowed object size.'],
  ExpectationFailed: [417, 'The only expectation this server meets is 100-continue.'],
  ExpiredToken: [400, 'The provided token has expired.'],
  IllegalLocationConstraintException: [400, 'The specified location constraint is not valid for this region.'],
  IllegalVersioningConfigurationException: [400, 'The versioning configuration specified in the request is not valid.'],
  IncompleteBody: [400, 'You did not provide the number of bytes specified by the Content-Length HTTP header.'],
  InsufficientStorage: [507, 'There is not enough space left to store the object.'],
  InternalError: [500, 'We encountered an internal error. Please try again.'],
  InvalidAccessKeyId: [403, 'The AWS access key ID that you provided does not exist in our records.'],
  InvalidArgument: [400, 'Invalid Argument'],
  InvalidBucketName: [400, 'The specified bucket is not valid.'],
  InvalidBucketState: [409, 'The request is not valid for the current state of the bucket.'],
  InvalidDigest: [400, 'The Content-MD5 or checksum value that you specified is not valid.'],
  InvalidLocationConstraint: [400, 'The specified location (Region) constraint is not valid.'],
  InvalidObjectState: [403, 'The operation is not valid for the current state of the object.'],
  InvalidPart: [
    400,
    'One or more of the specified parts could not be found. The part might not have been uploaded, or the specified ETag might not have matched the uploaded part’s ETag.',
  ],
  InvalidPartNumber: [416, 'The requested partnumber is not satisfiable'],
  InvalidPartOrder: [400, 'The list of parts was not in ascending order. Parts must be ordered by part number.'],
  InvalidPolicyDocument: [
    400,
    'The content of the form does not meet the conditions specified in the policy document.',
  ],
  InvalidRange: [416, 'The requested range is not satisfiable'],
  InvalidRequest: [400, 'Invalid Request'],
  InvalidStorageClass: [400, 'The storage class you specified is not valid.'],
  InvalidTag: [400, 'The tag provided was not a valid tag.'],
  InvalidToken: [400, 'The provided token is malformed or otherwise not valid.'],
  InvalidURI: [400, 'Couldn’t parse the specified URI.'],
  InvalidVersionId: [400, 'Invalid version id specified'],
  KeyTooLongError: [400, 'Your key is too long'],
  MalformedACLError: [
    400,
    'The ACL that you provided was not well formed or did not validate against our published schema.',
  ],
  MalformedPOSTRequest: [400, 'The body of your POST request is not well-formed multipart/form-data.'],
  MalformedPolicy: [400, 'Policy has invalid resource.'],
  MalformedTrailerError: [
    400,
    'The request contained trailing data that was not well-formed or did not conform to our published schema.',
  ],
  MalformedXML: [400, 'The XML you provided was not well-formed or did not validate against our published schema'],
  MaxMessageLengthExceeded: [400, 'Your request was too large.'],
  MaxPostPreDataLengthExceeded: [400, 'Your POST request fields preceding the upload file were too large.'],
  MetadataTooLarge: [400, 'Your metadata headers exceed the maximum allowed metadata size.'],
  MethodNotAllowed: [405, 'The specified method is not allowed against this resource.'],
  MissingAttachment: [400, 'A SOAP attachment was expected, but none was found.'],
  MissingContentLength: [411, 'You must provide the Content-Length HTTP header.'],
  MissingRequestBodyError: [400, 'Request Body is empty'],
  MissingSecurityHeader: [400, 'Your request was missing a required header.'],
  NoSuchBucket: [404, 'The specified bucket does not exist'],
  NoSuchBucketPolicy: [404, 'The bucket policy does not exist'],
  NoSuchCORSConfiguration: [404, 'The CORS configuration does not exist'],
  NoSuchKey: [404, 'The specified key does not exist.'],
  NoSuchLifecycleConfiguration: [404, 'The lifecycle configuration does not exist'],
  NoSuchObjectLockConfiguration: [404, 'The specified object does not have a ObjectLock configuration'],
  NoSuchPublicAccessBlockConfiguration: [404, 'The public access block configuration was not found'],
  NoSuchTagSet: [404, 'The TagSet does not exist'],
  NoSuchUpload: [
    404,
    'The specified multipart upload does not exist. The upload ID might not be valid, or the multipart upload might have been aborted or completed.',
  ],
  NoSuchVersion: [404, 'The specified version does not exist.'],
  NoSuchWebsiteConfiguration: [404, 'The specified bucket does not have a website configuration'],
  NotImplemented: [501, 'A header or query you provided implies functionality that is not implemented.'],
  NotModified: [304, 'Not Modified'],
  ObjectLockConfigurationNotFoundError: [404, 'Object Lock configuration does not exist for this bucket'],
  OwnershipControlsNotFoundError: [404, 'The bucket ownership controls were not found'],
  PreconditionFailed: [412, 'At least one of the pre-conditions you specified did not hold'],
  ReplicationConfigurationNotFoundError: [404, 'The replication configuration was not found'],
  RequestHeaderSectionTooLarge: [400, 'Your request header section exceeds the maximum allowed size.'],
  RequestTimeTooSkewed: [403, 'The difference between the request time and the server’s time is too large.'],
  RequestTimeout: [
    400,
    'Your socket connection to the server was not read from or written to within the timeout period.',
  ],
  ServerSideEncryptionConfigurationNotFoundError: [404, 'The server side encryption configuration was not found'],
  ServiceUnavailable: [503, 'Service is unable to handle request.'],
  SignatureDoesNotMatch: [
    403,
    'The request signature that the server calculated does not match the signature that you provided. Check your secret access key and signing method.',
  ],
  SlowDown: [503, 'Please reduce your request rate.'],
  TooManyBuckets: [400, 'You have attempted to create more buckets than are allowed.'],
  UnexpectedContent: [400, 'This request contains unsupported content.'],
  UnresolvableGrantByEmailAddress: [400, 'The email address that you provided does not match any account on record.'],
  XAmzContentChecksumMismatch: [400, 'The provided x-amz-checksum header does not match what was computed.'],
  XAmzContentSHA256Mismatch: [400, 'The provided x-amz-content-sha256 header does not match what was computed.'],
} as const satisfies Record<string, readonly [status: number, message: string]>;

export type S3ErrorCode = keyof typeof CATALOGUE;

/** Codes of the catalogue, for the documentation and the tests. */
export const S3_ERROR_CODES = Object.keys(CATALOGUE) as readonly S3ErrorCode[];

export interface S3ErrorDetails {
  /** More elements of the XML body: `{ BucketName, Key, ActualObjectSize }`. */
  readonly fields?: Readonly<Record<string, string>>;
  /** More response headers, lower-case. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** A failure as the client will see it. */
export class S3Error extends Error {
  readonly code: S3ErrorCode;
  readonly status: number;
  readonly fields: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: S3ErrorCode, message: string, details: S3ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'S3Error';
    this.code = code;
    this.status = CATALOGUE[code][0];
    this.fields = details.fields ?? NOTHING;
    this.headers = details.headers ?? NOTHING;
  }
}

const NOTHING: Readonly<Record<string, string>> = Object.freeze({});

/** An S3 failure; the catalogue's message when none is given. */
export function s3Error(code: S3ErrorCode, message: string = CATALOGUE[code][1], details?: S3ErrorDetails): S3Error {
  return new S3Error(code, message, details);
}

/** InvalidArgument, naming the argument as AWS does. */
export function invalidArgument(name: string, value: string, message: string): S3Error {
  return new S3Error('InvalidArgument', message, { fields: { ArgumentName: name, ArgumentValue: value } });
}

function isCatalogued(code: unknown): code is S3ErrorCode {
  return typeof code === 'string' && Object.hasOwn(CATALOGUE, code);
}

/** SkerryError codes that have another name in S3. A code that S3 knows by the same name needs no line here. */
const RENAMED: Readonly<Record<string, S3ErrorCode>> = {
  NotFound: 'NoSuchKey',
  AlreadyExists: 'ConditionalRequestConflict',
  Conflict: 'ConditionalRequestConflict',
  TooLarge: 'EntityTooLarge',
  RangeNotSatisfiable: 'InvalidRange',
  Unauthenticated: 'AccessDenied',
  NotSupported: 'NotImplemented',
  KeyTooLong: 'KeyTooLongError',
  ObjectLocked: 'AccessDenied',
  Unavailable: 'ServiceUnavailable',
  ClockUntrusted: 'ServiceUnavailable',
  Timeout: 'ServiceUnavailable',
  Locked: 'ServiceUnavailable',
  Closed: 'ServiceUnavailable',
  Aborted: 'RequestTimeout',
  OutOfSpace: 'InsufficientStorage',
};

/** Codes whose message is for operators: clients get the catalogue's words. */
const OPERATOR_ONLY: ReadonlySet<string> = new Set([
  'Internal',
  'Io',
  'Corrupt',
  'Closed',
  'InvalidConfig',
  'NoSuchSetting',
]);

function checksumCode(details: Readonly<Record<string, unknown>>): S3ErrorCode {
  return details['which'] === 'sha256' ? 'XAmzContentSHA256Mismatch' : 'BadDigest';
}

function codeOf(error: SkerryError): S3ErrorCode {
  const finer = error.details['reason'];
  if (isCatalogued(finer)) return finer;
  if (error.code === 'ChecksumMismatch') return checksumCode(error.details);
  const renamed = RENAMED[error.code];
  if (renamed !== undefined) return renamed;
  return isCatalogued(error.code) ? error.code : 'InternalError';
}

function retryAfter(error: SkerryError): Readonly<Record<string, string>> {
  const afterMs = error.details['retryAfterMs'];
  const seconds = typeof afterMs === 'number' && afterMs > 0 ? Math.ceil(afterMs / 1000) : 1;
  return { 'retry-after': String(seconds) };
}

function absenceHeaders(error: SkerryError): Readonly<Record<string, string>> {
  const { marker, versionId, conflict } = error.details;
  const inConflict = conflict === true ? { 'x-skerry-conflict': 'true' } : NOTHING;
  if (marker !== true && error.code !== 'MethodNotAllowed') return inConflict;
  if (typeof versionId !== 'string') return inConflict;
  return { 'x-amz-delete-marker': 'true', 'x-amz-version-id': versionId, ...inConflict };
}

function fieldsOf(error: SkerryError): Readonly<Record<string, string>> {
  const { bucket, key, uploadId, versionId, site, fields: given } = error.details;
  const fields: Record<string, string> = {};
  for (const [name, value] of Object.entries(given ?? NOTHING)) if (typeof value === 'string') fields[name] = value;
  if (typeof bucket === 'string') fields['BucketName'] = bucket;
  if (typeof key === 'string') fields['Key'] = key;
  if (typeof uploadId === 'string') fields['UploadId'] = uploadId;
  if (typeof versionId === 'string') fields['VersionId'] = versionId;
  if (typeof site === 'string') fields['Site'] = site;
  return fields;
}

/** Whatever was thrown, as S3 tells it. What nobody foresaw is InternalError, with the cause kept for the log. */
export function toS3Error(error: unknown): S3Error {
  if (error instanceof S3Error) return error;
  if (!(error instanceof SkerryError)) return s3Error('InternalError', undefined, { cause: error });
  const code = codeOf(error);
  const message = OPERATOR_ONLY.has(error.code) || code === 'InternalError' ? undefined : error.message;
  const headers = CATALOGUE[code][0] === 503 ? retryAfter(error) : absenceHeaders(error);
  return s3Error(code, message, { fields: fieldsOf(error), headers, cause: error });
}
