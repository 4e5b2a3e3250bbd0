/** Every folder of examples/configs (those of several sites) boots as it stands, but for its ports, and replicates over real HTTP. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';

import type { VersionVector } from '../core/contracts/index.ts';
import { skerry, skerryFails, skerryJson } from './cli/command.ts';
import { withoutClients } from './cli/shell.ts';
import { EXAMPLES, openExample, type Example, type ExampleSite } from './support/example-sites.ts';
import { rootCredentials } from './support/root-credentials.ts';

const BUCKET = 'photos';
/** Larger than what travels inside its op. */
const LARGE = Buffer.alloc(3 * 1024 * 1024 + 17, 'islands ');

const put = (client: S3Client, Key: string, Body: string | Buffer) =>
  client.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body }));

async function get(client: S3Client, Key: string): Promise<Buffer> {
  const { Body } = await client.send(new GetObjectCommand({ Bucket: BUCKET, Key }));
  return Buffer.from((await Body?.transformToByteArray()) ?? []);
}

async function keys(client: S3Client): Promise<readonly (string | undefined)[]> {
  const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: BUCKET }));
  return Contents.map(({ Key }) => Key);
}

/** Something small and something large written at each, read at every other, removed at the last, gone at the first. */
async function replicates(example: Example, names: readonly string[]): Promise<void> {
  const clients = names.map((name) => example.site(name).s3());
  const [first, ...others] = clients as [S3Client, ...S3Client[]];
  await first.send(new CreateBucketCommand({ Bucket: BUCKET }));
  for (const client of others) await keys(client); // the bucket is there: what follows is written into it
  for (const [i, name] of names.entries()) await put(clients[i] as S3Client, `from-${name}`, `written at ${name}`);
  await put(first, 'large', LARGE);
  const all = [...names.map((name) => `from-${name}`), 'large'].sort();
  for (const client of clients) {
    assert.deepEqual(await keys(client), all);
    for (const name of names) assert.equal((await get(client, `from-${name}`)).toString(), `written at ${name}`);
    assert.deepEqual(await get(client, 'large'), LARGE);
  }
  const last = clients.at(-1) as S3Client;
  await last.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: 'large' }));
  assert.deepEqual(await keys(first), names.map((name) => `from-${name}`).sort());
}

async function withExample(folder: string, use: (example: Example) => Promise<void>): Promise<void> {
  const example = await openExample(folder);
  try {
    await use(example);
  } finally {
    await example.close();
  }
}

async function start(example: Example, names: readonly string[]): Promise<void> {
  await Promise.all(names.map((name) => example.site(name).start()));
}

/** What a client sees that looks at the headers. */
async function headersOf(client: S3Client, Key: string): Promise<Headers> {
  const answer = await fetch(await getSignedUrl(client, new GetObjectCommand({ Bucket: BUCKET, Key })));
  await answer.arrayBuffer();
  return answer.headers;
}

/** The error of a TLS connection, or the status of an answer. */
function callTls(address: string, files: Readonly<Record<string, Buffer>>): Promise<string | number> {
  return new Promise((resolve) => {
    const call = request(`https://${address}/`, { method: 'POST', ...files }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    call.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    call.end();
  });
}

const FOLDERS: Readonly<Record<string, (example: Example) => Promise<void>>> = {
  async 'two-sites'(example) {
    await start(example, ['waw', 'ber']);
    await replicates(example, ['waw', 'ber']);
    const { peers } = await skerryJson<{ readonly peers: readonly { readonly site: string }[] }>(
      ['repl-status', '-c', 'waw.yaml'],
      example,
    );
    assert.deepEqual(
      peers.map(({ site }) => site),
      ['ber'],
    );
  },

  async ring(example) {
    await start(example, ['waw', 'ber', 'lis']);
    await replicates(example, ['waw', 'ber', 'lis']);
    // One site less leaves a chain, in which what the ends write reaches each other only by relay.
    await put(example.site('ber').s3(), 'before', 'relayed');
    await example.site('lis').stop();
    await put(example.site('waw').s3(), 'meanwhile', 'relayed too');
    await get(example.site('ber').s3(), 'meanwhile');
    await example.site('waw').stop();
    await example.site('lis').start();
    assert.equal((await get(example.site('lis').s3(), 'meanwhile')).toString(), 'relayed too');
  },

  async star(example) {
    await start(example, ['hub', 'north', 'south']);
    await replicates(example, ['north', 'hub', 'south']);
    // Written at an edge while the hub is away, it is read there, and at the other edge once the hub is back.
    const seen = await skerry(['repl-status', '-c', 'hub.yaml'], example);
    assert.match(seen.stdout, /no peers are configured.*skerry repl-members list/);
    await example.site('hub').stop();
    const stopped = await skerryFails(['repl-status', '-c', 'hub.yaml'], example);
    assert.match(stopped.message, /the site is not running/);
    await put(example.site('north').s3(), 'at-sea', 'alone');
    assert.equal((await get(example.site('north').s3(), 'at-sea')).toString(), 'alone');
    await example.site('hub').start();
    assert.equal((await get(example.site('south').s3(), 'at-sea')).toString(), 'alone');
  },

  async 'keep-both'(example) {
    const [waw, ber] = [example.site('waw'), example.site('ber')];
    await start(example, ['waw', 'ber']);
    await replicates(example, ['waw', 'ber']);
    // Each writes while the other is down.
    await ber.stop();
    await put(waw.s3(), 'cat', 'of Warsaw');
    await waw.stop();
    await ber.start();
    await put(ber.plainS3(), 'cat', 'of Berlin');
    await waw.start();
    const conflicts = async (file: string) =>
      skerryJson<readonly { readonly key: string }[]>(['repl-conflicts', 'list', BUCKET, '-c', file], example);
    for (const site of [waw, ber]) {
      await settled(example, site.s3());
      const headers = await headersOf(site.plainS3(), 'cat');
      assert.equal(headers.get('x-skerry-conflict'), 'true', site.name);
      const sibling = /versionId=([^&>]+)/.exec(headers.get('link') ?? '')?.[1];
      assert.ok(sibling, site.name);
      const { Body } = await site.s3().send(new GetObjectCommand({ Bucket: BUCKET, Key: 'cat', VersionId: sibling }));
      const sides = [(await get(site.s3(), 'cat')).toString(), (await Body?.transformToString()) ?? ''];
      assert.deepEqual(sides.toSorted(), ['of Berlin', 'of Warsaw'], site.name);
      assert.deepEqual(
        (await conflicts(site.file)).map(({ key }) => key),
        ['cat'],
      );
    }
    await skerryJson(['repl-conflicts', 'resolve', BUCKET, 'cat', '--choose', 'current', '-c', waw.file], example);
    await put(waw.s3(), 'after', 'its token covers the resolution');
    for (const site of [waw, ber]) {
      assert.equal((await get(site.s3(), 'after')).length > 0, true);
      assert.equal((await headersOf(site.plainS3(), 'cat')).get('x-skerry-conflict'), null, site.name);
      assert.deepEqual(await conflicts(site.file), []);
    }
  },

  async 'primary-replica'(example) {
    const [waw, ber] = [example.site('waw'), example.site('ber')];
    await start(example, ['waw', 'ber']);
    await knowsKeyOf(example, 'waw', ber);
    await replicates(example, ['ber', 'waw']);
    const once = new PutObjectCommand({ Bucket: BUCKET, Key: 'once', Body: 'x', IfNoneMatch: '*' });
    await ber.s3().send(once);
    await assert.rejects(waw.s3().send(once), { name: 'PreconditionFailed' });
    assert.equal((await put(ber.plainS3(), 'through-ber', 'x')).$metadata.httpStatusCode, 200);
    assert.equal((await get(ber.plainS3(), 'through-ber')).toString(), 'x', 'without a token, too');
    // The primary is gone: reads go on, writes say why not, until the replica takes over.
    await waw.stop();
    assert.equal((await get(ber.plainS3(), 'once')).toString(), 'x');
    const refused = await fetch(await getSignedUrl(ber.plainS3(), new PutObjectCommand({ Bucket: BUCKET, Key: 'k' })), {
      method: 'PUT',
      body: 'x',
    });
    assert.equal(refused.status, 503);
    assert.match(await refused.text(), /writes go to the primary waw, which does not answer/);
    assert.match((await skerry(['status', '-c', ber.file], example)).stdout, /^primary +waw$/m);
    await skerryJson(['repl-promote', '-c', ber.file], example);
    const { primary } = await skerryJson<{ primary?: object }>(['status', '-c', ber.file], example);
    assert.deepEqual({ ...primary, url: undefined }, { site: 'ber', epoch: 1, url: undefined });
    await put(ber.s3(), 'after', 'by the new primary');
    // The old primary comes back, learns of it, and forwards.
    await waw.start();
    assert.equal((await get(waw.s3(), 'after')).toString(), 'by the new primary');
    await put(waw.s3(), 'handed-back', 'x');
    assert.equal((await get(ber.plainS3(), 'handed-back')).toString(), 'x');
  },

  async mtls(example) {
    await start(example, ['waw', 'ber']);
    await replicates(example, ['waw', 'ber']);
    const read = (name: string): Buffer => readFileSync(join(example.cwd, name));
    const address = example.addressOf('127.0.0.1:9100');
    const own = { ca: read('ca.pem'), cert: read('ber.pem'), key: read('ber.key') };
    assert.equal(typeof (await callTls(address, own)), 'number', 'with a certificate there is an answer');
    assert.match(String(await callTls(address, { ca: own.ca })), /^(ERR_SSL_|ECONNRESET)/);
  },
};

/** The key that a replica's first start made is of use once the primary knows it, and it learns by replication. */
async function knowsKeyOf(example: Example, name: string, other: ExampleSite): Promise<void> {
  const { accessKeyId } = rootCredentials(other.dataDir);
  const { vector } = await skerryJson<{ readonly vector: VersionVector }>(['status', '-c', other.file], example);
  const token = Buffer.from(JSON.stringify(vector)).toString('base64url');
  example.session.observe(token);
  await example.site(name).s3().send(new ListBucketsCommand({}));
  const keys = await skerryJson<readonly { readonly accessKeyId: string }[]>(
    ['key', 'list', '-c', example.site(name).file],
    example,
  );
  assert.ok(keys.some((key) => key.accessKeyId === accessKeyId));
}

/** A write at each site that is seen at the other: then each has all that the other had before. */
async function settled(example: Example, client: S3Client): Promise<void> {
  for (const name of ['waw', 'ber']) await put(example.site(name).s3(), `seen-${name}`, name);
  await client.send(new HeadObjectCommand({ Bucket: BUCKET, Key: 'seen-waw' }));
  await client.send(new HeadObjectCommand({ Bucket: BUCKET, Key: 'seen-ber' }));
}

const skip = withoutClients('openssl', 'head');

describe('examples/configs of several sites', { skip }, () => {
  const folders = readdirSync(EXAMPLES, { withFileTypes: true }).filter((entry) => entry.isDirectory());

  test('each is expected here, and each file says what it is for', () => {
    assert.deepEqual(folders.map(({ name }) => name).sort(), Object.keys(FOLDERS).sort());
    for (const { name } of folders)
      for (const file of readdirSync(join(EXAMPLES, name)))
        assert.match(readFileSync(join(EXAMPLES, name, file), 'utf8'), /^# \S/, `${name}/${file}`);
  });

  for (const [folder, use] of Object.entries(FOLDERS)) test(folder, () => withExample(folder, use));
});
