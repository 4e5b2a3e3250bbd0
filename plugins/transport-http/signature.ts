/**
 * Who calls, proved: what the heads of request and answer say, their HMACs, and the keys of a call's frames. The bytes are
 * those of docs/data-format/transport-http.md.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

import type { Origin, SiteId } from '../../core/contracts/index.ts';
import type { Encoding } from './compression.ts';
import { ORIGIN, PATH_PREFIX, PAYLOAD_MAX_BYTES } from './protocol.ts';

/** What the head of a request says besides the name of the call. */
export interface Claim {
  readonly from: Origin;
  readonly to: SiteId;
  /** Unix milliseconds by the caller's clock. */
  readonly timeMs: number;
  /** 32 lower-case hex digits. */
  readonly nonce: string;
  /** Bytes of the body as sent. */
  readonly sentBytes: number;
  /** Bytes of the body as meant. */
  readonly rawBytes: number;
  readonly encoding: Encoding;
  /** How frames may be packed. */
  readonly accept: Encoding;
  /** SHA-256 of the body as sent, hex. */
  readonly hash: string;
}

export interface SignedClaim extends Claim {
  /** The bytes that were signed. */
  readonly text: string;
  /** 64 hex digits. */
  readonly mac: string;
}

const SCHEME = 'Skerry1';
const CLAIM = new RegExp(
  `^${SCHEME} (from=([a-z0-9.-]{1,49}), to=([a-z0-9-]{1,32}), time=(\\d{1,15}), nonce=([0-9a-f]{32}), ` +
    'sent=(\\d{1,8}), raw=(\\d{1,8}), encoding=(none|zstd|gzip), accept=(none|zstd|gzip), hash=([0-9a-f]{64})), mac=([0-9a-f]{64})$',
);
const ANSWER = /^nonce=([0-9a-f]{32}), mac=([0-9a-f]{64})$/;

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

function hmac(key: string, lines: readonly (string | number)[]): Buffer {
  return createHmac('sha256', key).update(lines.join('\n')).digest();
}

/** Compared in a time that does not depend on where they differ. */
function sameMac(expected: Buffer, hex: string): boolean {
  return timingSafeEqual(expected, Buffer.from(hex, 'hex'));
}

const requestMac = (key: string, name: string, text: string): Buffer =>
  hmac(key, ['skerry-http-1 request', `POST ${PATH_PREFIX}${name}`, text]);

const answerMac = (key: string, claim: SignedClaim, answer: Omit<Answer, 'mac'>): Buffer =>
  hmac(key, ['skerry-http-1 answer', claim.mac, answer.status, answer.nonce, sha256(answer.body)]);

/** Value of the `authorization` header, and the claim as signed. */
export function signClaim(key: string, name: string, claim: Claim): { header: string; signed: SignedClaim } {
  const { from, to, timeMs, nonce, sentBytes, rawBytes, encoding, accept, hash } = claim;
  const text =
    `from=${from}, to=${to}, time=${timeMs}, nonce=${nonce}, ` +
    `sent=${sentBytes}, raw=${rawBytes}, encoding=${encoding}, accept=${accept}, hash=${hash}`;
  const mac = requestMac(key, name, text).toString('hex');
  return { header: `${SCHEME} ${text}, mac=${mac}`, signed: { ...claim, text, mac } };
}

/** `undefined` for a header of another form. Nothing in it is believed yet. */
export function readClaim(header: string): SignedClaim | undefined {
  const match = CLAIM.exec(header);
  if (match === null) return undefined;
  const [, text = '', from = '', to = '', time, nonce = '', sent, raw, encoding, accept, hash = '', mac = ''] = match;
  const [sentBytes, rawBytes] = [Number(sent), Number(raw)];
  if (!ORIGIN.test(from) || sentBytes > PAYLOAD_MAX_BYTES || rawBytes > PAYLOAD_MAX_BYTES) return undefined;
  const [packed, unpacked] = [encoding as Encoding, accept as Encoding];
  if (packed === 'none' && sentBytes !== rawBytes) return undefined;
  const claim = {
    from,
    to,
    timeMs: Number(time),
    nonce,
    sentBytes,
    rawBytes,
    encoding: packed,
    accept: unpacked,
    hash,
  };
  return { ...claim, text, mac };
}

export function isSignedBy(key: string, name: string, claim: SignedClaim): boolean {
  return sameMac(requestMac(key, name, claim.text), claim.mac);
}

/** The head of an answer: the server shows that it knows the key, and chooses a nonce of its own. */
export interface Answer {
  readonly status: number;
  readonly nonce: string;
  /** Of a refusal; empty for a stream, whose frames are signed one by one. */
  readonly body: Uint8Array;
  readonly mac: string;
}

export function signAnswer(key: string, claim: SignedClaim, answer: Omit<Answer, 'mac'>): string {
  return `nonce=${answer.nonce}, mac=${answerMac(key, claim, answer).toString('hex')}`;
}

/** The server's nonce, or `undefined` when whoever answered does not know the key. */
export function checkAnswer(
  key: string,
  claim: SignedClaim,
  { header, status, body }: { readonly header: string | undefined; readonly status: number; readonly body: Uint8Array },
): string | undefined {
  const [, nonce, mac] = ANSWER.exec(header ?? '') ?? [];
  if (nonce === undefined || mac === undefined) return undefined;
  return sameMac(answerMac(key, claim, { status, nonce, body }), mac) ? nonce : undefined;
}

/** Keys of a call's frames, one for each direction. Both nonces are in them: no frame fits any other call. */
export function frameKeys(key: string, claim: SignedClaim, nonce: string) {
  const derive = (direction: string): Buffer => hmac(key, ['skerry-http-1 frames', direction, claim.mac, nonce]);
  return { caller: derive('caller'), server: derive('server') };
}
