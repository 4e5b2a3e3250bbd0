/**
 * The auth port without access control, for tests and for networks where everybody may. Signatures are not looked at, so that clients
 * may keep signing; what they say of the body is still held to: its hash, and the shape and length of its framing.
 */
import {
  framedPayload,
  SkerryError,
  type Auth,
  type AuthRequest,
  type Decision,
  type PayloadCheck,
  type Principal,
} from '../../core/contracts/index.ts';
import type { AnonymousOptions } from './options.ts';

type State = 'new' | 'open' | 'closed';

/** Actions of each permission that is not everything. */
const ALLOWED: Readonly<Record<'rw' | 'ro', RegExp>> = { rw: /^s3:/i, ro: /^s3:(get|list)/i };

export function createAnonymousAuth(options: AnonymousOptions): Auth {
  const principal = principalOf(options);
  let state: State = 'new';
  const requireOpen = (): void => {
    if (state !== 'open') throw new SkerryError('Closed', 'auth-anonymous is not open');
  };
  return {
    async open() {
      if (state !== 'new') throw new SkerryError('Closed', 'auth-anonymous opens once');
      state = 'open';
    },
    async close() {
      state = 'closed';
    },
    async authenticate({ headers }) {
      requireOpen();
      return { scheme: 'anonymous', principal, payload: payloadOf(headers) };
    },
    async sign() {
      requireOpen();
      return {};
    },
    authorize({ action }) {
      requireOpen();
      return decide(options.policy, action);
    },
    validatePolicy() {
      requireOpen();
      throw new SkerryError('NotSupported', 'auth-anonymous evaluates no policies, so it takes none: use auth-sigv4');
    },
  };
}

function principalOf({ policy, userId, displayName, account }: AnonymousOptions): Principal {
  const arn = `arn:aws:iam::${account}:user/${displayName}`;
  return Object.freeze({ anonymous: true, userId, displayName, account, arn, policy });
}

function decide(policy: AnonymousOptions['policy'], action: string): Decision {
  const allowed = policy === 'admin' || ALLOWED[policy].test(action);
  return { allowed, reason: `everybody has policy "${policy}"`, explicitDeny: false };
}

function payloadOf(headers: AuthRequest['headers']): PayloadCheck {
  const declared = headers['x-amz-content-sha256']?.[0] ?? '';
  if (/^[0-9a-f]{64}$/.test(declared)) return { kind: 'sha256', hex: declared };
  if (!declared.startsWith('STREAMING-')) return { kind: 'unsigned' };
  return framedPayload(headers, { trailers: declared.endsWith('-TRAILER') });
}
