/** Bytes for a site that dials nobody: who dials it brings what it lacks (rule 13). */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { SkerryError, type ChunkStore, type Locator } from '../../core/contracts/index.ts';
import { noise } from '../engine/whole-site.ts';
import { Cluster } from './fixtures/cluster.ts';
import { BUCKET, drive, joinEngine, type EngineSite } from './fixtures/engine-site.ts';

const SMALL = noise(300, 1);
const LARGE = noise(100_000, 2);
const text = (bytes: Buffer): string => bytes.toString('latin1');

interface Pair {
  readonly cluster: Cluster;
  /** Dials ber. */
  readonly waw: EngineSite;
  /** Only listens. */
  readonly ber: EngineSite;
}

async function pair(use: (pair: Pair) => Promise<void>): Promise<void> {
  const cluster = new Cluster({ longPollMs: 1000, backoffMaxMs: 2000, pushAfterMs: 100, callTimeoutMs: 5000 });
  const waw = await joinEngine(cluster, 'waw', ['ber']);
  const ber = await joinEngine(cluster, 'ber', []);
  await drive(cluster, waw.objects.createBucket({ bucket: BUCKET, owner: 'owner' }));
  await cluster.time.run(5000);
  await use({ cluster, waw, ber });
  await Promise.all([waw.stop(), ber.stop()]);
}

async function stored(store: ChunkStore): Promise<readonly Locator[]> {
  const found: Locator[] = [];
  for await (const batch of store.scan())
    found.push(...batch.filter(({ kind }) => kind !== 'op').map(({ locator }) => locator));
  return found;
}

/** These records are damaged. */
function rot(store: ChunkStore, locators: readonly Locator[]): void {
  const bad = new Set(locators);
  const read = store.read.bind(store);
  store.read = async (locator, options) => {
    if (bad.has(locator)) throw new SkerryError('Corrupt', 'bit rot');
    return read(locator, options);
  };
}

describe('a site that only listens', () => {
  test('wants bytes that are damaged where they are: the session goes on without them', async () => {
    await pair(async ({ cluster, waw, ber }) => {
      const release = cluster.network.hold('wants');
      await waw.put('lost', LARGE);
      rot(waw.chunkStore, await stored(waw.chunkStore));
      release();
      await cluster.time.run(10_000);
      const [peer] = (await waw.replication.status()).peers;
      assert.deepEqual([peer?.state, peer?.lastError], ['connected', undefined]);
      await waw.put('later', noise(50_000, 7));
      await cluster.time.run(5000);
      assert.equal(await ber.get('later'), text(noise(50_000, 7)));
    });
  });

  test('answers the first GET of bytes that are gone here with what its peer brings', async () => {
    await pair(async ({ cluster, waw, ber }) => {
      await waw.put('small', SMALL);
      await waw.put('large', LARGE);
      await cluster.time.run(5000);
      await ber.chunkStore.free(await stored(ber.chunkStore));
      assert.equal(await ber.get('small'), text(SMALL));
      assert.equal(await ber.get('large'), text(LARGE));
      cluster.network.cut('waw', 'ber');
      assert.equal(await ber.get('large'), text(LARGE), 'it stays');
    });
  });

  test('does not wait for a peer that does not have them, nor for one that is gone', async () => {
    await pair(async ({ cluster, waw, ber }) => {
      await waw.put('large', LARGE);
      await cluster.time.run(5000);
      for (const site of [waw, ber]) rot(site.chunkStore, await stored(site.chunkStore));
      const began = cluster.time.clock.monotonicMs();
      await assert.rejects(ber.get('large'), { code: 'Unavailable' });
      const tookMs = cluster.time.clock.monotonicMs() - began;
      assert.ok(tookMs < 5000, `${tookMs} ms`);
      cluster.network.cut('waw', 'ber');
      await cluster.time.run(3000);
      const cutMs = cluster.time.clock.monotonicMs();
      await assert.rejects(ber.get('large'), { code: 'Unavailable' });
      assert.equal(cluster.time.clock.monotonicMs(), cutMs, 'at once');
    });
  });

  test('does not wait for ever for a peer that was told and falls silent', async () => {
    await pair(async ({ cluster, waw, ber }) => {
      await waw.put('large', LARGE);
      await cluster.time.run(5000);
      rot(ber.chunkStore, await stored(ber.chunkStore));
      const release = cluster.network.hold('wants');
      await assert.rejects(ber.get('large'), { code: 'Unavailable' });
      release();
    });
  });
});
