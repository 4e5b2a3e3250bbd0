/** Numbers and names that both ends share. */
import { SkerryError } from '../../core/contracts/index.ts';

/** Frames that the serving generator may be ahead of the reader. */
export const WINDOW_FRAMES = 64;
/** Longest request body and longest frame. */
export const PAYLOAD_MAX_BYTES = 16 * 1024 * 1024;

export const PATH_PREFIX = '/skerry/1/';
export const CALL_NAME = /^[a-z][a-z0-9-]*$/;
export const SITE_ID = /^[a-z0-9][a-z0-9-]{0,31}$/;
export const ORIGIN = /^([a-z0-9][a-z0-9-]{0,31})\.[0-9a-f]{16}$/;

/** Header of every answer that the peer could sign. */
export const ANSWER_HEADER = 'x-skerry-answer';

export function closed(): SkerryError {
  return new SkerryError('Closed', 'the transport or link is not open');
}

export function aborted(): SkerryError {
  return new SkerryError('Aborted', 'the caller gave up the call');
}

export function unavailable(message: string, cause?: unknown): SkerryError {
  return new SkerryError('Unavailable', message, cause === undefined ? {} : { cause });
}
