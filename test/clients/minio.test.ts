import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { Client } from 'minio';

import { noise, startSite, type Site } from './support.ts';

const BUCKET = 'minio-bucket';

async function sha256(pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of pieces) hash.update(piece);
  return hash.digest('hex');
}

describe('MinIO client for JavaScript', () => {
  let site: Site;
  let client: Client;
  before(async () => {
    site = await startSite();
    const { hostname, port } = new URL(site.endpoint);
    const { accessKeyId: accessKey, secretAccessKey: secretKey } = site;
    client = new Client({
      endPoint: hostname,
      port: Number(port),
      useSSL: false,
      accessKey,
      secretKey,
      region: 'us-east-1',
    });
    await client.makeBucket(BUCKET, 'us-east-1');
  });
  after(() => site.stop());

  const names = async (prefix: string, version: 'V1' | 'V2'): Promise<readonly string[]> => {
    const stream =
      version === 'V1' ? client.listObjects(BUCKET, prefix, true) : client.listObjectsV2(BUCKET, prefix, true);
    const rows = (await stream.toArray()) as readonly { readonly name?: string }[];
    return rows.map(({ name = '' }) => name);
  };

  test('puts, stats and reads with metadata', async () => {
    await client.putObject(BUCKET, 'a b/ü+1', 'content', 7, { 'Content-Type': 'text/x-test', colour: 'red' });
    const stat = await client.statObject(BUCKET, 'a b/ü+1');
    assert.deepEqual([stat.size, stat.metaData['content-type'], stat.metaData['colour']], [7, 'text/x-test', 'red']);
    assert.equal((await buffer(await client.getPartialObject(BUCKET, 'a b/ü+1', 3, 4))).toString(), 'tent');
  });

  test('a stream of unknown length, whose parts begin at 2', async () => {
    const bytes = 70 * 2 ** 20 + 5;
    await client.putObject(BUCKET, 'stream', Readable.from(noise(bytes, 5), { objectMode: false }));
    assert.equal(await sha256(await client.getObject(BUCKET, 'stream')), await sha256(noise(bytes, 5)));
  });

  test('lists V1 and V2, and removes many', async () => {
    const keys = Array.from({ length: 12 }, (_, index) => `l/${String(index).padStart(2, '0')} &`);
    for (const key of keys) await client.putObject(BUCKET, key, 'x');
    for (const version of ['V1', 'V2'] as const) assert.deepEqual(await names('l/', version), keys);
    await client.removeObjects(BUCKET, keys);
    assert.deepEqual(await names('l/', 'V2'), []);
  });

  test('presigned links', async () => {
    const put = await client.presignedPutObject(BUCKET, 'linked', 60);
    assert.equal((await fetch(put, { method: 'PUT', body: 'by link' })).status, 200);
    const get = await client.presignedGetObject(BUCKET, 'linked', 60);
    assert.equal(await (await fetch(get)).text(), 'by link');
  });

  test('a bucket policy lets strangers read, and nothing else', async () => {
    const address = `${site.endpoint}/${BUCKET}/linked`;
    assert.equal((await fetch(address)).status, 403);
    const statement = { Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: `arn:aws:s3:::${BUCKET}/*` };
    await client.setBucketPolicy(BUCKET, JSON.stringify({ Version: '2012-10-17', Statement: [statement] }));
    assert.deepEqual(JSON.parse(await client.getBucketPolicy(BUCKET)), {
      Version: '2012-10-17',
      Statement: [statement],
    });
    assert.equal((await fetch(address)).status, 200);
    assert.equal((await fetch(address, { method: 'DELETE' })).status, 403);
    assert.equal((await fetch(`${site.endpoint}/${BUCKET}`)).status, 403);
  });
});
