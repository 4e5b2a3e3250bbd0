/** SQLite result codes (https://www.sqlite.org/rescode.html) as the codes that cross the port. */
import { SkerryError, type ErrorCode } from '../../core/contracts/index.ts';

/** By primary code, the low byte. What is not here is a fault of this plugin: `Internal`. */
const CODE_OF_RESULT: Readonly<Record<number, ErrorCode>> = {
  3: 'AccessDenied', // PERM
  5: 'Unavailable', // BUSY: another process held the lock for longer than busyTimeoutMs
  6: 'Unavailable', // LOCKED
  7: 'Unavailable', // NOMEM
  8: 'AccessDenied', // READONLY
  10: 'Io', // IOERR
  11: 'Corrupt', // CORRUPT
  13: 'OutOfSpace', // FULL: disk or maxBytes
  14: 'Io', // CANTOPEN
  15: 'Unavailable', // PROTOCOL: lost the race for a WAL lock
  26: 'Corrupt', // NOTADB
};

/** IOERR_CORRUPTFS, the extended code: the file system says itself that it is damaged. */
const IOERR_CORRUPTFS = 10 | (33 << 8);

export function toSkerryError(error: unknown, doing: string): SkerryError {
  if (error instanceof SkerryError) return error;
  const { errcode } = error as { readonly errcode?: unknown };
  if (typeof errcode !== 'number') return new SkerryError('Internal', `meta-sqlite: ${doing} failed`, { cause: error });
  const code = errcode === IOERR_CORRUPTFS ? 'Corrupt' : (CODE_OF_RESULT[errcode & 0xff] ?? 'Internal');
  const { message } = error as Error;
  return new SkerryError(code, `meta-sqlite: ${doing} failed: ${message}`, { cause: error, details: { errcode } });
}
