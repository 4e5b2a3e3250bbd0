/** `skerry demo`: the story ends well, says so, leaves sites that answer, and nothing behind. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';

import { scratch, skerry, skerryFails, skerryJson, start } from './command.ts';

/** A directory for temporary files that must be empty again. */
async function withTemporary(use: (where: { cwd: string; env: { TMPDIR: string } }) => Promise<void>): Promise<void> {
  const { path: cwd, remove } = scratch();
  const TMPDIR = join(cwd, 'tmp');
  mkdirSync(TMPDIR);
  try {
    await use({ cwd, env: { TMPDIR } });
    assert.deepEqual(readdirSync(TMPDIR), [], 'everything was removed');
  } finally {
    remove();
  }
}

interface Ready {
  readonly event: string;
  readonly digest: string;
  readonly keys: readonly string[];
  readonly conflicts: number;
  readonly sites: readonly { readonly site: string; readonly url: string; readonly dataDir: string }[];
  readonly accessKeyId: string;
  readonly secretKey: string;
}

describe('skerry demo', () => {
  test('--once tells the story in plain lines and ends with three equal digests', () =>
    withTemporary(async (where) => {
      const { code, stdout, stderr } = await skerry(['demo', '--once'], where);
      assert.equal(code, 0, stderr);
      assert.equal(stderr, '', 'no progress where there is no terminal');
      assert.ok(!stdout.includes('\r') && !stdout.includes('\u001b'));
      const last = stdout.slice(stdout.indexOf('3. The network is back'));
      const rows = [...last.matchAll(/^ +(waw|ber|lis) +([0-9a-f]{32}) +6 +1$/gm)];
      assert.deepEqual(
        rows.map(([, site]) => site),
        ['waw', 'ber', 'lis'],
      );
      assert.equal(new Set(rows.map(([, , digest]) => digest)).size, 1);
      assert.match(stdout, /waw +soup +5\n +ber +fish +5\n +lis +fish +5\n/, 'during the partition the sides differ');
      assert.match(last, /menu\.txt was written on both sides, .*: a conflict/);
    }));

  test('leaves three sites that S3 clients and the command line reach, until it is interrupted', () =>
    withTemporary(async (where) => {
      const demo = start(['demo', '--json'], where);
      const [line] = (await demo.stdout.take(1).toArray()) as [Buffer];
      const ready = JSON.parse(line.toString()) as Ready;
      assert.deepEqual([ready.event, ready.conflicts, ready.keys.length, ready.sites.length], ['ready', 1, 6, 3]);
      const seen = new Set<string | undefined>();
      for (const { site, url, dataDir } of ready.sites) {
        const credentials = { accessKeyId: ready.accessKeyId, secretAccessKey: ready.secretKey };
        const client = new S3Client({ endpoint: url, region: 'us-east-1', forcePathStyle: true, credentials });
        const { Body } = await client.send(new GetObjectCommand({ Bucket: 'demo', Key: 'menu.txt' }));
        seen.add(await Body?.transformToString());
        client.destroy();
        const status = await skerryJson<{ readonly site: string; readonly digest: string }>(
          ['status', '--data-dir', dataDir],
          where,
        );
        assert.deepEqual([status.site, status.digest], [site, ready.digest]);
      }
      assert.equal(seen.size, 1);
      const exited = new Promise((resolve) => demo.once('exit', resolve));
      demo.kill('SIGINT');
      assert.equal(await exited, 0);
    }));

  test('sites that do not become equal in time end it with a clear error', () =>
    withTemporary(async (where) => {
      const error = await skerryFails(['demo', '--wait', '0'], where);
      assert.equal(error.code, 'Timeout');
      assert.match(error.message, /^after 0 s it is still not so that .+: \w+ lacks /);
    }));
});
