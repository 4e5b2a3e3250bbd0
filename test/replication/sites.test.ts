/** Real sites, real HTTP, default stores: what administration sees and does. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import type { Op } from '../../core/contracts/index.ts';
import type { Site } from '../../core/index.ts';
import { noise } from '../engine/whole-site.ts';
import { BUCKET, CLUSTER_KEY, get, put, stop } from '../kernel/fixtures/real-sites.ts';
import { withDirectory } from '../kernel/fixtures/site.ts';
import { configuredSite } from '../support/configured-site.ts';
import { turn } from '../support/turn.ts';

interface Peer {
  readonly site: string;
  readonly url: string;
}

/** Not yet started. A site with peers only dials out; one without listens. */
function makeSite(directory: string, id: string, peers: readonly Peer[]): Promise<Site> {
  return configuredSite(join(directory, id), {
    site: { id },
    plugins: {
      transport: { use: 'http', ...(peers.length === 0 ? { listen: '127.0.0.1:0' } : {}) },
      gateways: [{ use: 's3', listen: '127.0.0.1:0' }],
    },
    replication: { clusterKey: CLUSTER_KEY, peers },
  });
}

/** A hub that listens, and a site behind a wall that dials it. */
async function withPair(use: (hub: Site, walled: Site, arrived: (key: string) => Promise<void>) => Promise<void>) {
  await withDirectory(async (directory) => {
    const hub = await makeSite(directory, 'hub', []);
    await hub.start();
    const [url = ''] = (await hub.services().admin.replicationStatus()).addresses;
    const walled = await makeSite(directory, 'walled', [{ site: 'hub', url }]);
    const seen = new Set<string>();
    const waiting = new Map<string, () => void>();
    walled.hooks.onFact('committed', 'test', ({ ops }) => ops.forEach((op) => note(op, seen, waiting)));
    await walled.start();
    const arrived = (key: string): Promise<void> =>
      seen.has(key) ? Promise.resolve() : new Promise((resolve) => waiting.set(key, resolve));
    try {
      await use(hub, walled, arrived);
    } finally {
      await stop(walled);
      await stop(hub);
    }
  });
}

function note({ body }: Op, seen: Set<string>, waiting: Map<string, () => void>): void {
  if (body.type !== 'version.put') return;
  seen.add(body.key);
  waiting.get(body.key)?.();
}

describe('two sites over HTTP', () => {
  test('a small object streams in; large ones come by pull and go by push, bytes and all', async () => {
    await withPair(async (hub, walled, arrived) => {
      await hub.services().objects.createBucket({ bucket: BUCKET, owner: 'owner' });
      await put(hub, 'small', noise(1000, 1));
      await arrived('small');
      assert.deepEqual(await get(walled, 'small'), noise(1000, 1));

      await put(hub, 'large', noise(9_000_000, 2));
      const pulled = await walled.services().admin.pullFrom('hub');
      assert.equal(pulled.pendingVersions, 0);
      assert.deepEqual(await get(walled, 'large'), noise(9_000_000, 2));

      await put(walled, 'back', noise(6_000_000, 3));
      await walled.services().admin.pushTo('hub');
      while ((await hub.services().admin.replicationStatus()).pending.versions > 0) await turn();
      assert.deepEqual(await get(hub, 'back'), noise(6_000_000, 3));

      const status = await walled.services().admin.replicationStatus();
      const { vector } = await hub.services().admin.replicationStatus();
      assert.deepEqual([status.vector, status.quarantine, status.fenced], [vector, [], undefined]);
      const [peer] = status.peers;
      assert.deepEqual([peer?.site, peer?.state, peer?.opsBehind, peer?.opsAhead], ['hub', 'connected', 0, 0]);
      assert.ok(status.fetch.fetchedBytes <= 9_000_000 * 1.1, `${status.fetch.fetchedBytes} bytes fetched`);
    });
  });

  test('an unknown peer is NotFound; a site without a transport says what it lacks', async () => {
    await withPair(async (_hub, walled) => {
      await assert.rejects(walled.services().admin.pullFrom('nyc'), { code: 'NotFound' });
    });
    await withDirectory(async (directory) => {
      const alone = await configuredSite(directory, { plugins: { gateways: [{ use: 's3', listen: '127.0.0.1:0' }] } });
      await alone.start();
      await assert.rejects(alone.services().admin.replicationStatus(), { code: 'Unavailable' });
      await stop(alone);
    });
  });
});
