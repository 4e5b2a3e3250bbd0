/** Request headers as signatures see them. */
import type { AuthRequest } from '../../core/contracts/index.ts';
import { accessDenied, unauthenticated } from './refusals.ts';

export type Headers = AuthRequest['headers'];

/** The value of a header that makes sense once only. */
export function single(headers: Headers, name: string): string | undefined {
  const values = headers[name];
  if (values === undefined || values.length === 0) return undefined;
  if (values.length > 1) throw unauthenticated('InvalidArgument', `${name} must be sent once`, { ArgumentName: name });
  return values[0];
}

/** Repeated headers joined with a comma, ends trimmed, runs of white space one space. Absent: empty. */
export function canonicalValue(headers: Headers, name: string): string {
  const values = headers[name];
  if (values === undefined) return '';
  return values.length === 1 ? collapse(values[0] ?? '') : values.map(collapse).join(',');
}

/** As version 2 signs it: like `canonicalValue`, but the spaces inside stay. */
export function trimmedValue(headers: Headers, name: string): string {
  return (headers[name] ?? []).map((value) => value.replace(/^[ \t]+|[ \t]+$/g, '')).join(',');
}

/** ASCII white space only: in a latin1-decoded value U+00A0 is half of a character. */
function collapse(value: string): string {
  return isTidy(value) ? value : value.replace(/[ \t\n\v\f\r]+/g, ' ').replace(/^ | $/g, '');
}

/** Nearly every value is, and finding out is cheaper than rewriting it. */
function isTidy(value: string): boolean {
  return value.charCodeAt(0) > 32 && value.charCodeAt(value.length - 1) > 32 && !/ {2}|[\t\n\v\f\r]/.test(value);
}

/**
 * Every `x-amz-*` header must be signed, or a man in the middle could add one. `x-amz-content-sha256` needs no place in the list: its value
 * is part of what is signed anyway.
 */
export function refuseUnsigned(headers: Headers, signed: readonly string[]): void {
  const names = new Set(signed);
  const unsigned = Object.keys(headers).filter((name) => mustBeSigned(name) && !names.has(name));
  if (!names.has('host')) unsigned.unshift('host');
  if (unsigned.length === 0) return;
  throw accessDenied('There were headers present in the request which were not signed', {
    HeadersNotSigned: unsigned.join(', '),
  });
}

function mustBeSigned(name: string): boolean {
  return name.startsWith('x-amz-') && name !== 'x-amz-content-sha256';
}

/** Temporary credentials are not served here; answered before any signature is computed. */
export function refuseSecurityToken(token: string | undefined): void {
  if (token === undefined) return;
  throw unauthenticated(
    'InvalidToken',
    'The provided token is malformed or otherwise invalid: this site issues no temporary credentials',
  );
}
