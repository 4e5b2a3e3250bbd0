/**
 * Calls the other way round: a site that can only dial out lends its peer the link, so that the peer can call it. Needed where the
 * peer lacks ops that are trimmed here and has to read a snapshot that it cannot dial for.
 */
import { ERROR_CODES, type VersionVector, type ErrorCode } from '../contracts/index.ts';
import { flag, jsonTo, oneOf, optional, record, refuse, text, textLike, whole } from './check.ts';
import { version, type Codec } from './codec.ts';
import { decodeFrame, encodeFrame } from './frames.ts';
import { vector } from './identity-checks.ts';

export interface TurnRequest {
  readonly protocol: number;
  /** What the lender has: a peer that lacks nothing of it has no use for the link. */
  readonly vector: VersionVector;
}

/** What the borrower wants of the lender, until it gives the link back by ending the call. */
export type TurnFrame =
  | { readonly kind: 'call'; readonly id: number; readonly name: string; readonly body: Uint8Array }
  | { readonly kind: 'cancel'; readonly id: number }
  /** Nothing now; the link is still in use. */
  | { readonly kind: 'busy' };

export interface TurnedError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryable: boolean;
  readonly details: Readonly<Record<string, unknown>>;
}

/** One frame of the answer to a call, its end, or its failure. */
export type TurnedRequest = { readonly protocol: number; readonly id: number } & (
  | { readonly kind: 'frame'; readonly bytes: Uint8Array }
  | { readonly kind: 'end' }
  | { readonly kind: 'error'; readonly error: TurnedError }
);

export interface TurnedAnswer {
  /** False: nobody waits for this answer any more. */
  readonly taken: boolean;
}

const id = whole(1, Number.MAX_SAFE_INTEGER);
const callName = textLike<string>(/^[a-z][a-z0-9-]{0,31}$/, 'the name of a call');
const turnHead = record({ protocol: version, vector });
const frameKind = record({ kind: oneOf('call', 'cancel', 'busy') });
const callHead = record({ id, name: callName });
const cancelHead = record({ id });
const turnedHead = record({ protocol: version, id, kind: oneOf('frame', 'end', 'error') });
const errorHead = record({
  error: record({ code: oneOf(...ERROR_CODES), message: text(10_000), retryable: flag, details: optional(jsonTo(8)) }),
});
const answerHead = record({ taken: flag });

const noRaw = (raw: Uint8Array): void => {
  if (raw.length > 0) refuse('message', 'raw bytes where none belong');
};

export const turnRequest: Codec<TurnRequest> = {
  encode: (message) => encodeFrame(message),
  decode(bytes) {
    const { head, raw } = decodeFrame(bytes);
    noRaw(raw);
    return turnHead(head, 'message');
  },
};

export const turnFrame: Codec<TurnFrame> = {
  encode(message) {
    if (message.kind !== 'call') return encodeFrame(message);
    const { body, ...head } = message;
    return encodeFrame(head, [body]);
  },
  decode(bytes) {
    const { head, raw } = decodeFrame(bytes);
    const { kind } = frameKind(head, 'message');
    if (kind === 'call') {
      const call = callHead(head, 'message');
      return { kind, id: call.id, name: call.name, body: raw };
    }
    noRaw(raw);
    return kind === 'busy' ? { kind } : { kind, id: cancelHead(head, 'message').id };
  },
};

export const turnedRequest: Codec<TurnedRequest> = {
  encode(message) {
    if (message.kind !== 'frame') return encodeFrame(message);
    const { bytes, ...head } = message;
    return encodeFrame(head, [bytes]);
  },
  decode(given) {
    const { head, raw } = decodeFrame(given);
    const { protocol, id: call, kind } = turnedHead(head, 'message');
    if (kind === 'frame') return { protocol, id: call, kind, bytes: raw };
    noRaw(raw);
    if (kind === 'end') return { protocol, id: call, kind };
    const { code, message, retryable, details } = errorHead(head, 'message').error;
    const known = typeof details === 'object' && details !== null ? (details as TurnedError['details']) : {};
    return { protocol, id: call, kind, error: { code, message, retryable, details: known } };
  },
};

export const turnedAnswer: Codec<TurnedAnswer> = {
  encode: (message) => encodeFrame(message),
  decode(bytes) {
    const { head, raw } = decodeFrame(bytes);
    noRaw(raw);
    return answerHead(head, 'message');
  },
};
