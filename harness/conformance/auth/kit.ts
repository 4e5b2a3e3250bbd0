/** What the files of the auth kit share. */
import assert from 'node:assert/strict';

import * as fc from 'fast-check';

import {
  isSkerryError,
  type Auth,
  type Authenticated,
  type AuthRequest,
  type AuthSupports,
  type PayloadCheck,
  type SkerryError,
} from '../../../core/contracts/index.ts';
import { withOpen, type Fixture, type KitOptions } from '../runner.ts';
import { createAuthWorld, type AuthControls, type AuthWorld } from './world.ts';

/** As for every kit, but the port is made in a world that the kit controls. */
export interface AuthKitOptions extends Omit<KitOptions<Auth, AuthSupports>, 'create'> {
  /** `async ({ deps }) => ({ port: plugin.create(deps, options) })`. */
  readonly create: (world: AuthWorld) => Promise<Fixture<Auth>>;
}

export interface AuthKit extends AuthKitOptions {
  /** A test with a fresh open port and its world. */
  readonly withAuth: (title: string, body: (auth: Auth, world: AuthControls) => Promise<void>) => void;
  /** A property; every case gets a fresh open port. */
  readonly forAll: <T>(
    title: string,
    arbitrary: fc.Arbitrary<T>,
    body: (auth: Auth, drawn: T) => Promise<void>,
  ) => void;
}

export function toKit(options: AuthKitOptions): AuthKit {
  const { test, create, seed = 1, runs = 30 } = options;
  const inWorld = (body: (auth: Auth, world: AuthControls) => Promise<void>): Promise<void> => {
    const world = createAuthWorld();
    return withOpen(
      () => create(world),
      (auth) => body(auth, world),
    );
  };
  return {
    ...options,
    withAuth: (title, body) => test(title, () => inWorld(body)),
    forAll: (title, arbitrary, body) =>
      test(title, () =>
        fc.assert(
          fc.asyncProperty(arbitrary, (drawn) => inWorld((auth) => body(auth, drawn))),
          { seed, numRuns: runs },
        ),
      ),
  };
}

async function outcomeOf(call: () => Promise<unknown>): Promise<SkerryError | undefined> {
  try {
    await call();
    return undefined;
  } catch (error) {
    assert.ok(isSkerryError(error), `threw ${String(error)} instead of a SkerryError`);
    return error;
  }
}

/** The refusal of a request: `Unauthenticated` or `AccessDenied`, with the S3 code in `details.reason`. */
export async function refusal(auth: Auth, request: AuthRequest): Promise<SkerryError> {
  const error = await outcomeOf(() => auth.authenticate(request));
  assert.ok(error !== undefined, `accepted ${request.method} ${request.rawPath}?${request.rawQuery}`);
  assert.ok(
    error.code === 'Unauthenticated' || error.code === 'AccessDenied',
    `rejected with ${error.code} (${error.message})`,
  );
  assert.equal(typeof error.details['reason'], 'string', `no reason in ${error.code} (${error.message})`);
  return error;
}

export async function refusesWith(auth: Auth, request: AuthRequest, reason: string): Promise<void> {
  const error = await refusal(auth, request);
  assert.equal(error.details['reason'], reason, error.message);
}

export async function accepts(auth: Auth, request: AuthRequest): Promise<Authenticated> {
  const error = await outcomeOf(() => auth.authenticate(request));
  assert.equal(error, undefined, `refused ${request.method} ${request.rawPath}: ${String(error)}`);
  return auth.authenticate(request);
}

export interface Decoded {
  readonly bytes: Buffer;
  readonly trailers: Readonly<Record<string, string>>;
}

function requireFramed(payload: PayloadCheck): Extract<PayloadCheck, { kind: 'framed' }> {
  assert.ok(payload.kind === 'framed', `payload is ${payload.kind} instead of framed`);
  return payload;
}

/** Authenticates, then reads the body through the payload check. */
export async function decode(auth: Auth, request: AuthRequest, body: AsyncIterable<Uint8Array>): Promise<Decoded> {
  const payload = requireFramed((await accepts(auth, request)).payload);
  const pieces: Uint8Array[] = [];
  for await (const piece of payload.decode(body)) pieces.push(Uint8Array.from(piece));
  return { bytes: Buffer.concat(pieces), trailers: payload.trailers() };
}

/** The coded error that reading the body ends in. */
export async function bodyRefusal(
  auth: Auth,
  request: AuthRequest,
  body: AsyncIterable<Uint8Array>,
): Promise<SkerryError> {
  const error = await outcomeOf(() => decode(auth, request, body));
  assert.ok(error !== undefined, 'the body was accepted');
  const codes = ['Unauthenticated', 'InvalidArgument', 'IncompleteBody'];
  assert.ok(codes.includes(error.code), `ended with ${error.code} (${error.message})`);
  return error;
}

/** `body` cut at the given places (each taken modulo its length). */
export async function* cut(body: Uint8Array, places: readonly number[]): AsyncGenerator<Uint8Array, void> {
  const at = [...new Set(places.map((place) => place % (body.length + 1)))].sort((a, b) => a - b);
  let from = 0;
  for (const to of [...at, body.length]) {
    yield body.subarray(from, to);
    from = to;
  }
}
