/**
 * Conformance kit of auth plugins. Checked by `supports`: who signed, what a signature covers, framed bodies, the policy language.
 *
 *     authConformance({ test, supports: plugin.supports, create: async ({ deps }) => ({ port: plugin.create(deps, options) }) });
 */
import assert from 'node:assert/strict';

import { isSkerryError, type Auth } from '../../core/contracts/index.ts';
import { bodyTests } from './auth/bodies.ts';
import { accepts, refusal, toKit, type AuthKit, type AuthKitOptions } from './auth/kit.ts';
import { policyTests, principalOf } from './auth/policies.ts';
import { signatureTests } from './auth/signatures.ts';
import { signingTests } from './auth/signing.ts';
import { signHeader } from './auth/signer.ts';
import { vectorTests } from './auth/vectors.ts';
import { createAuthWorld, EXAMPLE_TIME_MS, WHO, type AuthWorld } from './auth/world.ts';
import { lifecycleTrait } from './traits.ts';

export type { AuthKitOptions, AuthWorld };

const SIGNED = signHeader({}, { who: WHO.owner, timeMs: EXAMPLE_TIME_MS }).request;
const UNSIGNED = { ...SIGNED, headers: { host: ['s3.example.com'] } };
const QUESTION = {
  principal: principalOf('owner'),
  action: 's3:GetObject',
  resource: 'arn:aws:s3:::b/k',
  conditions: {},
};
const POLICY = { Statement: { Effect: 'Allow', Principal: '*', Action: 's3:*', Resource: 'arn:aws:s3:::b' } };

export function authConformance(options: AuthKitOptions): void {
  const kit = toKit(options);
  const { supports } = options;
  lifecycleTrait<Auth>({
    test: options.test,
    create: () => options.create(createAuthWorld()),
    operations: {
      authenticate: (auth) => auth.authenticate(SIGNED),
      sign: (auth) => auth.sign(SIGNED, QUESTION.principal),
      authorize: async (auth) => auth.authorize(QUESTION),
      ...(supports.policies ? { validatePolicy: async (auth: Auth) => auth.validatePolicy(POLICY, 'b') } : {}),
    },
  });
  anonymousTests(kit);
  if (supports.signatures) vectorTests(kit);
  if (supports.signatures) signatureTests(kit);
  else withoutSignatures(kit);
  signingTests(kit);
  if (supports.framedPayloads) bodyTests(kit);
  if (supports.policies) policyTests(kit);
  else withoutPolicies(kit);
}

function anonymousTests({ withAuth, supports }: AuthKit): void {
  if (!supports.anonymous) {
    withAuth('a request without credentials is refused', async (auth) => {
      await refusal(auth, UNSIGNED);
    });
    return;
  }
  withAuth('a request without credentials is the anonymous principal', async (auth) => {
    const { principal, scheme, payload } = await accepts(auth, UNSIGNED);
    assert.deepEqual([principal.anonymous, scheme, payload], [true, 'anonymous', { kind: 'unsigned' }]);
  });
  withAuth('a hash of the body is held to without credentials, too', async (auth) => {
    const hex = 'ab'.repeat(32);
    const { payload } = await accepts(auth, {
      ...UNSIGNED,
      headers: { ...UNSIGNED.headers, 'x-amz-content-sha256': [hex] },
    });
    assert.deepEqual(payload, { kind: 'sha256', hex });
  });
}

function withoutSignatures({ withAuth }: AuthKit): void {
  withAuth('a wrong signature is nobody, and no reason to refuse', async (auth) => {
    const { principal } = await accepts(auth, { ...SIGNED, rawPath: '/bucket/other' });
    assert.equal(principal.anonymous, true);
  });
}

function withoutPolicies({ withAuth }: AuthKit): void {
  withAuth('a policy is refused with NotSupported, since it would protect nothing', async (auth) => {
    assert.throws(
      () => auth.validatePolicy(POLICY, 'b'),
      (error) => isSkerryError(error, 'NotSupported'),
    );
  });
  withAuth('a decision gives its reason', async (auth) => {
    assert.ok(auth.authorize(QUESTION).reason.length > 0);
  });
}
