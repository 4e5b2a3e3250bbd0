/** What the options of auth-sigv4 change, and what its memory of keys must not. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { isSkerryError, type Auth, type AuthRequest, type SkerryError } from '../../../core/contracts/index.ts';
import { signHeader, presign } from '../../../harness/conformance/auth/signer.ts';
import { createAuthWorld, EXAMPLE_TIME_MS, WHO } from '../../../harness/conformance/auth/world.ts';
import sigv4 from '../../../plugins/auth-sigv4/index.ts';
import type { SigV4Options } from '../../../plugins/auth-sigv4/options.ts';
import { createSigningKeys } from '../../../plugins/auth-sigv4/signing-keys.ts';
import { SIGV4_DEFAULTS } from './defaults.ts';

const SIGNING = { who: WHO.owner, timeMs: EXAMPLE_TIME_MS };

async function authWith(options: Partial<SigV4Options>, nowMs = EXAMPLE_TIME_MS): Promise<Auth> {
  const world = createAuthWorld();
  world.setNow(nowMs);
  const auth = sigv4.create(world.deps, { ...SIGV4_DEFAULTS, ...options });
  await auth.open();
  return auth;
}

async function refusal(auth: Auth, request: AuthRequest): Promise<SkerryError> {
  const error: unknown = await auth.authenticate(request).then(
    () => undefined,
    (refused: unknown) => refused,
  );
  assert.ok(isSkerryError(error), 'accepted');
  return error;
}

describe('regions', () => {
  test('any region is accepted by default', async () => {
    const auth = await authWith({});
    for (const region of ['us-east-1', 'eu-central-1', 'auto', 'garage']) {
      await auth.authenticate(signHeader({}, { ...SIGNING, region }).request);
      await auth.authenticate(presign({}, { ...SIGNING, region }).request);
    }
  });

  test('another region is refused where one is demanded, and the error names it', async () => {
    const auth = await authWith({ acceptAnyRegion: false, region: 'eu-north-1' });
    await auth.authenticate(signHeader({}, { ...SIGNING, region: 'eu-north-1' }).request);
    const byHeader = await refusal(auth, signHeader({}, SIGNING).request);
    assert.equal(byHeader.details['reason'], 'AuthorizationHeaderMalformed');
    assert.match(byHeader.message, /the region 'us-east-1' is wrong; expecting 'eu-north-1'/);
    assert.deepEqual(byHeader.details['fields'], { Region: 'eu-north-1' });
    const byQuery = await refusal(auth, presign({}, SIGNING).request);
    assert.equal(byQuery.details['reason'], 'AuthorizationQueryParametersError');
  });

  test('a signature for one region does not fit another', async () => {
    const auth = await authWith({});
    const { request } = signHeader({}, SIGNING);
    const authorization =
      request.headers['authorization']?.map((value) => value.replace('us-east-1', 'us-east-2')) ?? [];
    const error = await refusal(auth, { ...request, headers: { ...request.headers, authorization } });
    assert.equal(error.details['reason'], 'SignatureDoesNotMatch');
  });
});

test('the allowed skew is a setting', async () => {
  const auth = await authWith({ maxClockSkewMs: 5000 }, EXAMPLE_TIME_MS + 5001);
  const error = await refusal(auth, signHeader({}, SIGNING).request);
  assert.deepEqual(error.details['fields'], {
    RequestTime: '20130524T000000Z',
    ServerTime: '2013-05-24T00:00:05.001Z',
    MaxAllowedSkewMilliseconds: '5000',
  });
});

test('a wrong signature is answered with what should have been signed, without customer keys', async () => {
  const auth = await authWith({});
  const headers = { 'x-amz-server-side-encryption-customer-key': 'topsecret' };
  const error = await refusal(auth, { ...signHeader({ headers }, SIGNING).request, rawPath: '/bucket/other' });
  const fields = error.details['fields'] as Record<string, string>;
  assert.match(
    fields['StringToSign'] ?? '',
    /^AWS4-HMAC-SHA256\n20130524T000000Z\n20130524\/us-east-1\/s3\/aws4_request\n[0-9a-f]{64}$/,
  );
  assert.match(fields['CanonicalRequest'] ?? '', /^GET\n\/bucket\/other\n/);
  assert.equal(
    Buffer.from((fields['CanonicalRequestBytes'] ?? '').replaceAll(' ', ''), 'hex').toString(),
    fields['CanonicalRequest'],
  );
  assert.ok(!JSON.stringify(error.details).includes('topsecret'));
});

describe('signing keys', () => {
  const scope = { date: '20130524', region: 'us-east-1' };

  test('are kept, and made anew when the secret changes', () => {
    const keys = createSigningKeys(4);
    const first = keys.keyFor(WHO.owner, scope);
    assert.equal(keys.keyFor(WHO.owner, scope), first);
    const changed = keys.keyFor({ ...WHO.owner, secretKey: 'new' }, scope);
    assert.ok(!changed.equals(first));
    assert.ok(keys.keyFor(WHO.owner, scope).equals(first));
  });

  test('are bounded in number', () => {
    const keys = createSigningKeys(2);
    const first = keys.keyFor(WHO.owner, scope);
    for (const region of ['a', 'b', 'c']) keys.keyFor(WHO.owner, { ...scope, region });
    assert.notEqual(keys.keyFor(WHO.owner, scope), first);
  });
});

test('a path that the client signed as it sent it is accepted, and so is text signed as UTF-8', async () => {
  const auth = await authWith({});
  const { request } = signHeader({ path: '/bucket/a b!c' }, SIGNING);
  await auth.authenticate({ ...request, rawPath: '/bucket/a%20b!c' });
  await auth.authenticate({ ...request, rawPath: '/bucket/%61%20b%21c' });
  const { request: latin1 } = signHeader({ headers: { 'x-amz-meta-a': 'caf\u00c3\u00a9' } }, SIGNING);
  await auth.authenticate({ ...latin1, headers: { ...latin1.headers, 'x-amz-meta-a': ['caf\u00e9'] } });
});
