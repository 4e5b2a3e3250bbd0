import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteObjectsCommand,
  GetBucketCorsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectVersionsCommand,
  ListPartsCommand,
  PutBucketCorsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  paginateListObjectsV2,
  type S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';

import { sdkClient } from './sdk-client.ts';
import { noise, startSite, type Site } from './support.ts';

const Bucket = 'sdk-bucket';

describe('AWS SDK for JavaScript', () => {
  let site: Site;
  let client: S3Client;
  before(async () => {
    site = await startSite();
    client = sdkClient(site);
    await client.send(new CreateBucketCommand({ Bucket }));
  });
  after(async () => {
    client.destroy();
    await site.stop();
  });

  test('keeps content, headers and metadata', async () => {
    const put = { Bucket, Key: 'a b/ü+%2F.txt', Body: 'content', ContentType: 'text/x-test', CacheControl: 'no-store' };
    await client.send(new PutObjectCommand({ ...put, Metadata: { colour: 'red' }, Tagging: 'a=1' }));
    const got = await client.send(new GetObjectCommand({ Bucket, Key: put.Key, Range: 'bytes=3-' }));
    assert.equal(await got.Body?.transformToString(), 'tent');
    assert.deepEqual(
      [got.ContentType, got.CacheControl, got.Metadata, got.TagCount],
      ['text/x-test', 'no-store', { colour: 'red' }, 1],
    );
    await client.send(
      new CopyObjectCommand({ Bucket, Key: 'copied', CopySource: `${Bucket}/${encodeURIComponent(put.Key)}` }),
    );
    const copied = await client.send(new HeadObjectCommand({ Bucket, Key: 'copied' }));
    assert.deepEqual([copied.ContentType, copied.Metadata], ['text/x-test', { colour: 'red' }]);
  });

  for (const algorithm of ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const) {
    test(`answers ${algorithm} to who asks`, async () => {
      const put = new PutObjectCommand({ Bucket, Key: algorithm, Body: 'checked', ChecksumAlgorithm: algorithm });
      const sent = await client.send(put);
      const head = await client.send(new HeadObjectCommand({ Bucket, Key: algorithm, ChecksumMode: 'ENABLED' }));
      assert.ok(sent[`Checksum${algorithm}`]);
      assert.equal(head[`Checksum${algorithm}`], sent[`Checksum${algorithm}`]);
    });
  }

  test('uploads a stream of unknown length in parts', async () => {
    const bytes = 64 * 2 ** 20 + 1;
    const hash = createHash('sha256');
    const body = Readable.from(noise(bytes, 9), { objectMode: false }).on('data', (piece: Buffer) =>
      hash.update(piece),
    );
    body.pause();
    const upload = new Upload({
      client,
      params: { Bucket, Key: 'stream', Body: body },
      partSize: 8 * 2 ** 20,
      queueSize: 2,
    });
    const done = await upload.done();
    assert.match(done.ETag ?? '', /-9"$/);
    const got = await client.send(new GetObjectCommand({ Bucket, Key: 'stream' }));
    const back = createHash('sha256');
    for await (const piece of got.Body as Readable) back.update(piece as Buffer);
    assert.equal(back.digest('hex'), hash.digest('hex'));
    const late = new ListPartsCommand({ Bucket, Key: 'stream', UploadId: upload.uploadId });
    await assert.rejects(client.send(late), { name: 'NoSuchUpload' });
  });

  test('lists in pages, with prefixes', async () => {
    const keys = Array.from({ length: 25 }, (_, index) => `list/${index % 5}/${index}`);
    for (const Key of keys) await client.send(new PutObjectCommand({ Bucket, Key, Body: 'x' }));
    const listed: string[] = [];
    for await (const page of paginateListObjectsV2({ client, pageSize: 4 }, { Bucket, Prefix: 'list/' }))
      listed.push(...(page.Contents ?? []).map(({ Key = '' }) => Key));
    assert.deepEqual(listed, [...keys].sort());
    const prefixes: string[] = [];
    for await (const page of paginateListObjectsV2(
      { client, pageSize: 2 },
      { Bucket, Prefix: 'list/', Delimiter: '/' },
    ))
      prefixes.push(...(page.CommonPrefixes ?? []).map(({ Prefix = '' }) => Prefix));
    assert.deepEqual(prefixes, ['list/0/', 'list/1/', 'list/2/', 'list/3/', 'list/4/']);
  });

  test('decides conditions on writes', async () => {
    const put = { Bucket, Key: 'once', Body: 'first' };
    const { ETag } = await client.send(new PutObjectCommand({ ...put, IfNoneMatch: '*' }));
    await assert.rejects(client.send(new PutObjectCommand({ ...put, IfNoneMatch: '*' })), {
      name: 'PreconditionFailed',
    });
    await client.send(new PutObjectCommand({ ...put, Body: 'second', IfMatch: ETag }));
    await assert.rejects(client.send(new PutObjectCommand({ ...put, IfMatch: ETag })), { name: 'PreconditionFailed' });
  });

  test('presigns reads and writes', async () => {
    const put = await getSignedUrl(client, new PutObjectCommand({ Bucket, Key: 'signed' }), { expiresIn: 60 });
    assert.equal((await fetch(put, { method: 'PUT', body: 'by link' })).status, 200);
    const get = await getSignedUrl(client, new GetObjectCommand({ Bucket, Key: 'signed' }), { expiresIn: 60 });
    assert.equal(await (await fetch(get)).text(), 'by link');
  });

  test('sets CORS, and a browser’s preflight is answered by it', async () => {
    const CORSRules = [{ AllowedOrigins: ['https://*.example'], AllowedMethods: ['PUT'], AllowedHeaders: ['*'] }];
    await client.send(new PutBucketCorsCommand({ Bucket, CORSConfiguration: { CORSRules } }));
    const shown = await client.send(new GetBucketCorsCommand({ Bucket }));
    assert.deepEqual(shown.CORSRules, CORSRules);
    const headers = { origin: 'https://app.example', 'access-control-request-method': 'PUT' };
    const answer = await fetch(`${site.endpoint}/${Bucket}/x`, { method: 'OPTIONS', headers });
    assert.deepEqual([answer.status, answer.headers.get('access-control-allow-origin')], [200, 'https://app.example']);
    const other = await fetch(`${site.endpoint}/${Bucket}/x`, {
      method: 'OPTIONS',
      headers: { ...headers, origin: 'https://evil' },
    });
    assert.equal(other.status, 403);
  });

  test('deletes versions and markers, many at once', async () => {
    const versioned = 'sdk-versioned';
    await client.send(new CreateBucketCommand({ Bucket: versioned }));
    const VersioningConfiguration = { Status: 'Enabled' } as const;
    await client.send(new PutBucketVersioningCommand({ Bucket: versioned, VersioningConfiguration }));
    for (const Body of ['1', '2']) await client.send(new PutObjectCommand({ Bucket: versioned, Key: 'k', Body }));
    const Delete = { Objects: [{ Key: 'k' }, { Key: 'never was' }] };
    const deleted = await client.send(new DeleteObjectsCommand({ Bucket: versioned, Delete }));
    assert.equal(deleted.Deleted?.[0]?.DeleteMarker, true);
    const { Versions = [], DeleteMarkers = [] } = await client.send(
      new ListObjectVersionsCommand({ Bucket: versioned }),
    );
    assert.deepEqual([Versions.length, DeleteMarkers.length], [2, 2]);
    const Objects = [...Versions, ...DeleteMarkers].map(({ Key, VersionId }) => ({ Key, VersionId }));
    await client.send(new DeleteObjectsCommand({ Bucket: versioned, Delete: { Objects, Quiet: true } }));
    const left = await client.send(new ListObjectVersionsCommand({ Bucket: versioned }));
    assert.deepEqual([left.Versions, left.DeleteMarkers], [undefined, undefined]);
  });
});
