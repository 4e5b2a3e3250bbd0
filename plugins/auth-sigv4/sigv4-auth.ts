/** The auth port over SigV4, SigV2 and AWS policies. Keeps nothing but derived keys, and those in memory. */
import {
  SkerryError,
  type Auth,
  type AuthRequest,
  type Authenticated,
  type Clock,
  type Identity,
  type IdentityDirectory,
  type Principal,
} from '../../core/contracts/index.ts';
import { single } from './headers.ts';
import type { SigV4Options } from './options.ts';
import { payloadCheck, UNSIGNED_PAYLOAD } from './payload.ts';
import { parseQuery, type QueryParameter } from './percent.ts';
import { createAuthorizer } from './policy/authorize.ts';
import { validateBucketPolicy } from './policy/bucket-policy.ts';
import { unauthenticated } from './refusals.ts';
import { signRequest } from './sign.ts';
import { createSigningKeys } from './signing-keys.ts';
import { refuseVersion2, verifyHeaderV2, verifyQueryV2 } from './sigv2.ts';
import { verifyHeader, verifyQuery, type Verification, type Verified } from './sigv4.ts';

export interface SigV4Deps {
  readonly clock: Clock;
  readonly identities: IdentityDirectory;
}

const ANONYMOUS: Principal = Object.freeze({
  anonymous: true,
  userId: 'anonymous',
  displayName: 'anonymous',
  account: '000000000000',
  arn: 'arn:aws:iam::000000000000:user/anonymous',
});

type State = 'new' | 'open' | 'closed';

export function createSigV4Auth({ clock, identities }: SigV4Deps, options: SigV4Options): Auth {
  const keys = createSigningKeys(options.signingKeyCacheEntries);
  const authorize = createAuthorizer({ clock, identities });
  let state: State = 'new';

  const requireOpen = (): void => {
    if (state !== 'open') throw new SkerryError('Closed', 'auth-sigv4 is not open');
  };
  const identify = (accessKeyId: string): Identity => {
    const identity = identities.find(accessKeyId);
    if (identity?.enabled === true) return identity;
    throw unauthenticated('InvalidAccessKeyId', 'The AWS Access Key Id you provided does not exist in our records.', {
      AWSAccessKeyId: accessKeyId,
    });
  };

  return {
    async open() {
      if (state !== 'new') throw new SkerryError('Closed', 'auth-sigv4 opens once');
      state = 'open';
    },
    async close() {
      state = 'closed';
      keys.clear();
    },
    async authenticate(request) {
      requireOpen();
      return authenticate(request, { nowMs: clock.wallMs(), options, identify, keyFor: keys.keyFor });
    },
    async sign(request, principal) {
      requireOpen();
      if (principal.accessKeyId === undefined) return {};
      return signRequest(request, identify(principal.accessKeyId), {
        nowMs: clock.wallMs(),
        region: options.region,
        keyFor: keys.keyFor,
      });
    },
    authorize(input) {
      requireOpen();
      return authorize(input);
    },
    validatePolicy(document, bucket) {
      requireOpen();
      validateBucketPolicy(document, bucket);
    },
  };
}

function authenticate(request: AuthRequest, context: Verification): Authenticated {
  const parameters = parseQuery(request.rawQuery);
  const authorization = single(request.headers, 'authorization');
  const inQuery = parameters.some(({ name }) => QUERY_V4.has(name) || QUERY_V2.has(name));
  if (authorization !== undefined && inQuery) {
    throw unauthenticated(
      'InvalidArgument',
      'Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified',
      { ArgumentName: 'Authorization' },
    );
  }
  const verified =
    authorization === undefined
      ? verifyParameters(request, parameters, context)
      : verifyAuthorization(request, authorization, parameters, context);
  if (verified === undefined) return anonymous(request);
  const { identity, ...rest } = verified;
  return { ...rest, principal: principalOf(identity) };
}

const QUERY_V4: ReadonlySet<string> = new Set(['X-Amz-Algorithm', 'X-Amz-Credential', 'X-Amz-Signature']);
const QUERY_V2: ReadonlySet<string> = new Set(['AWSAccessKeyId', 'Signature']);

function verifyAuthorization(
  request: AuthRequest,
  authorization: string,
  parameters: readonly QueryParameter[],
  context: Verification,
): Verified {
  if (/^AWS4-HMAC-SHA256[ ,]/.test(authorization)) return verifyHeader(request, authorization, parameters, context);
  if (authorization.startsWith('AWS ') && context.options.sigv2 === 'all') {
    return verifyHeaderV2(request, authorization, parameters, context);
  }
  if (authorization.startsWith('AWS')) return refuseVersion2();
  throw unauthenticated('InvalidArgument', 'Unsupported Authorization Type', { ArgumentName: 'Authorization' });
}

function verifyParameters(
  request: AuthRequest,
  parameters: readonly QueryParameter[],
  context: Verification,
): Verified | undefined {
  if (parameters.some(({ name }) => QUERY_V4.has(name))) return verifyQuery(request, parameters, context);
  if (!parameters.some(({ name }) => QUERY_V2.has(name))) return undefined;
  if (context.options.sigv2 === 'off') return refuseVersion2();
  return verifyQueryV2(request, parameters, context);
}

function anonymous({ headers }: AuthRequest): Authenticated {
  const declared = single(headers, 'x-amz-content-sha256') ?? UNSIGNED_PAYLOAD;
  return { scheme: 'anonymous', principal: ANONYMOUS, payload: payloadCheck(declared, headers) };
}

function principalOf({ userId, displayName, accessKeyId, account, policy }: Identity): Principal {
  return {
    anonymous: false,
    userId,
    displayName,
    accessKeyId,
    account,
    arn: `arn:aws:iam::${account}:user/${displayName}`,
    policy,
  };
}
