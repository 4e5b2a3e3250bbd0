/** Who gets in: reads the head of a request, believes nothing before it is proved, and says why not. */
import { SkerryError, type Clock, type PeerIdentity } from '../../core/contracts/index.ts';
import { CALL_NAME, ORIGIN, PATH_PREFIX, SITE_ID } from './protocol.ts';
import type { KeyRing } from './keys.ts';
import type { ReplayGuard } from './replay.ts';
import { isSignedBy, readClaim, type SignedClaim } from './signature.ts';

export interface Admitted {
  readonly name: string;
  readonly from: PeerIdentity;
  readonly claim: SignedClaim;
  readonly key: string;
}

export interface Refused {
  readonly status: number;
  /** For the log, and in the details of the error: `bad-signature`, `replayed`, ... */
  readonly reason: string;
  readonly error: SkerryError;
  /** Present when the caller has proved who it is: the refusal is signed for it. */
  readonly proved?: { readonly claim: SignedClaim; readonly key: string };
}

export interface GatePorts {
  readonly clock: Clock;
  readonly keys: KeyRing;
  readonly replays: ReplayGuard;
  readonly self: PeerIdentity;
}

export interface RequestHead {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
}

export function admit(ports: GatePorts, { method, path, authorization }: RequestHead): Admitted | Refused {
  if (!path.startsWith(PATH_PREFIX)) return refused(404, 'no-such-path', 'InvalidArgument', 'nothing is here');
  if (method !== 'POST') return refused(405, 'not-post', 'InvalidArgument', 'calls are POST requests');
  const name = path.slice(PATH_PREFIX.length);
  if (!CALL_NAME.test(name)) return refused(400, 'bad-name', 'InvalidArgument', 'no name of a call');
  const claim = authorization === undefined ? undefined : readClaim(authorization);
  if (claim === undefined) return refused(401, 'unsigned', 'Unauthenticated', 'the request is not signed');
  return judge(ports, name, claim);
}

function judge({ clock, keys, replays, self }: GatePorts, name: string, claim: SignedClaim): Admitted | Refused {
  const site = ORIGIN.exec(claim.from)?.[1] ?? '';
  const key = keys.accepted(site).find((one) => isSignedBy(one, name, claim));
  if (key === undefined)
    return refused(401, 'bad-signature', 'Unauthenticated', 'the signature is not by a key that we share');
  const proved = { claim, key };
  if (claim.to !== self.site || !SITE_ID.test(claim.to))
    return refused(421, 'other-site', 'Unavailable', `this is site ${self.site}, not ${claim.to}`, { proved });
  const nowMs = clock.wallMs();
  switch (replays.admit(claim.nonce, claim.timeMs, nowMs)) {
    case 'stale': {
      const message = `the request is dated ${claim.timeMs}, the clock here says ${nowMs}`;
      return refused(401, 'stale', 'Unauthenticated', message, { proved, retryable: true });
    }
    case 'replayed':
      return refused(401, 'replayed', 'Unauthenticated', 'the request was sent before', { proved });
    case 'full':
      return refused(503, 'too-many-calls', 'SlowDown', 'too many calls within the time window', { proved });
    case 'fresh':
      return { name, from: Object.freeze({ site, origin: claim.from }), claim, key };
  }
}

function refused(
  status: number,
  reason: string,
  code: 'InvalidArgument' | 'Unauthenticated' | 'Unavailable' | 'SlowDown',
  message: string,
  { proved, retryable }: { readonly proved?: Refused['proved']; readonly retryable?: boolean } = {},
): Refused {
  const error = new SkerryError(code, message, {
    details: { reason, status },
    ...(retryable === undefined ? {} : { retryable }),
  });
  return { status, reason, error, ...(proved === undefined ? {} : { proved }) };
}
