/** Signatures of aws-chunked frames: each is signed together with the one before it, the first with the request's own. */
import { createHash, hash, type Hash, type KeyObject } from 'node:crypto';

import type { FrameVerifier } from '../../core/contracts/index.ts';
import { sameSignature, signatureMismatch, signatureOf, type SignedRequest } from './canonical.ts';
import { scopeText } from './credential.ts';

const EMPTY_SHA256 = hash('sha256', '', 'hex');

export function createChunkVerifier(
  seed: Pick<SignedRequest, 'amzDate' | 'scope' | 'signature'>,
  key: KeyObject,
): FrameVerifier {
  const scope = scopeText(seed.scope);
  let previous = seed.signature;
  let running: Hash | undefined;

  const check = (signature: string, algorithm: string, hashed: string): void => {
    const text = `${algorithm}\n${seed.amzDate}\n${scope}\n${previous}\n${hashed}`;
    if (!sameSignature(signature, signatureOf(key, text)))
      throw signatureMismatch({ StringToSign: text, SignatureProvided: signature });
    previous = signature;
  };

  return {
    update(bytes) {
      running ??= createHash('sha256');
      running.update(bytes);
    },
    endChunk(signature) {
      const sha256 = running === undefined ? EMPTY_SHA256 : running.digest('hex');
      running = undefined;
      check(signature, 'AWS4-HMAC-SHA256-PAYLOAD', `${EMPTY_SHA256}\n${sha256}`);
    },
    endTrailers(canonical, signature) {
      check(signature, 'AWS4-HMAC-SHA256-TRAILER', hash('sha256', Buffer.from(canonical, 'latin1'), 'hex'));
    },
  };
}
