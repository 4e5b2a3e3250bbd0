/** A site that was removed from the cluster, as a whole site lives it (rule 14): real files, real HTTP. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import type { Site } from '../../core/index.ts';
import { BUCKET, freePort, keysOf, put, started, stop, until, type SiteSpec } from './fixtures/real-sites.ts';
import { withDirectory } from './fixtures/site.ts';

const has = (site: Site, ...keys: readonly string[]) =>
  until(`${keys.join()} are there`, async () => {
    const buckets = await site.services().admin.listBuckets();
    return buckets.length > 0 && (await keysOf(site)).join() === keys.join();
  });

const members = async (site: Site) =>
  (await site.services().admin.listMembers()).map(({ origin, state }) => [origin, state] as const);

/** ber dials waw; both have k1, then both stop. */
async function withPair(use: (waw: SiteSpec, ber: SiteSpec, was: string) => Promise<void>): Promise<void> {
  await withDirectory(async (directory) => {
    const port = await freePort();
    const waw: SiteSpec = { id: 'waw', dataDir: join(directory, 'waw'), port, peers: {} };
    const ber: SiteSpec = { id: 'ber', dataDir: join(directory, 'ber'), peers: { waw: port } };
    const [first, second] = [await started(waw), await started(ber)];
    await first.services().objects.createBucket({ bucket: BUCKET, owner: 'owner' });
    await put(first, 'k1');
    await has(second, 'k1');
    const { origin } = await second.status();
    await until('waw has heard of ber', async () => (await members(first)).some(([one]) => one === origin));
    await stop(second);
    await stop(first);
    await use(waw, ber, origin);
  });
}

describe('a site that was removed', () => {
  test('and wrote nothing that others lack comes back by itself, as a new member, behind what they have', async () => {
    await withPair(async (waw, ber, was) => {
      const first = await started(waw);
      await first.services().admin.removeMember('ber');
      const missed = ['k20', 'k21', 'k22', 'k23', 'k24', 'k25', 'k26', 'k27'];
      for (const key of missed) await put(first, key);
      // so slow that it could write long before it has them
      const second = await started({ ...ber, replication: { receiveBytesPerSecond: 4000 } });
      try {
        await until('it is another one', async () => (await second.status()).origin !== was);
        await until('it writes', () =>
          put(second, 'k3').then(
            () => true,
            (error: { readonly code: string }) => assert.equal(error.code, 'Unavailable') === null,
          ),
        );
        assert.deepEqual(await keysOf(second), ['k1', ...missed, 'k3'], 'not before it has what the others have');
        await has(first, 'k1', ...missed, 'k3');
        const { origin } = await second.status();
        await until('it is a member', async () => Object.fromEntries(await members(first))[origin] === 'member');
        assert.equal(Object.fromEntries(await members(first))[was], 'removed');
        assert.equal((await second.services().admin.replicationStatus()).evicted, undefined);
      } finally {
        await stop(second);
        await stop(first);
      }
    });
  });

  test('and has what no other has stands still, says so, and is still read', async () => {
    await withPair(async (waw, ber, was) => {
      const alone = await started(ber);
      await put(alone, 'only here');
      await stop(alone);
      const first = await started({ ...waw, port: await freePort() });
      await first.services().admin.removeMember('ber');
      await stop(first);
      const [again, second] = [await started(waw), await started(ber)];
      const status = () => second.services().admin.replicationStatus();
      try {
        await until('it was told', async () => (await status()).evicted !== undefined);
        await until('and refuses', () =>
          put(second, 'k2').then(
            () => false,
            (error: { readonly message: string }) => /lacks its last 1 ops: copy out/.test(error.message),
          ),
        );
        const { evicted, peers } = await status();
        assert.deepEqual([evicted?.by, (evicted?.ownSeq ?? 0) - (evicted?.knownSeq ?? 0)], ['waw', 1]);
        assert.deepEqual([peers[0]?.state, (await second.status()).origin], ['evicted', was]);
        assert.deepEqual([await keysOf(second), await keysOf(again)], [['k1', 'only here'], ['k1']]);
      } finally {
        await stop(second);
        await stop(again);
      }
    });
  });
});
