/** A site whose meta-store is gone comes back from its chunk-store, on the real command. */
import assert from 'node:assert/strict';
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';

import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';

import { scratch, serve, skerry, skerryFails, skerryJson } from './command.ts';

const ROOT = { SKERRY_ROOT_ACCESS_KEY: 'ROOTKEY', SKERRY_ROOT_SECRET_KEY: 'rootsecretrootsecret' };
const Bucket = 'photos';

describe('rebuild-index', () => {
  const { path: cwd, remove } = scratch();
  after(remove);
  const where = { cwd, env: ROOT };
  const bodies = ['one', 'x'.repeat(100_000), 'three'];

  async function withSite(use: (s3: S3Client) => Promise<void>): Promise<void> {
    const site = await serve(where);
    const s3 = new S3Client({
      endpoint: site.url,
      region: 'us-east-1',
      forcePathStyle: true,
      credentials: { accessKeyId: 'ROOTKEY', secretAccessKey: 'rootsecretrootsecret' },
    });
    try {
      await use(s3);
    } finally {
      s3.destroy();
      assert.equal(await site.end(), 0);
    }
  }

  test('refuses a running site and a meta-store that is not empty, and then brings everything back', async () => {
    await withSite(async (s3) => {
      await skerryJson(['bucket', 'create', Bucket], where);
      for (const [at, Body] of bodies.entries()) await s3.send(new PutObjectCommand({ Bucket, Key: `k${at}`, Body }));
      assert.equal((await skerryFails(['rebuild-index'], where)).code, 'Locked');
    });
    const { code, hint } = await skerryFails(['rebuild-index'], where);
    assert.equal(code, 'AlreadyExists');
    assert.match(hint ?? '', /meta-sqlite/);
    const before = await skerryJson<{ origin: string; counters: object }>(['status'], where);

    renameSync(join(cwd, 'data', 'meta-sqlite'), join(cwd, 'lost'));
    const report = await skerryJson<{ damage: unknown[]; gaps: unknown[]; missing: unknown[]; ops: number }>(
      ['rebuild-index'],
      where,
    );
    assert.deepEqual([report.damage, report.gaps, report.missing], [[], [], []]);
    assert.ok(report.ops >= 1 + bodies.length);
    const status = await skerryJson<{ origin: string; counters: object }>(['status'], where);
    assert.deepEqual(status.counters, before.counters);
    assert.notEqual(status.origin, before.origin, 'numbers of lost ops are not given again');
    await withSite(async (s3) => {
      for (const [at, body] of bodies.entries()) {
        const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key: `k${at}` }));
        assert.equal(await Body?.transformToString(), body);
      }
    });
  });

  test('no command begins anew over data whose meta-store is lost', async () => {
    rmSync(join(cwd, 'data', 'meta-sqlite'), { recursive: true });
    for (const command of [['status'], ['gc', 'run'], ['serve', '--listen', '127.0.0.1:0']]) {
      const { code, message, hint } = await skerryFails(command, where);
      assert.equal(code, 'Corrupt', command.join(' '));
      assert.match(message, /^metaStore did not open: it is empty, although the chunk-store holds data/);
      assert.match(hint ?? '', /skerry rebuild-index/);
    }
    assert.equal((await skerry(['rebuild-index'], where)).code, 0);
    const { counters } = await skerryJson<{ counters: { objects: number } }>(['status'], where);
    assert.equal(counters.objects, bodies.length);
  });

  test('says in words what it found', async () => {
    rmSync(join(cwd, 'data', 'meta-sqlite'), { recursive: true });
    const { code, stdout } = await skerry(['rebuild-index'], where);
    assert.equal(code, 0);
    assert.match(stdout, /operations +\d+\nchunks +\d+\nrecords given back +\d+\nlost +nothing that is known of\n$/);
  });

  test('makes no site where there is none', async () => {
    assert.equal((await skerryFails(['rebuild-index', '--data-dir', 'elsewhere'], where)).code, 'NotFound');
  });
});
