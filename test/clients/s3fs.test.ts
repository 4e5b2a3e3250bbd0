import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { existsSync } from 'node:fs';
import { appendFile, chmod, mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CreateBucketCommand } from '@aws-sdk/client-s3';

import { sdkClient } from './sdk-client.ts';
import { digestFile, programs, runClient, skipWithout, startSite, writeNoise, type Site } from './support.ts';

const [program = 's3fs'] = programs('s3fs');
const usable = programs('s3fs').length > 0 && existsSync('/dev/fuse') && process.getuid?.() === 0;

describe('s3fs', { skip: skipWithout('s3fs (with /dev/fuse, as root)', usable) }, () => {
  let site: Site;
  let mount: string;
  before(async () => {
    site = await startSite();
    const { env, workDir } = site;
    mount = join(workDir, 'mount');
    await mkdir(mount);
    const passwords = join(workDir, 'passwd-s3fs');
    await writeFile(passwords, `${site.accessKeyId}:${site.secretAccessKey}\n`, { mode: 0o600 });
    const client = sdkClient(site);
    await client.send(new CreateBucketCommand({ Bucket: 's3fs-bucket' }));
    client.destroy();
    const options = ['use_path_request_style', `url=${site.endpoint}`, `passwd_file=${passwords}`, 'multipart_size=5'];
    await runClient(program, ['s3fs-bucket', mount, '-o', options.join(',')], { env });
  });
  after(async () => {
    await runClient('umount', [mount], { env: site.env });
    await site.stop();
  });

  test('writes, reads, appends, renames, changes modes and removes', async () => {
    const file = join(mount, 'folder', 'one.txt');
    await mkdir(join(mount, 'folder'));
    await writeFile(file, 'hello');
    await appendFile(file, ' world');
    assert.equal(await readFile(file, 'utf8'), 'hello world');
    await chmod(file, 0o600);
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    await rename(file, join(mount, 'folder', 'two.txt'));
    assert.deepEqual(await readdir(join(mount, 'folder')), ['two.txt']);
    await rm(join(mount, 'folder'), { recursive: true });
    assert.deepEqual(await readdir(mount), []);
  });

  test('a file of several parts is the same when read back', async () => {
    const local = join(site.workDir, 'local.bin');
    await writeNoise(local, 25 * 2 ** 20 + 7, 3);
    await runClient('cp', [local, join(mount, 'parts.bin')], { env: site.env });
    await rename(join(mount, 'parts.bin'), join(mount, 'moved.bin'));
    assert.equal(await digestFile(join(mount, 'moved.bin')), await digestFile(local));
  });
});
