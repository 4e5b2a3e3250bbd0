/** Writes at a replica that hands them to the primary: the whole of writing over real HTTP, and what may go wrong on the way. */
import assert from 'node:assert/strict';
import { createServer, type Server, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import {
  AbortMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
  UploadPartCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';

import { SkerryError, type PayloadCheck } from '../../../core/contracts/index.ts';
import { ALICE } from './fixtures/operation-rig.ts';
import { startRig } from './fixtures/gateway-rig.ts';
import { primaryAndReplica, type PrimaryAndReplica } from './fixtures/primary-replica.ts';

const Bucket = 'photos';
const WEIRD_KEY = "a//b/../c d+e&f=g;ü*'()!%41~";

async function textAt(s3: S3Client, Key: string): Promise<string> {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key }));
  return (await Body?.transformToString()) ?? '';
}

describe('a replica that forwards', () => {
  let fleet: PrimaryAndReplica;
  before(async () => {
    fleet = await primaryAndReplica();
    await fleet.replica.s3.send(new CreateBucketCommand({ Bucket }));
  });
  after(() => fleet[Symbol.asyncDispose]());

  test('takes an object, which is at the primary, and at the replica for whoever wrote it', async () => {
    const { primary, replica } = fleet;
    await replica.s3.send(
      new PutObjectCommand({
        Bucket,
        Key: WEIRD_KEY,
        Body: 'through the replica',
        ContentType: 'text/x-test',
        ContentEncoding: 'identity',
        Metadata: { colour: 'blue' },
        Tagging: 'a=b',
      }),
    );
    for (const { s3 } of [replica, primary]) {
      assert.equal(await textAt(s3, WEIRD_KEY), 'through the replica');
      const head = await s3.send(new HeadObjectCommand({ Bucket, Key: WEIRD_KEY }));
      assert.deepEqual(
        [head.ContentType, head.ContentEncoding, head.Metadata],
        ['text/x-test', 'identity', { colour: 'blue' }],
      );
    }
  });

  test('streams of unknown and known length, with checksums in trailers, and empty ones', async () => {
    const { primary, replica } = fleet;
    const large = Buffer.alloc(9 * 1024 * 1024 + 13, 'streaming ');
    await replica.s3.send(
      new PutObjectCommand({
        Bucket,
        Key: 'stream',
        Body: Readable.from([large.subarray(0, 1_000_000), large.subarray(1_000_000)]),
        ContentLength: large.length,
        ChecksumAlgorithm: 'CRC64NVME',
      }),
    );
    const { Body, ChecksumCRC64NVME } = await primary.s3.send(
      new GetObjectCommand({ Bucket, Key: 'stream', ChecksumMode: 'ENABLED' }),
    );
    assert.deepEqual(Buffer.from((await Body?.transformToByteArray()) ?? []), large);
    assert.ok(ChecksumCRC64NVME, 'the trailer came along');
    await replica.s3.send(new PutObjectCommand({ Bucket, Key: 'empty', Body: '' }));
    assert.equal(await textAt(replica.s3, 'empty'), '');
  });

  test('conditions are the primary’s to decide', async () => {
    const { replica } = fleet;
    const once = { Bucket, Key: 'once', IfNoneMatch: '*' };
    await replica.s3.send(new PutObjectCommand({ ...once, Body: 'first' }));
    await assert.rejects(replica.s3.send(new PutObjectCommand({ ...once, Body: 'second' })), {
      name: 'PreconditionFailed',
    });
    assert.equal(await textAt(replica.s3, 'once'), 'first');
  });

  test('a multipart upload lives at the primary, and every call of it works here', async () => {
    const { primary, replica } = fleet;
    const body = Buffer.alloc(12 * 1024 * 1024, 'parts ');
    await new Upload({ client: replica.s3, params: { Bucket, Key: 'multipart', Body: body } }).done();
    assert.equal((await textAt(primary.s3, 'multipart')).length, body.length);
    assert.equal((await textAt(replica.s3, 'multipart')).length, body.length);
    const target = { Bucket, Key: 'unfinished' };
    const { UploadId } = await replica.s3.send(new CreateMultipartUploadCommand(target));
    const upload = { ...target, UploadId };
    await replica.s3.send(new UploadPartCommand({ ...upload, PartNumber: 1, Body: 'part' }));
    const { Parts } = await replica.s3.send(new ListPartsCommand(upload));
    assert.deepEqual([Parts?.length, Parts?.[0]?.Size], [1, 4]);
    const { Uploads } = await replica.s3.send(new ListMultipartUploadsCommand({ Bucket }));
    assert.deepEqual(
      Uploads?.map((one) => one.UploadId),
      [UploadId],
    );
    await replica.s3.send(new AbortMultipartUploadCommand(upload));
    await assert.rejects(replica.s3.send(new ListPartsCommand(upload)), { name: 'NoSuchUpload' });
  });

  test('tags, settings, copies and removals', async () => {
    const { s3 } = fleet.replica;
    for (const Key of ['one', 'two', 'three']) await s3.send(new PutObjectCommand({ Bucket, Key, Body: Key }));
    const Tagging = { TagSet: [{ Key: 'kind', Value: 'test' }] };
    await s3.send(new PutObjectTaggingCommand({ Bucket, Key: 'one', Tagging }));
    assert.deepEqual((await s3.send(new GetObjectTaggingCommand({ Bucket, Key: 'one' }))).TagSet, Tagging.TagSet);
    await s3.send(new CopyObjectCommand({ Bucket, Key: 'copy', CopySource: `${Bucket}/one` }));
    assert.equal(await textAt(s3, 'copy'), 'one');
    await s3.send(new DeleteObjectCommand({ Bucket, Key: 'one' }));
    await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: 'two' }, { Key: 'three' }] } }));
    const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket, Prefix: 't' }));
    assert.deepEqual(Contents, []);
    const VersioningConfiguration = { Status: 'Enabled' as const };
    await s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
    assert.equal((await s3.send(new GetBucketVersioningCommand({ Bucket }))).Status, 'Enabled');
  });

  test('a presigned link works here, and says who decided', async () => {
    const { s3 } = fleet.replica;
    const link = await getSignedUrl(s3, new PutObjectCommand({ Bucket, Key: 'by-link' }));
    const answer = await fetch(link, { method: 'PUT', body: 'linked' });
    assert.deepEqual([answer.status, answer.headers.get('x-skerry-forwarded-to')], [200, 'waw']);
    assert.ok(answer.headers.get('x-skerry-causality'));
    assert.equal(await textAt(s3, 'by-link'), 'linked');
    const read = await fetch(await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key: 'by-link' })));
    assert.deepEqual([await read.text(), read.headers.get('x-skerry-forwarded-to')], ['linked', null]);
  });

  test('who may not write, or is nobody, is refused here', async () => {
    const reader = fleet.client(fleet.replica.url, { accessKeyId: 'READERKEY', secretAccessKey: 'readersecret' });
    const put = new PutObjectCommand({ Bucket, Key: 'refused', Body: 'x' });
    await assert.rejects(reader.send(put), { name: 'AccessDenied' });
    const forged = fleet.client(fleet.replica.url, { accessKeyId: 'FLEETKEY', secretAccessKey: 'guessed' });
    await assert.rejects(forged.send(put), { name: 'SignatureDoesNotMatch' });
    const answer = await fetch(`${fleet.replica.url}/${Bucket}/refused`, { method: 'PUT', body: 'x' });
    assert.deepEqual([answer.status, answer.headers.get('x-skerry-forwarded-to')], [403, null]);
  });

  test('promoted, it writes by itself', async () => {
    const { s3, site } = fleet.replica;
    await site.services().admin.promote();
    const link = await getSignedUrl(s3, new PutObjectCommand({ Bucket, Key: 'mine' }));
    const answer = await fetch(link, { method: 'PUT', body: 'as primary' });
    assert.deepEqual([answer.status, answer.headers.get('x-skerry-forwarded-to')], [200, null]);
    assert.equal(await textAt(s3, 'mine'), 'as primary');
  });
});

/** A server that does as it is told with each connection, in place of a primary. */
async function server(serve: (socket: Socket) => void): Promise<AsyncDisposable & { readonly url: string }> {
  const sockets = new Set<Socket>();
  const listener: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    serve(socket);
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const address = listener.address();
  return {
    url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}

const to = (url: string) => ({ writers: { forwardTo: async () => ({ site: 'waw', url }) } });

describe('on the way to the primary', () => {
  test('a body whose last signature is wrong never ends there', async () => {
    const { promise: received, resolve } = Promise.withResolvers<string>();
    await using primary = await server((socket) => {
      let text = '';
      socket.on('data', (piece) => (text += piece.toString('latin1')));
      socket.on('close', () => resolve(text));
    });
    const payload: PayloadCheck = {
      kind: 'framed',
      decodedLength: 100_000,
      async *decode() {
        yield Buffer.alloc(100_000, 'x');
        throw new SkerryError('Unauthenticated', 'no', { details: { reason: 'SignatureDoesNotMatch' } });
      },
      trailers: () => ({}),
    };
    const authenticate = async () => ({ principal: ALICE, payload, scheme: 'sigv4-header' as const });
    await using rig = await startRig({ ...to(primary.url), authenticate });
    const answer = await fetch(`${rig.url}/photos/k`, { method: 'PUT', body: 'whatever' });
    assert.equal(answer.status, 403);
    assert.match(await answer.text(), /<Code>SignatureDoesNotMatch</);
    const text = await received;
    assert.match(text, /\r\n186a0\r\nx/, 'the bytes were on their way');
    assert.doesNotMatch(text, /\r\n0\r\n\r\n/, 'but no end of them');
  });

  test('a primary that answers before the body has ended is heard', async () => {
    await using primary = await server((socket) => {
      socket.once('data', () => {
        socket.pause();
        socket.write('HTTP/1.1 412 Precondition Failed\r\ncontent-length: 5\r\nx-test: yes\r\n\r\nnever');
      });
    });
    await using rig = await startRig(to(primary.url));
    const answer = await fetch(`${rig.url}/photos/k`, { method: 'PUT', body: Buffer.alloc(3_000_000) });
    assert.deepEqual([answer.status, await answer.text(), answer.headers.get('x-test')], [412, 'never', 'yes']);
  });

  test('a primary that cannot be reached, or breaks off, is 503 with Retry-After and its address', async () => {
    let url = '';
    {
      await using gone = await server(() => undefined);
      url = gone.url;
    }
    await using breaking = await server((socket) => socket.once('data', () => socket.destroy()));
    for (const primaryUrl of [url, breaking.url]) {
      await using rig = await startRig(to(primaryUrl));
      const answer = await fetch(`${rig.url}/photos/k`, { method: 'PUT', body: 'x' });
      assert.deepEqual([answer.status, answer.headers.get('retry-after')], [503, '1']);
      assert.ok((await answer.text()).includes(`writes go to the primary waw, which does not answer at ${primaryUrl}`));
      assert.equal((await fetch(`${rig.url}/photos`, { method: 'HEAD' })).status, 200, 'reads go on');
    }
  });

  test('what was handed on once is not handed on again', async () => {
    await using rig = await startRig(to('http://127.0.0.1:9'));
    const headers = { 'x-skerry-forwarded-by': 'lis' };
    const answer = await fetch(`${rig.url}/photos/k`, { method: 'PUT', body: 'x', headers });
    assert.equal(answer.status, 503);
    assert.match(await answer.text(), /is not the primary: ask again/);
  });
});
