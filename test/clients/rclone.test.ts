import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { join } from 'node:path';

import { digestTree, programs, runClient, skipWithout, startSiteWithTree, type SiteWithTree } from './support.ts';

const [program = 'rclone'] = programs('rclone');

describe('rclone', { skip: skipWithout('rclone', programs('rclone').length > 0) }, () => {
  let site: SiteWithTree;
  before(async () => {
    site = await startSiteWithTree();
  });
  after(() => site.stop());

  const rclone = (...args: string[]): Promise<string> => {
    const env = {
      ...site.env,
      RCLONE_CONFIG: join(site.workDir, 'rclone.conf'),
      RCLONE_CONFIG_SITE_TYPE: 's3',
      RCLONE_CONFIG_SITE_PROVIDER: 'Other',
      RCLONE_CONFIG_SITE_ENDPOINT: site.endpoint,
      RCLONE_CONFIG_SITE_ENV_AUTH: 'true',
      RCLONE_CONFIG_SITE_CHUNK_SIZE: '5Mi',
      RCLONE_CONFIG_SITE_UPLOAD_CUTOFF: '5Mi',
    };
    return runClient(program, ['--retries', '1', '--low-level-retries', '1', ...args], { env, cwd: site.workDir });
  };

  test('makes a bucket twice without complaint', async () => {
    await rclone('mkdir', 'site:rclone-tree');
    await rclone('mkdir', 'site:rclone-tree');
  });

  test('syncs a tree up, checks it, and syncs it down', async () => {
    await rclone('sync', site.source, 'site:rclone-tree/t');
    await rclone('check', site.source, 'site:rclone-tree/t');
    await rclone('check', '--download', site.source, 'site:rclone-tree/t');
    const target = join(site.workDir, 'down');
    await rclone('sync', 'site:rclone-tree/t', target);
    assert.deepEqual(await digestTree(target), await digestTree(site.source));
  });

  test('copies on the server and streams out', async () => {
    await rclone('copyto', 'site:rclone-tree/t/large.bin', 'site:rclone-tree/copy of large.bin');
    const sums = await rclone('md5sum', 'site:rclone-tree', '--include', '*large.bin');
    const [first, second] = sums
      .trim()
      .split('\n')
      .map((line) => line.slice(0, 32));
    assert.match(first ?? '', /^[0-9a-f]{32}$/);
    assert.equal(first, second);
    assert.equal(await rclone('cat', 'site:rclone-tree/t/empty.bin'), '');
  });

  test('purges', async () => {
    await rclone('purge', 'site:rclone-tree');
    assert.doesNotMatch(await rclone('lsd', 'site:'), /rclone-tree/);
  });
});
