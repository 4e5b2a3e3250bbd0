/** What `x-amz-content-sha256` says of the body, and the check that follows from it. */
import { framedPayload, type FrameVerifier, type PayloadCheck } from '../../core/contracts/index.ts';
import type { Headers } from './headers.ts';
import { unauthenticated } from './refusals.ts';

type DeclaredPayload =
  | { readonly kind: 'unsigned' }
  | { readonly kind: 'sha256' }
  | { readonly kind: 'framed'; readonly signed: boolean; readonly trailers: boolean };

export const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD';

const MODES: ReadonlyMap<string, DeclaredPayload> = new Map<string, DeclaredPayload>([
  [UNSIGNED_PAYLOAD, { kind: 'unsigned' }],
  ['STREAMING-UNSIGNED-PAYLOAD-TRAILER', { kind: 'framed', signed: false, trailers: true }],
  ['STREAMING-AWS4-HMAC-SHA256-PAYLOAD', { kind: 'framed', signed: true, trailers: false }],
  ['STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER', { kind: 'framed', signed: true, trailers: true }],
]);

function declaredPayload(value: string): DeclaredPayload {
  const mode = MODES.get(value);
  if (mode !== undefined) return mode;
  if (/^[0-9a-f]{64}$/.test(value)) return { kind: 'sha256' };
  throw unauthenticated(
    'InvalidArgument',
    `x-amz-content-sha256 must be ${UNSIGNED_PAYLOAD}, one of the STREAMING modes, or a valid sha256 value.`,
    { ArgumentName: 'x-amz-content-sha256', ArgumentValue: value },
  );
}

/** `verifier` is made only when chunk signatures are to be checked; absent, a body with signed chunks is refused. */
export function payloadCheck(value: string, headers: Headers, verifier?: () => FrameVerifier): PayloadCheck {
  const declared = declaredPayload(value);
  if (declared.kind === 'unsigned') return { kind: 'unsigned' };
  if (declared.kind === 'sha256') return { kind: 'sha256', hex: value };
  if (!declared.signed) return framedPayload(headers, { trailers: declared.trailers });
  if (verifier === undefined) {
    throw unauthenticated('InvalidRequest', `${value} needs a request signed with AWS4-HMAC-SHA256`);
  }
  return framedPayload(headers, { trailers: declared.trailers, verifier: verifier() });
}
