/** Auth plugins that are broken in one way each. The auth kit must fail every one of them. */
import {
  decodeFrames,
  FrameDecoder,
  isSkerryError,
  SkerryError,
  type Auth,
  type Authenticated,
  type AuthRequest,
  type Identity,
  type Json,
} from '../../../core/contracts/index.ts';
import sigv4 from '../../../plugins/auth-sigv4/index.ts';
import type { AuthWorld } from '../auth/world.ts';

export interface AuthMutant {
  /** Completes "one that ...". */
  readonly name: string;
  readonly create: (world: AuthWorld) => Auth;
}

type SigV4Options = Parameters<typeof sigv4.create>[1];
const OPTIONS: SigV4Options = {
  region: 'us-east-1',
  acceptAnyRegion: true,
  maxClockSkewMs: 900_000,
  sigv2: 'query',
  signingKeyCacheEntries: 16,
};

const sound = ({ deps }: AuthWorld, options: Partial<SigV4Options> = {}): Auth =>
  sigv4.create(deps, { ...OPTIONS, ...options });

/** A sound plugin with some methods replaced. */
function broken(name: string, breaks: (auth: Auth, world: AuthWorld) => Partial<Auth>): AuthMutant {
  return {
    name,
    create: (world) => {
      const auth = sound(world);
      return { ...auth, ...breaks(auth, world) };
    },
  };
}

/** Changes what a sound `authenticate` found. */
function afterwards(name: string, change: (found: Authenticated, request: AuthRequest) => Authenticated): AuthMutant {
  return broken(name, (auth) => ({
    authenticate: async (request) => change(await auth.authenticate(request), request),
  }));
}

/** Changes the request before a sound `authenticate` sees it. */
function beforehand(name: string, change: (request: AuthRequest) => AuthRequest): AuthMutant {
  return broken(name, (auth) => ({ authenticate: (request) => auth.authenticate(change(request)) }));
}

/** Changes the bucket policy before a sound `authorize` sees it. */
function misreading(
  name: string,
  change: (statement: { readonly [key: string]: Json }) => Json | undefined,
): AuthMutant {
  return broken(name, (auth) => ({
    authorize: (input) => {
      const policy = input.bucketPolicy as { readonly Statement?: Json } | undefined;
      if (typeof policy !== 'object' || !Array.isArray(policy?.Statement)) return auth.authorize(input);
      const statements = policy.Statement.map(change).filter((statement) => statement !== undefined);
      return auth.authorize({ ...input, bucketPolicy: { ...policy, Statement: statements } });
    },
  }));
}

/** With other identities than the directory's. */
function mistaking(
  name: string,
  find: (world: AuthWorld) => (accessKeyId: string) => Identity | undefined,
): AuthMutant {
  return {
    name,
    create: (world) => {
      const identities = { ...world.identities, find: find(world) };
      return sigv4.create({ ...world.deps, identities }, OPTIONS);
    },
  };
}

const signedNames = ({ headers, rawQuery }: AuthRequest): string =>
  `${headers['authorization']?.[0] ?? ''}${decodeURIComponent(rawQuery.replaceAll('%', '%25'))}`;

const withoutUnsigned = (request: AuthRequest): AuthRequest => {
  const names = signedNames(request);
  const kept = Object.entries(request.headers).filter(([name]) => !name.startsWith('x-amz-') || names.includes(name));
  return { ...request, headers: Object.fromEntries(kept) };
};

const unverified = (found: Authenticated, { headers }: AuthRequest): Authenticated => {
  const { payload } = found;
  if (payload.kind !== 'framed') return found;
  const announced = headers['x-amz-trailer'] ?? [];
  const decoder = new FrameDecoder({ trailers: true, announced, decodedLength: payload.decodedLength });
  const decode = (body: AsyncIterable<Uint8Array>) => decodeFrames(body, decoder);
  return { ...found, payload: { ...payload, decode, trailers: () => decoder.trailers() } };
};

async function* lenient(decoded: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  try {
    yield* decoded;
  } catch (error) {
    if (!isSkerryError(error, 'IncompleteBody')) throw error;
  }
}

async function* shared(decoded: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  for await (const piece of decoded) if (piece.length > 1) yield piece;
}

/** Like a plugin that verifies a signature and does not look at the outcome. */
const blind = (auth: Auth, { identities }: AuthWorld): Partial<Auth> => ({
  async authenticate(request) {
    try {
      return await auth.authenticate(request);
    } catch (error) {
      const known = isSkerryError(error) && error.details['reason'] === 'SignatureDoesNotMatch';
      const who = identities.find('AKIAIOSFODNN7EXAMPLE');
      if (!known || who === undefined) throw error;
      const principal = { ...who, anonymous: false, arn: `arn:aws:iam::${who.account}:user/${who.displayName}` };
      return { principal, payload: { kind: 'unsigned' }, scheme: 'sigv4-header' };
    }
  },
});

export const authMutants: readonly AuthMutant[] = [
  broken('accepts any signature', blind),
  { name: 'never looks at the clock', create: (world) => sound(world, { maxClockSkewMs: Number.MAX_SAFE_INTEGER }) },
  {
    name: 'never lets a presigned URL expire',
    create: (world) => {
      let nowMs: number | undefined;
      const clock = { ...world.clock, wallMs: () => nowMs ?? world.clock.wallMs() };
      const auth = sigv4.create({ ...world.deps, clock }, OPTIONS);
      const authenticate = (request: AuthRequest): Promise<Authenticated> => {
        nowMs = request.rawQuery.includes('X-Amz-Date=20130524T000000Z') ? Date.UTC(2013, 4, 24) : undefined;
        return auth.authenticate(request);
      };
      return { ...auth, authenticate };
    },
  },
  mistaking('serves disabled keys', ({ identities }) => (accessKeyId) => {
    const who = identities.find(accessKeyId);
    return who === undefined ? undefined : { ...who, enabled: true };
  }),
  mistaking('remembers a secret for ever', ({ identities }) => {
    const known = new Map<string, Identity>();
    return (accessKeyId) => {
      const who = known.get(accessKeyId) ?? identities.find(accessKeyId);
      if (who !== undefined) known.set(accessKeyId, who);
      return who;
    };
  }),
  beforehand('lets unsigned x-amz headers through', withoutUnsigned),
  beforehand('decodes the path twice', (request) => {
    const once = request.rawPath.replace(/%25([0-9A-F]{2})/g, '%$1');
    return { ...request, rawPath: once };
  }),
  beforehand('folds dots in the path', (request) => ({
    ...request,
    rawPath: new URL(request.rawPath, 'http://host').pathname,
  })),
  beforehand('ignores added parameters', (request) => ({ ...request, rawQuery: request.rawQuery.replace('&acl', '') })),
  beforehand('joins no repeated headers', (request) => ({
    ...request,
    headers: Object.fromEntries(Object.entries(request.headers).map(([name, values]) => [name, values.slice(0, 1)])),
  })),
  afterwards('skips chunk signatures', unverified),
  afterwards('takes a body that ends early', (found) => {
    const { payload } = found;
    if (payload.kind !== 'framed') return found;
    return { ...found, payload: { ...payload, decode: (body) => lenient(payload.decode(body)) } };
  }),
  afterwards('loses short pieces', (found) => {
    const { payload } = found;
    if (payload.kind !== 'framed') return found;
    return { ...found, payload: { ...payload, decode: (body) => shared(payload.decode(body)) } };
  }),
  afterwards('loses trailers', (found) => {
    const { payload } = found;
    return payload.kind === 'framed' ? { ...found, payload: { ...payload, trailers: () => ({}) } } : found;
  }),
  afterwards('forgets the hash of the body', (found) => {
    return found.payload.kind === 'sha256' ? { ...found, payload: { kind: 'unsigned' } } : found;
  }),
  broken('tells the secret', (auth, { identities }) => ({
    authenticate: (request) =>
      auth.authenticate(request).catch((error: unknown) => {
        if (!isSkerryError(error)) throw error;
        const details = { ...error.details, secret: identities.find('AKIAIOSFODNN7EXAMPLE')?.secretKey };
        throw new SkerryError(error.code, error.message, { details });
      }),
  })),
  broken('crashes on garbage', (auth) => ({
    authenticate: async (request) => {
      if (request.headers['authorization']?.[0]?.includes('=') === false) throw new TypeError('no "=" in it');
      return auth.authenticate(request);
    },
  })),
  misreading('lets an allow win', (statement) => (statement['Effect'] === 'Deny' ? undefined : statement)),
  misreading('overlooks conditions', ({ Condition: _dropped, ...rest }) => rest),
  misreading('matches resources by prefix', (statement) => {
    const { Resource } = statement;
    return typeof Resource === 'string' ? { ...statement, Resource: Resource.replace(/\/.*$/, '*') } : statement;
  }),
  broken('trusts every account', (auth) => ({
    authorize: (input) => auth.authorize({ ...input, owner: input.principal.userId }),
  })),
  broken('throws at a refusal', (auth) => ({
    authorize: (input) => {
      const decision = auth.authorize(input);
      if (!decision.allowed) throw new SkerryError('AccessDenied', decision.reason);
      return decision;
    },
  })),
  broken('takes any policy', () => ({ validatePolicy: () => undefined })),
  broken('signs no header that was there', (auth) => ({
    sign: ({ headers, ...rest }, principal) => {
      const { host = [] } = headers;
      return auth.sign({ ...rest, headers: { host } }, principal);
    },
  })),
  broken('signs the path decoded', (auth) => ({
    sign: (request, principal) => auth.sign({ ...request, rawPath: decodeURIComponent(request.rawPath) }, principal),
  })),
  broken('answers after close', (auth) => ({ close: async () => undefined, authenticate: auth.authenticate })),
];
