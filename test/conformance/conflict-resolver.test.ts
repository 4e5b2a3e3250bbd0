/** The resolver kit passes the shipped plugins and fails every broken one. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { createAuthWorld } from '../../harness/conformance/auth/world.ts';
import { conflictResolverConformance } from '../../harness/conformance/conflict-resolver.ts';
import { conflictResolverMutants } from '../../harness/conformance/mutants/conflict-resolver.ts';
import { collectTests, runTests } from '../../harness/conformance/runner.ts';
import keepBoth from '../../plugins/resolver-keep-both/index.ts';
import lww from '../../plugins/resolver-lww/index.ts';
import primary from '../../plugins/resolver-primary/index.ts';

const { deps } = createAuthWorld();
const SHIPPED = [
  { ...lww, make: () => lww.create(deps, {}) },
  { ...keepBoth, make: () => keepBoth.create(deps, {}) },
  { ...primary, make: () => primary.create(deps, { role: 'replica' }) },
];

for (const { name, supports, make } of SHIPPED) {
  describe(name, () => {
    conflictResolverConformance({
      test,
      supports,
      create: async () => ({ port: make() }),
    });
  });
}

describe('mutants of conflict-resolver', () => {
  test('there are enough of them', () => {
    assert.ok(conflictResolverMutants.length >= 8);
  });
  for (const { name, create } of conflictResolverMutants) {
    test(`the kit fails one that ${name}`, async () => {
      const tests = collectTests((register) =>
        conflictResolverConformance({
          test: register,
          supports: lww.supports,
          create: async () => ({ port: create() }),
        }),
      );
      const failed = (await runTests(tests, { untilFailure: true })).filter(({ passed }) => !passed);
      assert.equal(failed.length, 1, 'the mutant passed the whole kit');
    });
  }
});
