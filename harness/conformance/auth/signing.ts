/** Requests that a site signs in a client's name, to hand them on: another site must take them as the client's own, and nothing else. */
import assert from 'node:assert/strict';

import * as fc from 'fast-check';

import { isSkerryError, type Auth, type AuthRequest, type Principal } from '../../../core/contracts/index.ts';
import { WEIRD_OBJECT_KEYS } from '../weird-keys.ts';
import { accepts, refusal, type AuthKit } from './kit.ts';
import { principalOf } from './policies.ts';
import { WHO } from './world.ts';

type Unsigned = Parameters<Auth['sign']>[0];

const PLAIN: Unsigned = {
  method: 'PUT',
  rawPath: '/bucket/key',
  rawQuery: 'tagging',
  headers: {
    host: ['replica.example:9000'],
    'x-amz-content-sha256': ['UNSIGNED-PAYLOAD'],
    'x-amz-meta-colour': ['blue', 'green'],
  },
};
const NOBODY: Principal = { anonymous: true, userId: 'anonymous', displayName: 'anonymous', account: '', arn: '' };

async function signed(auth: Auth, request: Unsigned, who: Principal = principalOf('owner')): Promise<AuthRequest> {
  const added = Object.entries(await auth.sign(request, who)).map(([name, value]) => [name, [value]]);
  const headers = { ...request.headers, ...(Object.fromEntries(added) as AuthRequest['headers']) };
  return { ...request, headers, remoteAddress: '192.0.2.1', secure: false };
}

export function signingTests(kit: AuthKit): void {
  const { withAuth } = kit;
  withAuth('nobody signs nothing', async (auth) => {
    assert.deepEqual(await auth.sign(PLAIN, NOBODY), {});
  });
  if (!kit.supports.signatures) return;
  takenAsTheClients(kit);
  for (const [what, tamper] of Object.entries(TAMPER)) {
    withAuth(`the signature covers the ${what}`, async (auth) => {
      await refusal(auth, tamper(await signed(auth, PLAIN)));
    });
  }
  withAuth('a key that is disabled signs nothing any more', async (auth, world) => {
    world.setIdentity({ ...WHO.owner, enabled: false });
    await assert.rejects(auth.sign(PLAIN, principalOf('owner')), (error) => isSkerryError(error, 'Unauthenticated'));
  });
  withAuth('a changed secret is signed with at once', async (auth, world) => {
    await signed(auth, PLAIN);
    world.setIdentity({ ...WHO.owner, secretKey: 'another secret' });
    await accepts(auth, await signed(auth, PLAIN));
  });
}

function takenAsTheClients({ forAll }: AuthKit): void {
  const latin1 = fc.string({ unit: fc.integer({ min: 0x20, max: 0xff }).map((code) => String.fromCharCode(code)) });
  const drawn = fc.record({
    key: fc.constantFrom(...WEIRD_OBJECT_KEYS),
    query: fc.array(fc.tuple(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' })), { maxLength: 4 }),
    values: fc.array(latin1, { minLength: 1, maxLength: 3 }),
    who: fc.constantFrom('owner' as const, 'reader' as const, 'admin' as const),
  });
  forAll('a signed request is its principal’s, whatever key, query and headers hold', drawn, async (auth, one) => {
    const rawPath = `/bucket/${one.key.split('/').map(encodeURIComponent).join('/')}`;
    const rawQuery = one.query.map(([a, b]) => `q${encodeURIComponent(a)}=${encodeURIComponent(b)}`).join('&');
    const headers = { ...PLAIN.headers, 'x-amz-meta-drawn': one.values };
    const request = { ...PLAIN, rawPath, rawQuery, headers };
    const { principal } = await accepts(auth, await signed(auth, request, principalOf(one.who)));
    assert.equal(principal.userId, WHO[one.who].userId);
  });
}

const TAMPER: Readonly<Record<string, (request: AuthRequest) => AuthRequest>> = {
  method: (request) => ({ ...request, method: 'DELETE' }),
  path: (request) => ({ ...request, rawPath: '/bucket/other' }),
  query: (request) => ({ ...request, rawQuery: 'acl' }),
  host: ({ headers, ...rest }) => ({ ...rest, headers: { ...headers, host: ['elsewhere.example:9000'] } }),
  'payload hash': ({ headers, ...rest }) => ({
    ...rest,
    headers: { ...headers, 'x-amz-content-sha256': ['ab'.repeat(32)] },
  }),
  'added headers': ({ headers, ...rest }) => ({ ...rest, headers: { ...headers, 'x-amz-acl': ['public-read'] } }),
};
