/** resolver-lww: the greatest stamp wins, by clock, then site, incarnation and sequence number. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { ConflictCandidate, Stamp } from '../../../core/contracts/index.ts';
import { createAuthWorld } from '../../../harness/conformance/auth/world.ts';
import lww from '../../../plugins/resolver-lww/index.ts';

const ZERO = '0'.repeat(16);
const removal = (stamp: Stamp): ConflictCandidate => ({
  dot: { origin: 'a.0', seq: 1 },
  stamp,
  deps: {},
  body: { type: 'version.remove', bucket: 'b', key: 'k', target: null },
});

test('each part of the stamp decides when those before it are equal', async () => {
  const resolver = lww.create(createAuthWorld().deps, {});
  await resolver.open();
  const rising = [
    `0000000000010000!z!${ZERO}!0000000001`,
    `0000000000010001!a!${ZERO}!0000000001`,
    `0000000000020000!a!${ZERO}!0000000009`,
    `0000000000020000!a!000000000000000f!0000000001`,
    `0000000000020000!a-b!${ZERO}!0000000001`,
    `0000000000020000!ab!${ZERO}!0000000001`,
    `0000000000020000!ab!${ZERO}!0000000010`,
  ];
  for (const [at, winner] of rising.entries()) {
    assert.deepEqual(resolver.resolve(rising.slice(0, at + 1).map(removal)), { winner, losers: 'conflict' });
  }
});

test('nothing to resolve is InvalidArgument', async () => {
  const resolver = lww.create(createAuthWorld().deps, {});
  await resolver.open();
  assert.throws(() => resolver.resolve([]), { code: 'InvalidArgument' });
});
