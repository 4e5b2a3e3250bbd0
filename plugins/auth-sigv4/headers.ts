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

function collapse(value: string): string {
  return value.trim().replace(/\s+/g, ' ');
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
