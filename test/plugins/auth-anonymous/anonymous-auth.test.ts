/** auth-anonymous: everybody has the one configured permission. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Auth } from '../../../core/contracts/index.ts';
import { createAuthWorld } from '../../../harness/conformance/auth/world.ts';
import anonymous from '../../../plugins/auth-anonymous/index.ts';
import type { AnonymousOptions } from '../../../plugins/auth-anonymous/options.ts';
import { ANONYMOUS_DEFAULTS } from '../auth-sigv4/defaults.ts';

async function authWith(options: Partial<AnonymousOptions>): Promise<Auth> {
  const auth = anonymous.create(createAuthWorld().deps, { ...ANONYMOUS_DEFAULTS, ...options });
  await auth.open();
  return auth;
}

const REQUEST = { method: 'GET', rawPath: '/', rawQuery: '', headers: {}, remoteAddress: '', secure: false };

for (const [policy, allowed] of Object.entries({
  admin: ['s3:GetObject', 's3:PutObject', 's3:ListBucket', 'iam:CreateUser'],
  rw: ['s3:GetObject', 's3:PutObject', 's3:ListBucket'],
  ro: ['s3:GetObject', 's3:ListBucket'],
})) {
  test(`everybody with "${policy}"`, async () => {
    const auth = await authWith({ policy: policy as AnonymousOptions['policy'] });
    const { principal } = await auth.authenticate(REQUEST);
    const actions = ['s3:GetObject', 's3:PutObject', 's3:ListBucket', 'iam:CreateUser'];
    const passed = actions.filter(
      (action) => auth.authorize({ principal, action, resource: '*', conditions: {} }).allowed,
    );
    assert.deepEqual(passed, allowed);
  });
}

test('everybody owns what anybody creates under the configured name', async () => {
  const auth = await authWith({ userId: 'lab', displayName: 'The lab', account: '123456789012' });
  const { principal } = await auth.authenticate(REQUEST);
  assert.deepEqual([principal.userId, principal.displayName, principal.account], ['lab', 'The lab', '123456789012']);
});
