/**
 * AWS Signature Version 2, for presigned URLs that boto3, awscli v1 and aws-sdk v2 still make, and for old clients' headers.
 * Source: "Signing and Authenticating REST Requests", Amazon S3 Developer Guide (2006-03-01).
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

import type { AuthRequest, Identity } from '../../core/contracts/index.ts';
import { signatureMismatch, spacedHex } from './canonical.ts';
import { refuseSecurityToken, single, trimmedValue } from './headers.ts';
import { payloadCheck, UNSIGNED_PAYLOAD } from './payload.ts';
import { canonicalPath, type QueryParameter } from './percent.ts';
import { accessDenied, unauthenticated } from './refusals.ts';
import type { Verification, Verified } from './sigv4.ts';
import { refuseSkew } from './skew.ts';
import { parseAmzDate, parseHttpDate, toIso } from './times.ts';

/** Parameters that are part of what is signed. */
const SIGNED: ReadonlySet<string> = new Set([
  'accelerate', 'acl', 'analytics', 'cors', 'delete', 'inventory', 'lifecycle', 'location', 'logging', 'metrics', 'notification',
  'object-lock', 'partNumber', 'policy', 'replication', 'requestPayment', 'restore', 'select', 'select-type', 'storageClass', 'tagging',
  'torrent', 'uploadId', 'uploads', 'versionId', 'versioning', 'versions', 'website',
  'response-cache-control', 'response-content-disposition', 'response-content-encoding', 'response-content-language',
  'response-content-type', 'response-expires',
]); // prettier-ignore

/**
 * Parameters that turn a request into another operation and that version 2 clients do not sign: accepted, a presigned upload could be
 * turned into, say, a new retention of the same object by whoever holds the URL.
 */
const NEVER_SIGNED: ReadonlySet<string> = new Set([
  'append', 'attributes', 'encryption', 'intelligent-tiering', 'legal-hold', 'ownershipControls', 'policyStatus', 'publicAccessBlock',
  'renameObject', 'retention', 'session',
]); // prettier-ignore

interface Signed {
  readonly request: AuthRequest;
  readonly parameters: readonly QueryParameter[];
  /** What stands in the date line: an HTTP date, Unix seconds, or nothing. */
  readonly dateLine: string;
  readonly signature: string;
}

export function refuseVersion2(): never {
  throw unauthenticated(
    'InvalidRequest',
    'The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256 ' +
      "(boto3: Config(signature_version='s3v4'); awscli: aws configure set default.s3.signature_version s3v4).",
  );
}

export function verifyHeaderV2(
  request: AuthRequest,
  authorization: string,
  parameters: readonly QueryParameter[],
  context: Verification,
): Verified {
  const { headers } = request;
  refuseSecurityToken(single(headers, 'x-amz-security-token'));
  const match = /^AWS ([^:\s]+):(\S+)$/.exec(authorization);
  if (match === null)
    throw unauthenticated('InvalidArgument', 'Authorization must be "AWS AccessKeyId:Signature"', {
      ArgumentName: 'Authorization',
    });
  const amzDate = single(headers, 'x-amz-date');
  const date = amzDate ?? single(headers, 'date') ?? '';
  const timeMs = parseHttpDate(date) ?? parseAmzDate(date);
  if (timeMs === undefined) throw accessDenied('AWS authentication requires a valid Date or x-amz-date header');
  refuseSkew(timeMs, context);
  const signed = { request, parameters, dateLine: amzDate === undefined ? date : '', signature: match[2] ?? '' };
  const identity = verify(signed, match[1] ?? '', context);
  return { scheme: 'sigv2-header', signatureAgeMs: context.nowMs - timeMs, identity, payload: payloadOf(request) };
}

export function verifyQueryV2(
  request: AuthRequest,
  parameters: readonly QueryParameter[],
  context: Verification,
): Verified {
  const field = (name: string): string => requiredField(parameters, name);
  const accessKeyId = field('AWSAccessKeyId');
  const expires = field('Expires');
  const signature = field('Signature').replaceAll(' ', '+');
  refuseSecurityToken(parameters.find(({ name }) => name === 'x-amz-security-token')?.value);
  if (!/^\d{1,12}$/.test(expires)) throw accessDenied(`Invalid date (should be seconds since epoch): ${expires}`);
  const endMs = Number(expires) * 1000;
  if (context.nowMs > endMs)
    throw accessDenied('Request has expired', { Expires: toIso(endMs), ServerTime: toIso(context.nowMs) });
  const identity = verify({ request, parameters, dateLine: expires, signature }, accessKeyId, context);
  return { scheme: 'sigv2-query', identity, payload: payloadOf(request) };
}

function requiredField(parameters: readonly QueryParameter[], name: string): string {
  const values = parameters.filter((parameter) => parameter.name === name);
  const value = values[0]?.value ?? '';
  if (values.length === 1 && value !== '') return value;
  throw accessDenied('Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters');
}

function payloadOf({ headers }: AuthRequest): Verified['payload'] {
  return payloadCheck(single(headers, 'x-amz-content-sha256') ?? UNSIGNED_PAYLOAD, headers);
}

function verify(signed: Signed, accessKeyId: string, context: Verification): Identity {
  const unsignable = signed.parameters.find(({ name }) => NEVER_SIGNED.has(name));
  if (unsignable !== undefined)
    throw accessDenied(`Signature Version 2 does not cover "${unsignable.name}". Please use AWS4-HMAC-SHA256.`);
  const identity = context.identify(accessKeyId);
  const texts = pathReadings(signed.request.rawPath).map((path) => stringToSign(signed, path));
  if (texts.some((text) => fits(signed, identity, text))) return identity;
  const text = texts[0] ?? '';
  throw signatureMismatch({
    AWSAccessKeyId: accessKeyId,
    StringToSign: text,
    SignatureProvided: signed.signature,
    StringToSignBytes: spacedHex(Buffer.from(text, 'latin1')),
  });
}

/** The path as sent and as re-encoded; a bucket also with the slash behind it, which botocore signs and does not send. */
function pathReadings(rawPath: string): readonly string[] {
  const readings = [...new Set([rawPath, canonicalPath(rawPath)])];
  return /^\/[^/]+$/.test(rawPath) ? [...readings, ...readings.map((path) => `${path}/`)] : readings;
}

/** Compared as text: the last digit of a base64 signature has bits that decoding would ignore. */
function fits({ signature }: Signed, { secretKey }: Identity, text: string): boolean {
  const expected = Buffer.from(createHmac('sha1', secretKey).update(text, 'latin1').digest('base64'));
  const given = Buffer.from(signature);
  return given.length === expected.length && timingSafeEqual(given, expected);
}

function stringToSign({ request, parameters, dateLine }: Signed, path: string): string {
  const { headers, method, virtualHostBucket } = request;
  const line = (name: string): string => trimmedValue(headers, name);
  const names = Object.keys(headers)
    .filter((name) => name.startsWith('x-amz-'))
    .sort();
  const amzHeaders = names.map((name) => `${name}:${line(name)}\n`).join('');
  const bucket = virtualHostBucket === undefined ? '' : `/${virtualHostBucket}`;
  return `${method}\n${line('content-md5')}\n${line('content-type')}\n${dateLine}\n${amzHeaders}${bucket}${path}${subresources(parameters)}`;
}

function subresources(parameters: readonly QueryParameter[]): string {
  const signed = parameters
    .filter(({ name }) => SIGNED.has(name))
    .map(({ name, value }) => (value === '' ? name : `${name}=${value}`))
    .sort();
  return signed.length === 0 ? '' : `?${signed.join('&')}`;
}
