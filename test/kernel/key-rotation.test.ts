/** The cluster key is replaced at one site after the other; both replicate and let the same keys in all the time. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import type { Site } from '../../core/index.ts';
import { BUCKET, freePort, keysOf, put, started, stop, until, type SiteSpec } from './fixtures/real-sites.ts';
import { withDirectory } from './fixtures/site.ts';

const OLD = 'the old key, long enough to be one';
const NEW = 'the new key, long enough to be one';

const usable = (site: Site, key: string) => async () => site.services().identities.find(key)?.secretKey !== undefined;
const has = (site: Site, key: string) => async () => (await keysOf(site)).includes(key);

describe('a new cluster key', () => {
  test('is given to one site after the other; ops and keys go both ways at every step', async () => {
    await withDirectory(async (directory) => {
      // only waw dials: it has to find out which key ber takes
      const port = await freePort();
      const ber: SiteSpec = { id: 'ber', dataDir: join(directory, 'ber'), port, peers: {} };
      const waw: SiteSpec = { id: 'waw', dataDir: join(directory, 'waw'), peers: { ber: port } };
      let [b, w] = [await started({ ...ber, clusterKey: OLD }), await started({ ...waw, clusterKey: OLD })];
      try {
        await b.services().objects.createBucket({ bucket: BUCKET, owner: 'owner' });
        await b.services().admin.createKey({ accessKeyId: 'OLDKEY', policy: 'rw' });
        await until('a key of ber works at waw', usable(w, 'OLDKEY'));

        await stop(w);
        w = await started({ ...waw, clusterKey: NEW, previousClusterKeys: [OLD] });
        assert.ok(await usable(w, 'OLDKEY')());
        await put(w, 'of waw, which has the new key');
        await put(b, 'of ber, which has the old key');
        await until('it arrives', has(b, 'of waw, which has the new key'));
        await until('it arrives', has(w, 'of ber, which has the old key'));

        await stop(b);
        b = await started({ ...ber, clusterKey: NEW, previousClusterKeys: [OLD] });
        await w.services().admin.createKey({ accessKeyId: 'NEWKEY', policy: 'rw' });
        await until('a key sealed with the new one works', usable(b, 'NEWKEY'));
        assert.deepEqual((await w.services().admin.resealKeys()).includes('OLDKEY'), true);
        assert.deepEqual(await w.services().admin.resealKeys(), [], 'all are sealed with it now');
        await put(w, 'last of the old days');
        await until('the sealed ones arrive', has(b, 'last of the old days'));

        await stop(w);
        await stop(b);
        [b, w] = [await started({ ...ber, clusterKey: NEW }), await started({ ...waw, clusterKey: NEW })];
        for (const site of [b, w]) for (const key of ['OLDKEY', 'NEWKEY']) assert.ok(await usable(site, key)(), key);
        await put(w, 'without the old key');
        await until('it arrives', has(b, 'without the old key'));
      } finally {
        await stop(w);
        await stop(b);
      }
    });
  });

  test('a site that does not accept the old key refuses whoever has no other', async () => {
    await withDirectory(async (directory) => {
      const port = await freePort();
      const ber = await started({ id: 'ber', dataDir: join(directory, 'ber'), port, peers: {}, clusterKey: NEW });
      const waw = await started({ id: 'waw', dataDir: join(directory, 'waw'), peers: { ber: port }, clusterKey: OLD });
      try {
        await assert.rejects(waw.services().admin.pullFrom('ber'), { code: 'Unauthenticated' });
      } finally {
        await stop(waw);
        await stop(ber);
      }
    });
  });
});
