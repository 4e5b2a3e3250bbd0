/** Percent-encoding as SigV4 canonicalises it: unreserved characters stay, every other byte becomes upper-case `%XX`. */

const UNRESERVED = /^[A-Za-z0-9\-._~]*$/;
const CANONICAL_PATH = /^[A-Za-z0-9\-._~/]*$/;
const ESCAPES: readonly string[] = Array.from({ length: 256 }, (_, byte) => escapeOf(byte));

function escapeOf(byte: number): string {
  const char = String.fromCharCode(byte);
  return UNRESERVED.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}

/**
 * Decodes `%XX` to one latin1 character per byte. A `%` that begins no escape stands for itself, so that the answer to a
 * malformed path is always the same, and the signature of a client that signed it raw still fits.
 */
export function percentDecode(text: string): string {
  if (!text.includes('%')) return text;
  return text.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** Encodes a string of latin1 characters, one per byte. */
export function percentEncode(bytes: string): string {
  if (UNRESERVED.test(bytes)) return bytes;
  let out = '';
  for (let at = 0; at < bytes.length; at += 1) out += ESCAPES[bytes.charCodeAt(at) & 0xff] ?? '';
  return out;
}

/** Decoded and encoded once, slashes kept, nothing normalised: S3 signs `a//../b` as it is. */
export function canonicalPath(rawPath: string): string {
  if (CANONICAL_PATH.test(rawPath)) return rawPath;
  return rawPath
    .split('/')
    .map((segment) => percentEncode(percentDecode(segment)))
    .join('/');
}

/** One query parameter; name and value decoded to latin1 characters, one per byte. */
export interface QueryParameter {
  readonly name: string;
  readonly value: string;
}

/** In order, empty pieces dropped; `+` is a space, as every S3 server reads it. */
export function parseQuery(rawQuery: string): readonly QueryParameter[] {
  if (rawQuery === '') return [];
  return rawQuery
    .split('&')
    .filter((piece) => piece !== '')
    .map((piece) => {
      const at = piece.indexOf('=');
      const name = at === -1 ? piece : piece.slice(0, at);
      return { name: decodeParameter(name), value: at === -1 ? '' : decodeParameter(piece.slice(at + 1)) };
    });
}

function decodeParameter(text: string): string {
  return percentDecode(text.replaceAll('+', ' '));
}

/** Encoded, sorted by name then value; `except` is left out (a presigned URL does not sign its own signature). */
export function canonicalQuery(parameters: readonly QueryParameter[], except?: string): string {
  return parameters
    .filter(({ name }) => name !== except)
    .map(({ name, value }) => ({ name: percentEncode(name), value: percentEncode(value) }))
    .sort((a, b) => compare(a.name, b.name) || compare(a.value, b.value))
    .map(({ name, value }) => `${name}=${value}`)
    .join('&');
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
