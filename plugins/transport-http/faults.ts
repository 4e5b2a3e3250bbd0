/** Failures on the wire: code, message, retryable and what JSON can carry of the details; never a stack or a cause. */
import { ERROR_CODES, SkerryError, type ErrorCode } from '../../core/contracts/index.ts';
import { ERROR_MAX_BYTES } from './frames.ts';

const MESSAGE_MAX_CHARACTERS = 4096;

/** JSON of at most ERROR_MAX_BYTES. Of an error that is no SkerryError nothing is told. */
export function packFault(error: unknown): Uint8Array {
  const { code, message, retryable, details } =
    error instanceof SkerryError ? error : new SkerryError('Internal', 'the peer failed to answer the call');
  const head = { code, message: message.slice(0, MESSAGE_MAX_CHARACTERS), retryable };
  const whole = packed({ ...head, details });
  if (whole !== undefined && whole.length <= ERROR_MAX_BYTES) return whole;
  return Buffer.from(JSON.stringify({ ...head, details: {} }), 'utf8');
}

/** `undefined` for what JSON cannot carry: a circle, a bigint. */
function packed(fault: object): Uint8Array | undefined {
  try {
    return Buffer.from(JSON.stringify(fault), 'utf8');
  } catch {
    return undefined;
  }
}

const CODES: ReadonlySet<unknown> = new Set(ERROR_CODES);

/** What the peer says went wrong; `undefined` when it does not say so in this form. A code that is news to us is `Internal`. */
export function unpackFault(bytes: Uint8Array): SkerryError | undefined {
  const { code, message, retryable, details } = fields(bytes);
  if (typeof code !== 'string' || typeof message !== 'string' || typeof retryable !== 'boolean') return undefined;
  if (typeof details !== 'object' || details === null || Array.isArray(details)) return undefined;
  return new SkerryError(CODES.has(code) ? (code as ErrorCode) : 'Internal', message, {
    retryable,
    details: details as Readonly<Record<string, unknown>>,
  });
}

function fields(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
