/** Structured logs: pino behind the Logger contract. One JSON line each (or a readable one), and never a secret. */
import { destination as openDestination, pino, type Logger as PinoLogger } from 'pino';
import { isSkerryError, type Logger } from '../contracts/index.ts';

export interface LogOptions {
  readonly level: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  readonly format: 'json' | 'pretty';
}

export interface LogDestination {
  /** One line with its line break. */
  write(line: string): void;
}

const STDERR = 2;
const REDACTED = '[redacted]';
/** Deeper than any record that is worth logging; ends cycles as well. */
const MAX_DEPTH = 8;
const SECRET_NAME = /authorization|secret|signature|token|password|cookie|masterkey/i;
/** Signed URLs carry their secrets in the query. */
const SECRET_IN_TEXT = /((?:x-amz-)?(?:signature|credential|security-token)|awsaccesskeyid)=[^&\s"']+/gi;

/** `destination` defaults to standard error. */
export function createLogger({ level, format }: LogOptions, destination?: LogDestination): Logger {
  const sink = destination ?? openDestination({ fd: STDERR, sync: true });
  const stream = format === 'pretty' ? { write: (line: string) => sink.write(prettyLine(line)) } : sink;
  return adapt(pino({ level, base: null, formatters: { level: (label) => ({ level: label }) } }, stream));
}

function adapt(target: PinoLogger): Logger {
  return {
    debug: (fields, message) => {
      if (target.isLevelEnabled('debug')) target.debug(clean(fields, 0), scrub(message));
    },
    info: (fields, message) => {
      if (target.isLevelEnabled('info')) target.info(clean(fields, 0), scrub(message));
    },
    warn: (fields, message) => target.warn(clean(fields, 0), scrub(message)),
    error: (fields, message) => target.error(clean(fields, 0), scrub(message)),
    child: (fields) => adapt(target.child(clean(fields, 0) as object)),
  };
}

function scrub(text: string): string {
  return text.includes('=') ? text.replace(SECRET_IN_TEXT, `$1=${REDACTED}`) : text;
}

/** A copy without secrets, whatever the depth; errors become plain records. */
function clean(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return scrub(value);
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= MAX_DEPTH) return '[too deep]';
  if (value instanceof Error) return clean(errorRecord(value), depth);
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value)) return value.map((item) => clean(item, depth + 1));
  if (value instanceof Date) return value;
  const copy: Record<string, unknown> = {};
  for (const [name, inner] of Object.entries(value)) {
    copy[name] = isSecret(name) ? REDACTED : clean(inner, depth + 1);
  }
  return copy;
}

/** Names recur, so each is looked at once; what a stranger may choose (a header, a key) must not fill memory. */
const secrecyByName = new Map<string, boolean>();
const NAMES_MAX = 1000;

function isSecret(name: string): boolean {
  const known = secrecyByName.get(name);
  if (known !== undefined) return known;
  const secret = SECRET_NAME.test(name);
  if (secrecyByName.size < NAMES_MAX) secrecyByName.set(name, secret);
  return secret;
}

function errorRecord(error: Error): Record<string, unknown> {
  return {
    name: error.name,
    message: error.message,
    ...(isSkerryError(error) ? { code: error.code, details: error.details } : {}),
    ...(error.cause === undefined ? {} : { cause: error.cause }),
    ...(error instanceof AggregateError ? { errors: error.errors as unknown[] } : {}),
    stack: error.stack,
  };
}

/** `12:00:01.250 WARN  message {"field":1}` */
function prettyLine(line: string): string {
  const { time, level, msg, ...fields } = JSON.parse(line) as { time: number; level: string; msg: string };
  const clock = new Date(time).toISOString().slice(11, 23);
  const rest = Object.keys(fields).length === 0 ? '' : ` ${JSON.stringify(fields)}`;
  return `${clock} ${level.toUpperCase().padEnd(5)} ${msg}${rest}\n`;
}
