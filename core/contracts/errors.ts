/** The world's fault: neither the caller's nor ours. */
export const WORLD_FAULT_CODES = [
  'Unavailable',
  'SlowDown',
  'OutOfSpace',
  'Corrupt',
  'Io',
  'Closed',
  'Aborted',
  'Locked',
  'Timeout',
  'ClockUntrusted',
] as const;

/**
 * The one closed list of error codes that cross a port. A driver classifies its own failures; nothing is identified by
 * message text. `docs/errors.md` has one heading for each; a test pins the list.
 */
export const ERROR_CODES = [
  // the caller's fault
  'InvalidArgument',
  'InvalidConfig',
  'NotFound',
  'AlreadyExists',
  'PreconditionFailed',
  'NotModified',
  'Conflict',
  'TooLarge',
  'RangeNotSatisfiable',
  'Unauthenticated',
  'AccessDenied',
  'ChecksumMismatch',
  'NotSupported',
  'IncompleteBody',
  // S3's own words for things the object service refuses; `reason` in SkerryError.details names the finer code
  'NoSuchBucket',
  'NoSuchKey',
  'NoSuchVersion',
  'NoSuchUpload',
  'BucketNotEmpty',
  'BucketAlreadyExists',
  'BucketAlreadyOwnedByYou',
  'InvalidPart',
  'InvalidPartOrder',
  'EntityTooSmall',
  'EntityTooLarge',
  'MethodNotAllowed',
  'KeyTooLong',
  'InvalidBucketName',
  'NoSuchSetting',
  'ObjectLocked',
  ...WORLD_FAULT_CODES,
  // ours
  'Internal',
] as const;
export type ErrorCode = (typeof ERROR_CODES)[number];

export interface SkerryErrorOptions {
  readonly cause?: unknown;
  /** True when the same call may succeed later without a change by the caller. */
  readonly retryable?: boolean;
  /** Facts for the person or the protocol layer: `{ bucket, key, retryAfterMs, versionId, ... }`. Never a secret. */
  readonly details?: Readonly<Record<string, unknown>>;
}

const RETRYABLE: ReadonlySet<ErrorCode> = new Set(['Unavailable', 'SlowDown', 'Timeout', 'ClockUntrusted']);

/** The only error class that crosses a port. */
export class SkerryError extends Error {
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: SkerryErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'SkerryError';
    this.code = code;
    this.retryable = options.retryable ?? RETRYABLE.has(code);
    this.details = options.details ?? {};
  }
}

/** Narrow an unknown thrown value to a SkerryError, by code when one is given. */
export function isSkerryError(error: unknown, code?: ErrorCode): error is SkerryError {
  return error instanceof SkerryError && (code === undefined || error.code === code);
}
