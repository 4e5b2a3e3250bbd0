/**
 * AWS Signature Version 4 of a request, from the Authorization header or from a presigned URL.
 * Source: "Authenticating Requests (AWS Signature Version 4)", Amazon S3 API Reference.
 */
import type { KeyObject } from 'node:crypto';

import type { Authenticated, AuthRequest, Identity } from '../../core/contracts/index.ts';
import { verifySignature, type SignedRequest } from './canonical.ts';
import { createChunkVerifier } from './chunk-signatures.ts';
import { IN_HEADER, IN_QUERY, parseCredential } from './credential.ts';
import { refuseSecurityToken, refuseUnsigned, single } from './headers.ts';
import type { SigV4Options } from './options.ts';
import { payloadCheck, UNSIGNED_PAYLOAD } from './payload.ts';
import type { QueryParameter } from './percent.ts';
import { accessDenied, unauthenticated } from './refusals.ts';
import { refuseSkew } from './skew.ts';
import { parseAmzDate, parseHttpDate, toAmzDate, toIso } from './times.ts';
import type { Scope } from './signing-keys.ts';

/** What verification needs of its surroundings. */
export interface Verification {
  readonly nowMs: number;
  readonly options: SigV4Options;
  /** Throws `InvalidAccessKeyId` for a key that is unknown or disabled. */
  identify(accessKeyId: string): Identity;
  keyFor(identity: Identity, scope: Scope): KeyObject;
}

/** What an auth scheme found out; the caller makes the principal. */
export type Verified = Omit<Authenticated, 'principal'> & { readonly identity: Identity };

const ALGORITHM = 'AWS4-HMAC-SHA256';
const MAX_EXPIRES_S = 604_800;
const SIGNED_HEADERS = /^[!#$%&'*+.^_`|~0-9a-z-]+(?:;[!#$%&'*+.^_`|~0-9a-z-]+)*$/;

export function verifyHeader(
  request: AuthRequest,
  authorization: string,
  parameters: readonly QueryParameter[],
  context: Verification,
): Verified {
  const { headers } = request;
  refuseSecurityToken(single(headers, 'x-amz-security-token'));
  const { Credential, SignedHeaders, Signature } = headerFields(authorization);
  const payloadHash = single(headers, 'x-amz-content-sha256');
  if (payloadHash === undefined) {
    throw unauthenticated('InvalidRequest', 'Missing required header for this request: x-amz-content-sha256');
  }
  const { timeMs, amzDate } = requestTime(request);
  const credential = parseCredential(Credential, amzDate.slice(0, 8), context.options, IN_HEADER);
  const signedHeaders = SignedHeaders.split(';');
  refuseUnsigned(headers, signedHeaders);
  refuseSkew(timeMs, context);
  const signed = { request, parameters, signedHeaders, payloadHash, ...credential, amzDate, signature: Signature };
  return { scheme: 'sigv4-header', signatureAgeMs: context.nowMs - timeMs, ...verify(signed, context, payloadHash) };
}

export function verifyQuery(
  request: AuthRequest,
  parameters: readonly QueryParameter[],
  context: Verification,
): Verified {
  const { headers } = request;
  const fields = queryFields(parameters);
  refuseSecurityToken(fields['X-Amz-Security-Token'] ?? single(headers, 'x-amz-security-token'));
  const { timeMs, expiresS } = validity(fields);
  const amzDate = fields['X-Amz-Date'];
  const credential = parseCredential(fields['X-Amz-Credential'], amzDate.slice(0, 8), context.options, IN_QUERY);
  const signedHeaders = fields['X-Amz-SignedHeaders'].split(';');
  refuseUnsigned(headers, signedHeaders);
  refuseOutsideValidity(timeMs, expiresS, context);
  // An unsigned header may say more of the body than the signature does (a hash, a framing), but is no part of what was signed.
  const header = single(headers, 'x-amz-content-sha256');
  const signedHash =
    fields['X-Amz-Content-Sha256'] ?? (signedHeaders.includes('x-amz-content-sha256') ? header : undefined);
  const payloadHash = signedHash ?? UNSIGNED_PAYLOAD;
  const signed = {
    request,
    parameters,
    signedHeaders,
    payloadHash,
    ...credential,
    amzDate,
    signature: fields['X-Amz-Signature'],
  };
  const declared = payloadHash === UNSIGNED_PAYLOAD ? (header ?? payloadHash) : payloadHash;
  return { scheme: 'sigv4-query', signatureAgeMs: context.nowMs - timeMs, ...verify(signed, context, declared) };
}

function verify(
  signed: SignedRequest,
  context: Verification,
  declaredPayload: string,
): Pick<Verified, 'identity' | 'payload'> {
  const identity = context.identify(signed.accessKeyId);
  const key = context.keyFor(identity, signed.scope);
  const payload = payloadCheck(declaredPayload, signed.request.headers, () => createChunkVerifier(signed, key));
  verifySignature(signed, key);
  return { identity, payload };
}

type HeaderField = 'Credential' | 'SignedHeaders' | 'Signature';

function headerFields(authorization: string): Readonly<Record<HeaderField, string>> {
  const fields = new Map<string, string>();
  for (const piece of authorization.slice(ALGORITHM.length).split(',')) {
    const at = piece.indexOf('=');
    const name = piece.slice(0, Math.max(at, 0)).trim();
    if (at === -1 || fields.has(name))
      throw headerMalformed('expecting Credential, SignedHeaders and Signature, each once.');
    fields.set(name, piece.slice(at + 1).trim());
  }
  const field = (name: HeaderField): string => {
    const value = fields.get(name);
    if (value === undefined || value === '')
      throw headerMalformed(`the authorization header requires a non-empty ${name}.`);
    return value;
  };
  const parsed = {
    Credential: field('Credential'),
    SignedHeaders: field('SignedHeaders'),
    Signature: field('Signature'),
  };
  if (!SIGNED_HEADERS.test(parsed.SignedHeaders))
    throw headerMalformed('SignedHeaders must be lower-case names with ";" between.');
  if (!isSignature(parsed.Signature)) throw headerMalformed('Signature must be 64 lower-case hexadecimal digits.');
  return parsed;
}

function isSignature(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}

function headerMalformed(fault: string): Error {
  return unauthenticated(IN_HEADER.reason, `${IN_HEADER.prefix}${fault}`);
}

/** `x-amz-date`, else `date`, in milliseconds and as it stands in the string to sign. */
function requestTime({ headers }: AuthRequest): { readonly timeMs: number; readonly amzDate: string } {
  const text = single(headers, 'x-amz-date') ?? single(headers, 'date') ?? '';
  const timeMs = parseAmzDate(text);
  if (timeMs !== undefined) return { timeMs, amzDate: text };
  const dateMs = parseHttpDate(text);
  if (dateMs === undefined) throw accessDenied('AWS authentication requires a valid Date or x-amz-date header');
  return { timeMs: dateMs, amzDate: toAmzDate(dateMs) };
}

const REQUIRED = [
  'X-Amz-Algorithm',
  'X-Amz-Credential',
  'X-Amz-Signature',
  'X-Amz-Date',
  'X-Amz-SignedHeaders',
  'X-Amz-Expires',
] as const;
const OPTIONAL = ['X-Amz-Content-Sha256', 'X-Amz-Security-Token'] as const;
type QueryFields = Readonly<
  Record<(typeof REQUIRED)[number], string> & Partial<Record<(typeof OPTIONAL)[number], string>>
>;

function queryFields(parameters: readonly QueryParameter[]): QueryFields {
  const known: ReadonlySet<string> = new Set([...REQUIRED, ...OPTIONAL]);
  const fields: Record<string, string> = {};
  for (const { name, value } of parameters) {
    if (!known.has(name)) continue;
    if (Object.hasOwn(fields, name)) throw queryError(`${name} must be given once`);
    fields[name] = value;
  }
  if (!hasRequired(fields)) {
    const names = `${REQUIRED.slice(0, -1).join(', ')}, and ${REQUIRED.at(-1)}`;
    throw queryError(`Query-string authentication version 4 requires the ${names} parameters.`);
  }
  if (fields['X-Amz-Algorithm'] !== ALGORITHM) throw queryError(`X-Amz-Algorithm only supports "${ALGORITHM}"`);
  if (!SIGNED_HEADERS.test(fields['X-Amz-SignedHeaders']))
    throw queryError('X-Amz-SignedHeaders must be lower-case names with ";" between');
  if (!isSignature(fields['X-Amz-Signature']))
    throw queryError('X-Amz-Signature must be 64 lower-case hexadecimal digits');
  return fields;
}

function hasRequired(fields: Readonly<Record<string, string>>): fields is QueryFields {
  return REQUIRED.every((name) => (fields[name] ?? '') !== '');
}

function validity(fields: QueryFields): { readonly timeMs: number; readonly expiresS: number } {
  const timeMs = parseAmzDate(fields['X-Amz-Date']);
  if (timeMs === undefined) throw queryError("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"");
  const text = fields['X-Amz-Expires'];
  if (!/^-?\d{1,15}$/.test(text)) throw queryError('X-Amz-Expires should be a number');
  const expiresS = Number(text);
  if (expiresS < 1) throw queryError('X-Amz-Expires must be at least 1 second');
  if (expiresS > MAX_EXPIRES_S) {
    throw queryError(
      `X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than ${MAX_EXPIRES_S} seconds`,
    );
  }
  return { timeMs, expiresS };
}

function refuseOutsideValidity(timeMs: number, expiresS: number, { nowMs, options }: Verification): void {
  if (timeMs > nowMs + options.maxClockSkewMs) {
    throw accessDenied('Request is not valid yet', { ServerTime: toIso(nowMs), ValidFrom: toIso(timeMs) });
  }
  const endMs = timeMs + expiresS * 1000;
  if (nowMs <= endMs) return;
  throw accessDenied('Request has expired', {
    'X-Amz-Expires': String(expiresS),
    Expires: toIso(endMs),
    ServerTime: toIso(nowMs),
  });
}

function queryError(message: string): Error {
  return unauthenticated(IN_QUERY.reason, message);
}
