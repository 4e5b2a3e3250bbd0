/** Reads of bytes that are damaged or missing, between engines that replicate (rule 13). */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { SkerryError, type ChunkStore, type Locator } from '../../core/contracts/index.ts';
import { noise } from '../engine/whole-site.ts';
import { both, Cluster } from './fixtures/cluster.ts';
import { BUCKET, drive, joinEngine, type EngineSite } from './fixtures/engine-site.ts';

const SMALL = noise(300, 1);
const LARGE = noise(100_000, 2);
const text = (bytes: Buffer): string => bytes.toString('latin1');

interface Pair {
  readonly cluster: Cluster;
  readonly waw: EngineSite;
  readonly ber: EngineSite;
}

async function pair(visibility: 'complete' | 'eager', use: (pair: Pair) => Promise<void>): Promise<void> {
  const cluster = new Cluster({ longPollMs: 1000, backoffMaxMs: 2000 });
  const edges = both(['waw', 'ber']);
  const peersOf = (site: string): string[] => edges.filter(([from]) => from === site).map(([, to]) => to);
  const waw = await joinEngine(cluster, 'waw', peersOf('waw'));
  const ber = await joinEngine(cluster, 'ber', peersOf('ber'), { engine: { visibility } });
  await drive(cluster, waw.objects.createBucket({ bucket: BUCKET, owner: 'owner' }));
  await cluster.time.run(5000);
  await use({ cluster, waw, ber });
  await Promise.all([waw.stop(), ber.stop()]);
}

/** Everything that is stored now is bad from here on. */
async function rotAll(store: ChunkStore): Promise<void> {
  await store.free(await stored(store));
}

async function stored(store: ChunkStore): Promise<readonly Locator[]> {
  const found: Locator[] = [];
  for await (const batch of store.scan())
    found.push(...batch.filter(({ kind }) => kind !== 'op').map(({ locator }) => locator));
  return found;
}

/** These records are damaged until the disk is put right again. */
function rotNow(store: ChunkStore, locators: readonly Locator[]): () => void {
  const bad = new Set(locators);
  const read = store.read.bind(store);
  store.read = async (locator, options) => {
    if (bad.has(locator)) throw new SkerryError('Corrupt', 'bit rot');
    return read(locator, options);
  };
  return () => bad.clear();
}

function cutBoth({ cluster }: Pair): void {
  cluster.network.cut('waw', 'ber');
  cluster.network.cut('ber', 'waw');
}

describe('reads that need a peer', () => {
  test('bytes that are gone here are fetched, answered in the same request, and stay', async () => {
    await pair('complete', async (all) => {
      const { cluster, waw, ber } = all;
      await waw.put('small', SMALL);
      await waw.put('large', LARGE);
      await cluster.time.run(5000);
      await rotAll(ber.chunkStore);
      assert.equal(await ber.get('small'), text(SMALL));
      assert.equal(await ber.get('large'), text(LARGE));
      cutBoth(all);
      assert.equal(await ber.get('small'), text(SMALL));
      assert.equal(await ber.get('large'), text(LARGE));
    });
  });

  test('nobody within reach: Unavailable with a time to come back; right again once the peer is there', async () => {
    await pair('complete', async (all) => {
      const { cluster, waw, ber } = all;
      await waw.put('large', LARGE);
      await waw.put('other', SMALL);
      await cluster.time.run(5000);
      await rotAll(ber.chunkStore);
      cutBoth(all);
      await cluster.time.run(3000);
      await assert.rejects(ber.get('large'), { code: 'Unavailable' });
      cluster.network.heal();
      await cluster.time.run(10_000);
      assert.equal(await ber.get('large'), text(LARGE));
    });
  });

  test('eager: current before its bytes are here, and read while they are on their way', async () => {
    await pair('eager', async ({ cluster, waw, ber }) => {
      await waw.put('large', LARGE);
      await waw.put('after', SMALL);
      while ((await ber.engine.vector())[waw.replica.origin] !== (await waw.engine.vector())[waw.replica.origin])
        await cluster.time.run(1);
      const { info } = await drive(cluster, ber.objects.headObject({ bucket: BUCKET, key: 'large' }));
      assert.equal(info.content.size, LARGE.length);
      assert.equal(await ber.get('large'), text(LARGE));
      assert.equal(await ber.get('after'), text(SMALL));
      await cluster.time.run(10_000);
      assert.deepEqual(await ber.replica.pending(10), []);
    });
  });

  test('rule 13: a version whose bytes nobody has answers Unavailable, is asked for again, and holds up nothing', async () => {
    await pair('eager', async ({ cluster, waw, ber }) => {
      await waw.put('lost', LARGE);
      const heal = rotNow(waw.chunkStore, await stored(waw.chunkStore));
      await cluster.time.run(5000);
      await assert.rejects(ber.get('lost'), (error: { code: string; details: object }) => {
        assert.deepEqual([error.code, 'retryAfterMs' in error.details], ['Unavailable', true]);
        return true;
      });
      await waw.put('later', noise(50_000, 7));
      await cluster.time.run(5000);
      assert.equal(await ber.get('later'), text(noise(50_000, 7)));
      const pending = await ber.replica.pending(10);
      assert.deepEqual(
        pending.map(({ key }) => key),
        ['lost'],
      );
      const asked = cluster.network.calls.get('ber>waw chunks') ?? 0;
      await cluster.time.run(30_000);
      assert.ok((cluster.network.calls.get('ber>waw chunks') ?? 0) > asked, 'it is asked for again');
      heal();
      await cluster.time.run(30_000);
      assert.equal(await ber.get('lost'), text(LARGE));
      assert.deepEqual(await ber.replica.pending(10), []);
    });
  });
});
