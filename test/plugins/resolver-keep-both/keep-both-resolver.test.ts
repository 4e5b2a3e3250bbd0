/** What is special of keep-both; the laws are the conformance kit's. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { someCandidates } from '../../../harness/conformance/conflict-resolver/candidates.ts';
import keepBoth from '../../../plugins/resolver-keep-both/index.ts';
import { createAuthWorld } from '../../../harness/conformance/auth/world.ts';

test('the greatest stamp wins and the losers are siblings', async () => {
  const resolver = keepBoth.create(createAuthWorld().deps, {});
  await resolver.open();
  const candidates = someCandidates();
  const greatest = candidates
    .map(({ stamp }) => stamp)
    .toSorted()
    .at(-1);
  assert.deepEqual(resolver.resolve(candidates), { winner: greatest, losers: 'sibling' });
  assert.throws(() => resolver.resolve([]), { code: 'InvalidArgument' });
  await resolver.close();
});
