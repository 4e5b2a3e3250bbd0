/** Rule 15 with real sites and real HTTP: an empty site is ready when it has what its peers have, or when there is nobody. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import type { BootstrapStatus } from '../../core/contracts/index.ts';
import type { Site } from '../../core/index.ts';
import { skerryFails, skerryJson } from '../cli/command.ts';
import { noise } from '../engine/whole-site.ts';
import { BUCKET, CLUSTER_KEY, get, put, stop } from '../kernel/fixtures/real-sites.ts';
import { withDirectory } from '../kernel/fixtures/site.ts';
import { configuredSite } from '../support/configured-site.ts';
import { turn } from '../support/turn.ts';

interface Peer {
  readonly site: string;
  readonly url: string;
}

/** Not yet started. Nothing is kept for peers that nobody needs, and every look finds that at once. */
function makeSite(directory: string, id: string, peers: readonly Peer[], options: object = {}): Promise<Site> {
  return configuredSite(join(directory, id), {
    site: { id },
    plugins: {
      transport: { use: 'http', listen: '127.0.0.1:0' },
      gateways: [{ use: 's3', listen: '127.0.0.1:0' }],
    },
    replication: {
      clusterKey: CLUSTER_KEY,
      peers,
      keepOps: 0,
      purgeIntervalMs: 100,
      tombstoneGraceMs: 0,
      ...options,
    },
    admin: { enabled: true },
  });
}

/** Whatever comes of the test, no site of it stays behind. */
async function withSites(use: (directory: string, sites: Site[]) => Promise<void>): Promise<void> {
  await withDirectory(async (directory) => {
    const sites: Site[] = [];
    try {
      await use(directory, sites);
    } finally {
      for (const site of sites.reverse()) await stop(site);
    }
  });
}

const urlOf = async (site: Site): Promise<string> =>
  (await site.services().admin.replicationStatus()).addresses[0] ?? '';

describe('an empty site', () => {
  test('takes the snapshot of a peer before it is ready, and says so; repl-bootstrap takes one again', async () => {
    await withSites(async (directory, sites) => {
      const hub = await makeSite(directory, 'hub', []);
      sites.push(hub);
      await hub.start();
      await hub.services().objects.createBucket({ bucket: BUCKET, owner: 'owner' });
      for (let i = 0; i < 120; i++) await put(hub, `key-${i}`, noise(500, i));
      await put(hub, 'large', noise(30_000, 1));
      const peers = [{ site: 'hub', url: await urlOf(hub) }];
      const late = await makeSite(directory, 'late', peers, {
        snapshotMinOps: 100,
        // so that the snapshot is still on its way when everything else is open
        receiveBytesPerSecond: 30_000,
      });
      sites.push(late);
      const reasons: (string | undefined)[] = [];
      const starting = late.start();
      for (let health = late.health.ready(); !health.ready; health = late.health.ready()) {
        reasons.push(health.reason);
        await turn();
      }
      await starting;
      assert.ok(
        reasons.some((reason) => reason?.startsWith('the site is empty')),
        JSON.stringify([...new Set(reasons)]),
      );
      const { bootstrap } = await late.services().admin.replicationStatus();
      assert.deepEqual([bootstrap?.from, bootstrap?.reason, bootstrap?.state], ['hub', 'behind', 'done']);
      // names are in; bytes are right behind
      while ((await late.services().admin.replicationStatus()).pending.versions > 0) await turn();
      assert.deepEqual(await get(late, 'key-119'), noise(500, 119));
      assert.deepEqual(await get(late, 'large'), noise(30_000, 1));

      const where = { cwd: directory };
      const at = ['--data-dir', join(directory, 'late')];
      const again = await skerryJson<BootstrapStatus>(['repl-bootstrap', '--from', 'hub', ...at], where);
      assert.deepEqual([again.from, again.reason, again.state], ['hub', 'operator', 'done']);
      assert.equal((await skerryFails(['repl-bootstrap', '--from', 'nobody', ...at], where)).code, 'NotFound');
    });
  });

  test('works alone when no peer is within reach for a short while, and can be stopped before that', async () => {
    await withSites(async (directory, sites) => {
      const nobody = [{ site: 'hub', url: 'http://127.0.0.1:9' }];
      const alone = await makeSite(directory, 'alone', nobody, { joinWaitMs: 300 });
      sites.push(alone);
      await alone.start();
      assert.deepEqual(alone.health.ready(), { ready: true });
      await alone.services().objects.createBucket({ bucket: BUCKET, owner: 'owner' });
      await stop(alone);
      const stopped = await makeSite(directory, 'stopped', nobody, { joinWaitMs: 600_000 });
      sites.push(stopped);
      const starting = stopped.start();
      while (!(stopped.health.ready().reason ?? '').startsWith('the site is empty')) await turn();
      const [s3 = ''] = stopped.addresses();
      const [listing, ready, live] = await Promise.all([
        fetch(`${s3}/photos`),
        fetch(`${s3}/-/health/ready`),
        fetch(`${s3}/-/health/live`),
      ]);
      assert.deepEqual([listing.status, listing.headers.get('retry-after')], [503, '2']);
      assert.deepEqual([ready.status, live.status], [503, 200]);
      assert.match(await ready.text(), /^the site is empty/);
      await stop(stopped);
      await starting;
    });
  });
});
