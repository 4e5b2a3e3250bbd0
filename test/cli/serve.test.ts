/** The life of a site under the real command: first start, second process, signals, what is left behind and what is never said. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { request, type ClientRequest, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';

import { CreateBucketCommand, GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';

import { scratch, serve, skerryFails, skerryJson, type Serving } from './command.ts';

let cwd: string;
let remove: () => void;
const running: Serving[] = [];

beforeEach(() => {
  ({ path: cwd, remove } = scratch());
});

afterEach(async () => {
  for (const site of running.splice(0)) await site.end('SIGKILL');
  remove();
});

async function start(...args: readonly string[]): Promise<Serving> {
  const site = await serve({ cwd }, ...args);
  running.push(site);
  return site;
}

/** What the first start leaves for clients. */
function rootCredentials(): { readonly accessKeyId: string; readonly secretAccessKey: string } {
  const text = readFileSync(join(cwd, 'data/root-credentials'), 'utf8');
  const accessKeyId = /^aws_access_key_id = (\S+)$/m.exec(text)?.[1] ?? '';
  const secretAccessKey = /^aws_secret_access_key = (\S+)$/m.exec(text)?.[1] ?? '';
  assert.ok(accessKeyId !== '' && secretAccessKey.length >= 40);
  return { accessKeyId, secretAccessKey };
}

function client(endpoint: string): S3Client {
  return new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials: rootCredentials() });
}

/** An upload of 10 bytes that the site is in the middle of: it asked for the body and has 5 bytes. */
async function heldUpload(
  site: Serving,
): Promise<{ readonly upload: ClientRequest; readonly answered: Promise<number> }> {
  const s3 = client(site.url);
  await s3.send(new CreateBucketCommand({ Bucket: 'first' }));
  const url = await getSignedUrl(s3, new PutObjectCommand({ Bucket: 'first', Key: 'held' }));
  const upload = request(url, { method: 'PUT', headers: { expect: '100-continue', 'content-length': '10' } });
  const answer = once(upload, 'response') as Promise<[IncomingMessage]>;
  const answered = answer.then(([response]) => {
    response.resume();
    return response.statusCode ?? 0;
  });
  answered.catch(() => undefined); // a test that ends the site early asks later
  upload.flushHeaders();
  await once(upload, 'continue');
  upload.write('12345');
  return { upload, answered };
}

describe('first start', () => {
  test('says where the root credentials are and how clients reach it; the second start does not', async () => {
    const site = await start();
    const said = site.stdout();
    assert.match(said, /First start: root credentials were made/);
    assert.match(said, /^ {2}data\/root-credentials$/m);
    assert.ok(said.includes(`Endpoint: ${site.url}`));
    for (const name of ['aws', 'rclone', 's3cmd'])
      assert.match(said, new RegExp(`_FILE=data/root-credentials ${name} `));
    assert.match(said, /\nready http:\/\/127\.0\.0\.1:\d+ unix:.*\/data\/admin\.sock\n$/);
    assert.equal(await site.end(), 0);

    const again = await start();
    assert.match(again.stdout(), /^ready [^\n]*\n$/);
  });

  test('what it made is for its owner alone', async () => {
    await start();
    for (const name of ['root-credentials', 'admin.sock', 'admin.token', 'master.key', 'site.json']) {
      assert.equal(statSync(join(cwd, 'data', name)).mode & 0o777, 0o600, name);
    }
    assert.equal(statSync(join(cwd, 'data')).mode & 0o777, 0o700);
  });

  test('--json: one line with everything a script needs, and no secret', async () => {
    const site = await start('--json');
    const lines = site.stdout().trimEnd().split('\n');
    assert.equal(lines.length, 1);
    const ready = JSON.parse(lines[0] ?? '') as Record<string, unknown>;
    const { accessKeyId } = rootCredentials();
    assert.equal(ready['event'], 'ready');
    assert.equal(ready['pid'], site.pid);
    assert.deepEqual(ready['addresses'], [site.url, `unix:${join(cwd, 'data/admin.sock')}`]);
    assert.deepEqual(ready['rootCredentials'], { file: join(cwd, 'data/root-credentials'), accessKeyId });
  });

  test('an object outlives the restart; no secret was ever printed', async () => {
    const site = await start('--set', 'log.level=debug');
    const { secretAccessKey } = rootCredentials();
    const token = readFileSync(join(cwd, 'data/admin.token'), 'utf8').trim();
    const made = await skerryJson<{ secretKey: string }>(['key', 'create'], { cwd });
    await client(site.url).send(new CreateBucketCommand({ Bucket: 'first' }));
    await client(site.url).send(new PutObjectCommand({ Bucket: 'first', Key: 'a/b', Body: 'kept' }));
    assert.equal(await site.end(), 0);
    assert.match(site.stderr(), /"msg":"stopped"/);
    for (const secret of [secretAccessKey, token, made.secretKey]) {
      assert.equal((site.stdout() + site.stderr()).includes(secret), false);
    }

    const again = await start();
    const { Body } = await client(again.url).send(new GetObjectCommand({ Bucket: 'first', Key: 'a/b' }));
    assert.equal(await Body?.transformToString(), 'kept');
  });
});

describe('one process', () => {
  test('a second one on the same data is refused and told the pid', async () => {
    const site = await start();
    const error = await skerryFails(['serve', '--listen', '127.0.0.1:0'], { cwd });
    assert.equal(error.code, 'Locked');
    assert.match(error.message, new RegExp(`process ${site.pid}\\b`));
    assert.equal((await fetch(`${site.url}/-/health/live`)).status, 200);
  });

  test('a taken port is a failure that names it', async () => {
    const site = await start();
    const { host } = new URL(site.url);
    const error = await skerryFails(['serve', '--listen', host, '--data-dir', 'other'], { cwd });
    assert.match(error.message, new RegExp(`cannot listen on ${host}`));
    assert.equal(existsSync(join(cwd, 'other/admin.sock')), false);
  });

  test('killed, it leaves a lock and a socket that the next start takes over', async () => {
    const site = await start();
    await site.end('SIGKILL');
    assert.ok(existsSync(join(cwd, 'data/admin.sock')));
    await start();
    const status = await skerryJson<{ running: boolean; ready: boolean }>(['status'], { cwd });
    assert.deepEqual([status.running, status.ready], [true, true]);
  });
});

describe('stopping', () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    test(`${signal}: exit code 0, socket gone`, async () => {
      const site = await start();
      assert.equal(await site.end(signal), 0);
      assert.equal(readdirSync(join(cwd, 'data')).includes('admin.sock'), false);
      assert.match(site.stderr(), new RegExp(`${signal}: stopping`));
    });
  }

  test('a running request may finish, a new one is not taken', async () => {
    const site = await start();
    const { upload, answered } = await heldUpload(site);
    process.kill(site.pid, 'SIGTERM');
    await site.saidOnStderr(/stopping/);
    await assert.rejects(fetch(`${site.url}/-/health/live`));
    upload.end('67890');
    assert.equal(await answered, 200);
    assert.equal(await site.exited, 0);

    const again = await start();
    const { Body } = await client(again.url).send(new GetObjectCommand({ Bucket: 'first', Key: 'held' }));
    assert.equal(await Body?.transformToString(), '1234567890');
  });

  test('a second signal ends the process at once', async () => {
    const site = await start('--set', 'shutdown.graceMs=600000');
    const { answered } = await heldUpload(site);
    process.kill(site.pid, 'SIGTERM');
    await site.saidOnStderr(/stopping/);
    assert.equal(await site.end('SIGTERM'), 1);
    await assert.rejects(answered);
  });

  test('over the admin socket: exit code 0', async () => {
    const site = await start();
    const { adminClient } = await import('../../core/cli/admin-client.ts');
    const token = readFileSync(join(cwd, 'data/admin.token'), 'utf8').trim();
    await adminClient({ socketPath: join(cwd, 'data/admin.sock'), token }).stop();
    assert.equal(await site.exited, 0);
  });
});
