/** The auth kit passes the shipped plugins and fails every broken one. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { authConformance } from '../../harness/conformance/auth.ts';
import { authMutants } from '../../harness/conformance/mutants/auth.ts';
import { collectTests, runTests } from '../../harness/conformance/runner.ts';
import anonymous from '../../plugins/auth-anonymous/index.ts';
import sigv4 from '../../plugins/auth-sigv4/index.ts';
import { ANONYMOUS_DEFAULTS, SIGV4_DEFAULTS } from '../plugins/auth-sigv4/defaults.ts';

describe('auth-sigv4', () => {
  authConformance({
    test,
    supports: sigv4.supports,
    create: async ({ deps }) => ({ port: sigv4.create(deps, SIGV4_DEFAULTS) }),
  });
});

describe('auth-anonymous', () => {
  authConformance({
    test,
    supports: anonymous.supports,
    create: async ({ deps }) => ({ port: anonymous.create(deps, ANONYMOUS_DEFAULTS) }),
  });
});

describe('mutants of auth', () => {
  test('there are enough of them', () => {
    assert.ok(authMutants.length >= 8);
  });
  for (const { name, create } of authMutants) {
    test(`the kit fails one that ${name}`, async () => {
      const tests = collectTests((register) =>
        authConformance({
          test: register,
          supports: sigv4.supports,
          runs: 10,
          create: async (world) => ({ port: create(world) }),
        }),
      );
      const failed = (await runTests(tests, { untilFailure: true })).filter(({ passed }) => !passed);
      assert.equal(failed.length, 1, 'the mutant passed the whole kit');
    });
  }
});
