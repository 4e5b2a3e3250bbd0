/** Rule 15 with real sites and real HTTP: an empty site is ready when it has what its peers have, or when there is nobody. */
import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import type { BootstrapStatus } from '../../core/contracts/index.ts';
import { createSite, loadConfig, type Site } from '../../core/index.ts';
import { nodeFiles } from '../../core/kernel/runtime/files.ts';
import { skerryFails, skerryJson } from '../cli/command.ts';
import { noise } from '../engine/whole-site.ts';
import { withDirectory } from '../kernel/fixtures/site.ts';

const CLUSTER_KEY = 'a key that is long enough to be one';
const BUCKET = 'photos';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface Peer {
  readonly site: string;
  readonly url: string;
}

/** Not yet started. Nothing is kept for peers that nobody needs, and every look finds that at once. */
async function makeSite(directory: string, id: string, peers: readonly Peer[], options: object = {}): Promise<Site> {
  const loaded = await loadConfig({
    values: {
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
      log: { level: 'silent' },
    },
    env: {},
    flags: { dataDir: join(directory, id) },
    cwd: tmpdir(),
    files: nodeFiles,
  });
  return createSite(loaded);
}

async function put(site: Site, key: string, bytes: Uint8Array): Promise<void> {
  const input = { bucket: BUCKET, key, owner: 'owner', headers: {}, metadata: {}, storageClass: 'STANDARD' };
  await site.services().objects.putObject({ ...input, body: { bytes } });
}

async function get(site: Site, key: string): Promise<Buffer> {
  const object = await site.services().objects.openObject({ bucket: BUCKET, key });
  try {
    const pieces: Buffer[] = [];
    for await (const piece of object.read(0, object.info.content.size)) pieces.push(Buffer.from(piece));
    return Buffer.concat(pieces);
  } finally {
    object.close();
  }
}

/** Whatever comes of the test, no site of it stays behind. */
async function withSites(use: (directory: string, sites: Site[]) => Promise<void>): Promise<void> {
  await withDirectory(async (directory) => {
    const sites: Site[] = [];
    try {
      await use(directory, sites);
    } finally {
      for (const site of sites.reverse()) await site.stop({ graceMs: 0 });
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
      await alone.stop({ graceMs: 0 });
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
      await stopped.stop({ graceMs: 0 });
      await starting;
    });
  });
});
