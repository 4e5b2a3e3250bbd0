/** The canonical request of SigV4, and the comparison of a signature with what it should be. */
import { createHmac, hash, timingSafeEqual, type KeyObject } from 'node:crypto';

import type { AuthRequest } from '../../core/contracts/index.ts';
import { scopeText } from './credential.ts';
import { canonicalValue } from './headers.ts';
import { canonicalPath, canonicalQuery, type QueryParameter } from './percent.ts';
import { unauthenticated } from './refusals.ts';
import type { Scope } from './signing-keys.ts';

/** Everything that a client has put its signature under. */
export interface SignedRequest {
  readonly request: AuthRequest;
  readonly parameters: readonly QueryParameter[];
  readonly signedHeaders: readonly string[];
  readonly payloadHash: string;
  readonly accessKeyId: string;
  readonly scope: Scope;
  /** `20130524T000000Z`. */
  readonly amzDate: string;
  /** 64 lower-case hex digits. */
  readonly signature: string;
}

/** Values that the answer to a wrong signature must not echo: it may be logged. */
const SECRET_HEADER = /^(x-amz-[a-z-]*(?:customer-key|security-token)):.*$/gm;

/** What a signature is made of: everything but itself. */
type Unsigned = Omit<SignedRequest, 'signature' | 'request'> & {
  readonly request: Pick<AuthRequest, 'method' | 'rawPath' | 'headers'>;
};

function canonicalRequest(signed: Unsigned, path: string): string {
  const { request, parameters, signedHeaders, payloadHash } = signed;
  const query = canonicalQuery(parameters, 'X-Amz-Signature');
  let text = `${request.method}\n${path}\n${query}\n`;
  for (const name of signedHeaders) text += `${name}:${canonicalValue(request.headers, name)}\n`;
  return `${text}\n${signedHeaders.join(';')}\n${payloadHash}`;
}

function stringToSign({ amzDate, scope }: Unsigned, canonical: string | Uint8Array): string {
  return `AWS4-HMAC-SHA256\n${amzDate}\n${scopeText(scope)}\n${hash('sha256', canonical, 'hex')}`;
}

/** The signature of a request as it will be sent, hex. */
export function requestSignature(unsigned: Unsigned, key: KeyObject): string {
  const canonical = canonicalRequest(unsigned, canonicalPath(unsigned.request.rawPath));
  return signatureOf(key, stringToSign(unsigned, Buffer.from(canonical, 'latin1'))).toString('hex');
}

/** Hex HMAC-SHA256, as requests, chunks and trailers are signed. */
export function signatureOf(key: KeyObject, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

/** Constant time in what the right signature is. `signature` is hex. */
export function sameSignature(signature: string, expected: Buffer): boolean {
  const given = Buffer.from(signature, 'hex');
  return given.length === expected.length && timingSafeEqual(given, expected);
}

/**
 * Throws `SignatureDoesNotMatch` unless the signature fits. Clients differ in two harmless ways, and each other reading that gives the same
 * request is tried: a path signed as it was sent instead of re-encoded, and header text signed as UTF-8 but sent as latin1.
 */
export function verifySignature(signed: SignedRequest, key: KeyObject): void {
  const { rawPath } = signed.request;
  const path = canonicalPath(rawPath);
  const canonical = canonicalRequest(signed, path);
  if (fits(signed, key, canonical)) return;
  if (path !== rawPath && fits(signed, key, canonicalRequest(signed, rawPath))) return;
  throw mismatch(signed, canonical.replace(SECRET_HEADER, '$1:***'));
}

function fits(signed: SignedRequest, key: KeyObject, canonical: string): boolean {
  const readings = hasHighBytes(canonical) ? [Buffer.from(canonical, 'latin1'), canonical] : [canonical];
  return readings.some((reading) => sameSignature(signed.signature, signatureOf(key, stringToSign(signed, reading))));
}

function hasHighBytes(text: string): boolean {
  return /[\x80-\xff]/.test(text);
}

function mismatch(signed: SignedRequest, canonical: string): Error {
  const canonicalBytes = Buffer.from(canonical, 'latin1');
  const text = stringToSign(signed, canonicalBytes);
  return signatureMismatch({
    AWSAccessKeyId: signed.accessKeyId,
    StringToSign: text,
    SignatureProvided: signed.signature,
    StringToSignBytes: spacedHex(Buffer.from(text)),
    CanonicalRequest: canonicalBytes.toString('utf8'),
    CanonicalRequestBytes: spacedHex(canonicalBytes),
  });
}

export function signatureMismatch(fields: Readonly<Record<string, string>>): Error {
  return unauthenticated(
    'SignatureDoesNotMatch',
    'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
    fields,
  );
}

export function spacedHex(bytes: Buffer): string {
  return bytes.toString('hex').replace(/..(?=.)/g, '$& ');
}
