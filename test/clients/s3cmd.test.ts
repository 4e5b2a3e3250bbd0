import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { digestTree, programs, runClient, skipWithout, startSiteWithTree, type SiteWithTree } from './support.ts';

const [program = 's3cmd', ...others] = programs('s3cmd');

describe('s3cmd', { skip: skipWithout('s3cmd', programs('s3cmd').length > 0) }, () => {
  let site: SiteWithTree;
  before(async () => {
    assert.deepEqual(others, [], 'one s3cmd is expected');
    site = await startSiteWithTree();
  });
  after(() => site.stop());

  const s3cmd = (...args: string[]): Promise<string> => {
    const { host } = new URL(site.endpoint);
    const address = ['--config=/dev/null', '--no-ssl', `--host=${host}`, `--host-bucket=${host}`, '--no-progress'];
    const keys = [`--access_key=${site.accessKeyId}`, `--secret_key=${site.secretAccessKey}`, '--region=us-east-1'];
    const parts = ['--multipart-chunk-size-mb=5'];
    return runClient(program, [...address, ...keys, ...parts, ...args], { env: site.env, cwd: site.workDir });
  };

  test('syncs a tree up and down', async () => {
    await s3cmd('mb', 's3://s3cmd-tree');
    await s3cmd('sync', `${site.source}/`, 's3://s3cmd-tree/t/');
    const target = join(site.workDir, 'down');
    await mkdir(target);
    await s3cmd('sync', 's3://s3cmd-tree/t/', `${target}/`);
    assert.deepEqual(await digestTree(target), await digestTree(site.source));
  });

  test('info asks for settings that are not set, and setacl private does not fail', async () => {
    const info = await s3cmd('info', 's3://s3cmd-tree');
    assert.match(info, /Policy:\s+none/);
    assert.match(info, /CORS:\s+none/);
    await s3cmd('setacl', '--acl-private', 's3://s3cmd-tree');
    assert.match(await s3cmd('info', 's3://s3cmd-tree/t/plain.txt'), /MD5 sum:\s+[0-9a-f]{32}/);
  });

  test('copies, signs a link, deletes all and the bucket', async () => {
    await s3cmd('cp', 's3://s3cmd-tree/t/plain.txt', 's3://s3cmd-tree/c d+e.txt');
    const url = (await s3cmd('signurl', 's3://s3cmd-tree/t/plain.txt', '+600')).trim();
    assert.equal((await fetch(url)).status, 200);
    await s3cmd('del', '--recursive', '--force', 's3://s3cmd-tree');
    await s3cmd('rb', 's3://s3cmd-tree');
    assert.equal((await s3cmd('ls')).trim(), '');
  });
});
