/** What `sign` makes, `authenticate` takes: whatever the names and values hold. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';

import type { AuthRequest, Principal } from '../../../core/contracts/index.ts';
import { createAuthWorld, WHO } from '../../../harness/conformance/auth/world.ts';
import { WEIRD_OBJECT_KEYS } from '../../../harness/conformance/weird-keys.ts';
import { createSigV4Auth } from '../../../plugins/auth-sigv4/sigv4-auth.ts';
import { SIGV4_DEFAULTS } from './defaults.ts';

const HEADERS = { host: ['replica.example:9000'], 'x-amz-content-sha256': ['UNSIGNED-PAYLOAD'] };

async function opened() {
  const world = createAuthWorld();
  const auth = createSigV4Auth(world, SIGV4_DEFAULTS);
  await auth.open();
  const sign = async (request: Pick<AuthRequest, 'method' | 'rawPath' | 'rawQuery' | 'headers'>, who: Principal) => {
    const signed = (await auth.sign?.(request, who)) ?? {};
    const headers = Object.fromEntries(Object.entries(signed).map(([name, value]) => [name, [value]]));
    return { ...request, headers: { ...request.headers, ...headers }, remoteAddress: '192.0.2.1', secure: false };
  };
  return { world, auth, sign };
}

const principal = ({ userId, displayName, account, accessKeyId }: (typeof WHO)['owner']): Principal => ({
  anonymous: false,
  userId,
  displayName,
  account,
  accessKeyId,
  arn: `arn:aws:iam::${account}:user/${displayName}`,
});

const encoded = (key: string): string => key.split('/').map(encodeURIComponent).join('/');

describe('signing for another site', () => {
  test('the other site takes the request as the same principal, whatever key, query and headers hold', async () => {
    const { auth, sign } = await opened();
    const header = fc.string({ unit: fc.integer({ min: 0x20, max: 0xff }).map((code) => String.fromCharCode(code)) });
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...WEIRD_OBJECT_KEYS),
        fc.array(fc.tuple(fc.string(), fc.string())),
        fc.array(header, { minLength: 1, maxLength: 3 }),
        async (key, pairs, values) => {
          const rawQuery = pairs.map(([a, b]) => `${encodeURIComponent(`q${a}`)}=${encodeURIComponent(b)}`).join('&');
          const headers = { ...HEADERS, 'x-amz-meta-a': values };
          const request = { method: 'PUT', rawPath: `/bucket/${encoded(key)}`, rawQuery, headers };
          const found = await auth.authenticate(await sign(request, principal(WHO.owner)));
          assert.deepEqual([found.principal.userId, found.scheme], [WHO.owner.userId, 'sigv4-header']);
        },
      ),
      { seed: 20260101, numRuns: 200 },
    );
  });

  test('what was signed cannot be changed on the way', async () => {
    const { auth, sign } = await opened();
    const request = { method: 'PUT', rawPath: '/b/k', rawQuery: 'tagging', headers: HEADERS };
    const signed = await sign(request, principal(WHO.owner));
    const changed: readonly AuthRequest[] = [
      { ...signed, method: 'DELETE' },
      { ...signed, rawPath: '/b/other' },
      { ...signed, rawQuery: 'acl' },
      { ...signed, headers: { ...signed.headers, host: ['elsewhere:9000'] } },
      { ...signed, headers: { ...signed.headers, 'x-amz-acl': ['public-read'] } },
    ];
    for (const one of changed) await assert.rejects(auth.authenticate(one));
  });

  test('nobody signs as nobody, and a disabled key signs nothing', async () => {
    const { auth, world } = await opened();
    const request = { method: 'PUT', rawPath: '/b/k', rawQuery: '', headers: HEADERS };
    const { accessKeyId: _none, ...nobody } = principal(WHO.owner);
    assert.deepEqual(await auth.sign?.(request, { ...nobody, anonymous: true }), {});
    world.setIdentity({ ...WHO.owner, enabled: false });
    await assert.rejects(async () => auth.sign?.(request, principal(WHO.owner)), { code: 'Unauthenticated' });
  });
});
