import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import {
  digestFile,
  digestTree,
  programs,
  runClient,
  skipWithout,
  startSiteWithTree,
  writeNoise,
  type SiteWithTree,
} from './support.ts';

const found = programs('aws');

describe('AWS CLI', { skip: skipWithout('aws', found.length > 0) }, () => {
  let site: SiteWithTree;
  before(async () => {
    site = await startSiteWithTree();
    await writeNoise(join(site.workDir, 'big.bin'), 64 * 2 ** 20, 64);
  });
  after(() => site.stop());

  for (const [index, program] of found.entries()) {
    const bucket = `awscli-${index}`;
    const aws = (...args: string[]): Promise<string> =>
      runClient(program, ['--endpoint-url', site.endpoint, ...args], { env: site.env, cwd: site.workDir });
    const json = async (...args: string[]): Promise<Record<string, unknown>> =>
      JSON.parse(await aws(...args, '--output', 'json')) as Record<string, unknown>;

    describe(program, () => {
      test('makes a bucket, and is told when it has it already', async () => {
        await aws('s3', 'mb', `s3://${bucket}`);
        await assert.rejects(aws('s3', 'mb', `s3://${bucket}`), /BucketAlreadyOwnedByYou/);
        assert.match(await aws('s3', 'ls'), new RegExp(bucket));
      });

      test('syncs a tree up and down', async () => {
        await aws('s3', 'sync', site.source, `s3://${bucket}/tree`, '--only-show-errors');
        const target = join(site.workDir, `down-${index}`);
        await aws('s3', 'sync', `s3://${bucket}/tree`, target, '--only-show-errors');
        assert.deepEqual(await digestTree(target), await digestTree(site.source));
        assert.equal(
          await aws('s3', 'sync', site.source, `s3://${bucket}/tree`, '--size-only'),
          '',
          'nothing is left to do',
        );
      });

      test('moves 64 MiB in parts, copies it on the server, reads it back', async () => {
        const big = join(site.workDir, 'big.bin');
        await aws('s3', 'cp', big, `s3://${bucket}/big.bin`, '--only-show-errors');
        await aws('s3', 'cp', `s3://${bucket}/big.bin`, `s3://${bucket}/copy.bin`, '--only-show-errors');
        await aws('s3', 'cp', `s3://${bucket}/copy.bin`, `back-${index}.bin`, '--only-show-errors');
        assert.equal(await digestFile(join(site.workDir, `back-${index}.bin`)), await digestFile(big));
        const head = await json('s3api', 'head-object', '--bucket', bucket, '--key', 'big.bin');
        assert.match(String(head['ETag']), /^"[0-9a-f]{32}-8"$/);
      });

      test('presigns a link that anybody may follow', async () => {
        const url = (await aws('s3', 'presign', `s3://${bucket}/tree/plain.txt`)).trim();
        const response = await fetch(url);
        assert.equal(response.status, 200);
        assert.deepEqual(Buffer.from(await response.arrayBuffer()), await readFile(join(site.source, 'plain.txt')));
        assert.equal((await fetch(url.replace('plain.txt', 'empty.bin'))).status, 403);
      });

      test('keeps checksums that it asked for', async () => {
        const body = join(site.workDir, 'plain.json');
        await writeFile(body, '{}');
        const put = ['s3api', 'put-object', '--bucket', bucket, '--key', 'sum', '--body', body];
        await aws(...put, '--checksum-algorithm', 'SHA256');
        const head = await json(
          's3api',
          'head-object',
          '--bucket',
          bucket,
          '--key',
          'sum',
          '--checksum-mode',
          'ENABLED',
        );
        assert.equal(head['ChecksumSHA256'], 'RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=');
      });

      test('versions, deletes many, and removes the bucket', async () => {
        const versioning = ['--versioning-configuration', 'Status=Enabled'];
        await aws('s3api', 'put-bucket-versioning', '--bucket', bucket, ...versioning);
        await aws('s3', 'cp', join(site.source, 'plain.txt'), `s3://${bucket}/v`, '--only-show-errors');
        await aws('s3', 'rm', `s3://${bucket}/v`);
        const listed = await json('s3api', 'list-object-versions', '--bucket', bucket, '--prefix', 'v');
        assert.deepEqual(
          [(listed['Versions'] as unknown[]).length, (listed['DeleteMarkers'] as unknown[]).length],
          [1, 1],
        );
        await aws('s3', 'rm', `s3://${bucket}`, '--recursive', '--only-show-errors');
        await assert.rejects(aws('s3', 'rb', `s3://${bucket}`), /BucketNotEmpty/);
      });
    });
  }
});
