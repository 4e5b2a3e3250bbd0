/** Signing a request in the name of an identity: what a site does that hands a client's request on to another one. */
import type { KeyObject } from 'node:crypto';
import type { AuthRequest, Identity } from '../../core/contracts/index.ts';
import { requestSignature } from './canonical.ts';
import { scopeText } from './credential.ts';
import { single } from './headers.ts';
import { UNSIGNED_PAYLOAD } from './payload.ts';
import { parseQuery } from './percent.ts';
import type { Scope } from './signing-keys.ts';
import { toAmzDate } from './times.ts';

export interface Signing {
  readonly nowMs: number;
  readonly region: string;
  keyFor(identity: Identity, scope: Scope): KeyObject;
}

/** `x-amz-date` and `authorization`, over every header that is given. */
export function signRequest(
  request: Pick<AuthRequest, 'method' | 'rawPath' | 'rawQuery' | 'headers'>,
  identity: Identity,
  { nowMs, region, keyFor }: Signing,
): Readonly<Record<string, string>> {
  const amzDate = toAmzDate(nowMs);
  const headers = { ...request.headers, 'x-amz-date': [amzDate] };
  const signedHeaders = Object.keys(headers).toSorted();
  const { accessKeyId } = identity;
  const scope: Scope = { date: amzDate.slice(0, 8), region };
  const payloadHash = single(headers, 'x-amz-content-sha256') ?? UNSIGNED_PAYLOAD;
  const parameters = parseQuery(request.rawQuery);
  const unsigned = {
    request: { ...request, headers },
    parameters,
    signedHeaders,
    payloadHash,
    accessKeyId,
    scope,
    amzDate,
  };
  const signature = requestSignature(unsigned, keyFor(identity, scope));
  const credential = `${accessKeyId}/${scopeText(scope)}`;
  const fields = `Credential=${credential}, SignedHeaders=${signedHeaders.join(';')}, Signature=${signature}`;
  return { 'x-amz-date': amzDate, authorization: `AWS4-HMAC-SHA256 ${fields}` };
}
