/** Rule 12 as a whole site lives it: restored, copied and cloned data directories, real files, real HTTP. */
import assert from 'node:assert/strict';
import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';

import type { Site } from '../../core/index.ts';
import { openDataDirectory } from '../../core/kernel/data-directory.ts';
import { createNodeRuntime } from '../../core/kernel/runtime/index.ts';
import { nodeHost } from '../../core/kernel/runtime/lock.ts';
import { memoryLogger } from './fixtures/logger.ts';
import {
  BUCKET,
  freePort,
  keysOf,
  makeSite,
  put,
  putOnceAccepted,
  restoreInPlace,
  started,
  stop,
  until,
  type SiteSpec,
} from './fixtures/real-sites.ts';
import { withDirectory } from './fixtures/site.ts';

interface Pair {
  readonly waw: SiteSpec;
  readonly ber: SiteSpec;
  readonly backup: string;
}

const status = (site: Site) => site.services().admin.replicationStatus();
const has = (site: Site, keys: readonly string[]) => async () =>
  (await keysOf(site)).join() === [...keys].sort().join();

async function withPair(dials: 'waw' | 'ber', use: (pair: Pair) => Promise<void>): Promise<void> {
  await withDirectory(async (directory) => {
    const [wawPort, berPort] = [await freePort(), await freePort()];
    const base = (id: string) => ({ id, dataDir: join(directory, id) });
    await use({
      waw: { ...base('waw'), ...(dials === 'waw' ? { peers: { ber: berPort } } : { port: wawPort, peers: {} }) },
      ber: { ...base('ber'), ...(dials === 'ber' ? { peers: { waw: wawPort } } : { port: berPort, peers: {} }) },
      backup: join(directory, 'backup'),
    });
  });
}

/** waw wrote k1 and k2, was backed up, wrote k3 and k4, which ber has; then it was lost. */
async function backedUpThenLost({
  waw,
  ber,
  backup,
}: Pair): Promise<{ readonly peer: Site; readonly was: string; readonly seq: number }> {
  const peer = await started(ber);
  let site = await started(waw);
  await site.services().objects.createBucket({ bucket: BUCKET, owner: 'owner' });
  for (const key of ['k1', 'k2']) await put(site, key);
  await until('ber has k2', () => bucketHas(peer, ['k1', 'k2']));
  await stop(site);
  await cp(waw.dataDir, backup, { recursive: true });
  site = await started(waw);
  for (const key of ['k3', 'k4']) await put(site, key);
  await until('ber has k4', has(peer, ['k1', 'k2', 'k3', 'k4']));
  const { origin, vector } = await site.status();
  await stop(site);
  return { peer, was: origin, seq: vector[origin] ?? 0 };
}

async function bucketHas(site: Site, keys: readonly string[]): Promise<boolean> {
  const buckets = await site.services().admin.listBuckets();
  return buckets.length > 0 && has(site, keys)();
}

async function sameState(a: Site, b: Site): Promise<void> {
  await until('equal vectors', async () => {
    const [x, y] = [(await a.status()).vector, (await b.status()).vector];
    return isDeepStrictEqual(x, y);
  });
}

describe('a backup put back in place', () => {
  for (const dials of ['waw', 'ber'] as const)
    test(`what was acknowledged after it is back before a write is accepted (${dials} dials)`, async () => {
      await withPair(dials, async (pair) => {
        const { peer, was } = await backedUpThenLost(pair);
        await restoreInPlace(pair.backup, pair.waw.dataDir);
        const site = await started(pair.waw);
        try {
          if (dials === 'ber') await until('it is found out', async () => (await site.status()).origin !== was);
          await putOnceAccepted(site, 'k5');
          assert.deepEqual(await keysOf(site), ['k1', 'k2', 'k3', 'k4', 'k5']);
          assert.notEqual((await site.status()).origin, was);
          assert.equal((await status(site)).fenced, undefined);
          await until('ber has the new write', has(peer, ['k1', 'k2', 'k3', 'k4', 'k5']));
          await sameState(site, peer);
        } finally {
          await stop(site);
          await stop(peer);
        }
        const record = JSON.parse(await readFile(join(pair.waw.dataDir, 'site.json'), 'utf8')) as object;
        assert.deepEqual('missing' in record ? record.missing : {}, {});
      });
    });

  test('that was written to before a peer could be asked stands still and says what only it has', async () => {
    await withPair('waw', async (pair) => {
      const { peer, was } = await backedUpThenLost(pair);
      await stop(peer);
      await restoreInPlace(pair.backup, pair.waw.dataDir);
      const site = await started(pair.waw);
      await put(site, 'other');
      const again = await started(pair.ber);
      try {
        await until('the second history is found', async () => (await status(site)).fenced?.diverged === true);
        await assert.rejects(put(site, 'k6'), { code: 'Unavailable', message: /another op/ });
        await until('it says what', async () => (await status(site)).fenced?.onlyHere !== undefined);
        const { fenced } = await status(site);
        assert.deepEqual(fenced?.onlyHere, { ops: 1, names: [`${BUCKET}/other`] });
        assert.equal((await site.status()).origin, was);
        assert.deepEqual(await keysOf(site), ['k1', 'k2', 'other'], 'reads go on');
        assert.deepEqual(await keysOf(again), ['k1', 'k2', 'k3', 'k4'], 'nothing of it got out');
        await assert.rejects(site.services().admin.recover(), { code: 'Conflict' });
      } finally {
        await stop(site);
        await stop(again);
      }
    });
  });
});

describe('the process ends in the middle', () => {
  test('behind the new incarnation: no write is accepted until the peer is back, over restarts', async () => {
    await withPair('waw', async (pair) => {
      const { peer, was, seq } = await backedUpThenLost(pair);
      await stop(peer);
      await restoreInPlace(pair.backup, pair.waw.dataDir);
      const { runtime, close } = createNodeRuntime(memoryLogger().logger);
      const directory = await openDataDirectory({ path: pair.waw.dataDir, runtime, host: nodeHost });
      await directory.renew(seq);
      directory.release();
      await close();
      for (let run = 0; run < 2; run++) {
        const site = await started(pair.waw);
        try {
          await assert.rejects(put(site, 'early'), { code: 'Unavailable', message: /takes back from peers/ });
          assert.deepEqual((await status(site)).takesBack, { [was]: seq });
          assert.match(site.health.ready().writesRefused ?? '', /takes back from peers/);
        } finally {
          await stop(site);
        }
      }
      const again = await started(pair.ber);
      const site = await started(pair.waw);
      try {
        await putOnceAccepted(site, 'k5');
        assert.deepEqual(await keysOf(site), ['k1', 'k2', 'k3', 'k4', 'k5']);
        assert.equal((await status(site)).takesBack, undefined);
      } finally {
        await stop(site);
        await stop(again);
      }
    });
  });
});

describe('a copy of the directory somewhere else', () => {
  test('is a new origin at once, and takes back what was written after it', async () => {
    await withPair('waw', async (pair) => {
      const { peer, was } = await backedUpThenLost(pair);
      const site = await started({ ...pair.waw, dataDir: pair.backup });
      try {
        assert.notEqual((await site.status()).origin, was);
        await putOnceAccepted(site, 'k5');
        assert.deepEqual(
          await keysOf(site),
          ['k1', 'k2', 'k3', 'k4', 'k5'],
          'the peer was asked before the first write',
        );
      } finally {
        await stop(site);
        await stop(peer);
      }
    });
  });

  test('goes on alone when no peer can be asked', async () => {
    await withPair('waw', async (pair) => {
      const { peer } = await backedUpThenLost(pair);
      await stop(peer);
      const site = await started({ ...pair.waw, dataDir: pair.backup });
      await put(site, 'alone');
      const again = await started(pair.ber);
      try {
        await until('all is everywhere', has(site, ['k1', 'k2', 'k3', 'k4', 'alone']));
        await until('all is everywhere', has(again, ['k1', 'k2', 'k3', 'k4', 'alone']));
        await sameState(site, again);
      } finally {
        await stop(site);
        await stop(again);
      }
    });
  });
});

describe('a clone that nothing tells from the original', () => {
  const host = { ...nodeHost, identifyFile: () => ({ inode: '1' }) };
  const quick = { replication: { longPollMs: 100 } };

  test('both are refused by their peer, and neither accepts a write', async () => {
    await withPair('waw', async ({ waw, ber, backup }) => {
      const peer = await started(ber);
      const first = await started(waw, { host });
      await first.services().objects.createBucket({ bucket: BUCKET, owner: 'owner' });
      await put(first, 'k1');
      await until('ber has k1', () => bucketHas(peer, ['k1']));
      await stop(first);
      await cp(waw.dataDir, backup, { recursive: true });
      const original = await makeSite({ ...waw, ...quick }, { host });
      const clone = await makeSite({ ...waw, ...quick, dataDir: backup }, { host });
      await Promise.all([original.start(), clone.start()]);
      try {
        for (const site of [original, clone]) {
          await until('it hears of the other', async () => site.health.ready().writesRefused !== undefined);
          await assert.rejects(put(site, 'k2'), { code: 'Unavailable', message: /another process writes as waw/ });
          assert.deepEqual(await keysOf(site), ['k1']);
        }
      } finally {
        await Promise.all([stop(original), stop(clone), stop(peer)]);
      }
    });
  });
});

describe('a site that was removed from the cluster', () => {
  test('and has nothing that others lack goes on as a new origin', async () => {
    await withPair('waw', async ({ waw, ber }) => {
      const peer = await started(ber);
      const site = await started({ ...waw, replication: { longPollMs: 100 } });
      try {
        await site.services().objects.createBucket({ bucket: BUCKET, owner: 'owner' });
        await put(site, 'k1');
        await until('ber has k1', () => bucketHas(peer, ['k1']));
        const { origin: was } = await site.status();
        await peer.services().admin.removeMember('waw');
        await until('it is another', async () => (await site.status()).origin !== was);
        await putOnceAccepted(site, 'k2');
        await until('ber has it', has(peer, ['k1', 'k2']));
        await sameState(site, peer);
      } finally {
        await stop(site);
        await stop(peer);
      }
    });
  });
});
