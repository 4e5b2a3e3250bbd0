/** Real clients as oracles: what @aws-sdk and minio sign is accepted, and any change to it is not. */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';

import {
  CopyObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { Client as MinioClient } from 'minio';

import { isSkerryError, type Auth, type AuthRequest } from '../../../core/contracts/index.ts';
import { createAuthWorld, WHO } from '../../../harness/conformance/auth/world.ts';
import { WEIRD_OBJECT_KEYS } from '../../../harness/conformance/weird-keys.ts';
import sigv4 from '../../../plugins/auth-sigv4/index.ts';
import { SIGV4_DEFAULTS } from './defaults.ts';

const HOST = 's3.example.com';

async function authNow(): Promise<Auth> {
  const world = createAuthWorld();
  world.setNow(Date.now());
  const auth = sigv4.create(world.deps, SIGV4_DEFAULTS);
  await auth.open();
  return auth;
}

interface Sent {
  readonly request: AuthRequest;
  readonly body: unknown;
}
type SdkRequest = {
  readonly method: string;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | readonly string[] | null>>;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body?: unknown;
};

class Captured extends Error {}

/** An SDK client whose requests end here, signed and never sent. */
function sdk(): { readonly client: S3Client; capture(run: () => Promise<unknown>): Promise<Sent> } {
  let sent: Sent | undefined;
  const client = new S3Client({
    region: 'eu-west-1',
    endpoint: `http://${HOST}`,
    forcePathStyle: true,
    credentials: { accessKeyId: WHO.owner.accessKeyId, secretAccessKey: WHO.owner.secretKey },
    maxAttempts: 1,
    logger: { debug() {}, info() {}, warn() {}, error() {} },
    requestHandler: {
      handle: async (request: SdkRequest) => {
        sent = { request: toAuthRequest(request), body: request.body };
        throw new Captured('captured');
      },
    },
  });
  return {
    client,
    async capture(run) {
      sent = undefined;
      await assert.rejects(run(), Captured);
      assert.ok(sent !== undefined);
      return sent;
    },
  };
}

function toAuthRequest({ method, path, query = {}, headers }: SdkRequest): AuthRequest {
  const encode = (part: string): string => encodeURIComponent(part);
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    value === null ? [encode(name)] : [value].flat().map((one) => `${encode(name)}=${encode(one)}`),
  );
  // As Node's HTTP parser hands them over: the bytes of the header, one character each. An undefined header is not sent.
  const lists = Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name.toLowerCase(), [Buffer.from(value).toString('latin1')]]],
    ),
  );
  return {
    method,
    rawPath: path,
    rawQuery: pairs.join('&'),
    headers: lists,
    remoteAddress: '192.0.2.7',
    secure: false,
  };
}

function fromUrl(url: string, method = 'GET'): AuthRequest {
  const [, rawPath = '', rawQuery = ''] = /^https?:\/\/[^/]+([^?]*)\??(.*)$/.exec(url) ?? [];
  return { method, rawPath, rawQuery, headers: { host: [HOST] }, remoteAddress: '192.0.2.7', secure: false };
}

async function refused(auth: Auth, request: AuthRequest): Promise<void> {
  await assert.rejects(auth.authenticate(request), (error) => isSkerryError(error));
}

const keys = WEIRD_OBJECT_KEYS.filter((key) => key.isWellFormed());

describe('@aws-sdk/client-s3', () => {
  test('plain requests are accepted, and refused after a change', async () => {
    const auth = await authNow();
    const { client, capture } = sdk();
    const commands = [
      () =>
        client.send(new ListObjectsV2Command({ Bucket: 'bucket', Prefix: 'a b/\u00e9+', Delimiter: '/', MaxKeys: 3 })),
      () =>
        client.send(
          new CopyObjectCommand({
            Bucket: 'bucket',
            Key: 'to',
            CopySource: 'bucket/from%20here',
            Metadata: { a: 'b  c' },
          }),
        ),
      () => client.send(new DeleteObjectsCommand({ Bucket: 'bucket', Delete: { Objects: [{ Key: 'x' }] } })),
      () =>
        client.send(
          new PutObjectCommand({
            Bucket: 'bucket',
            Key: 'k',
            Body: 'text',
            ContentType: 'text/plain',
            Metadata: { name: 'caf\u00e9' },
          }),
        ),
    ];
    for (const run of commands) {
      const { request } = await capture(run);
      assert.equal((await auth.authenticate(request)).principal.userId, WHO.owner.userId);
      await refused(auth, { ...request, rawPath: `${request.rawPath}x` });
      await refused(auth, { ...request, rawQuery: `${request.rawQuery}&x=y` });
    }
  });

  test('every weird key is accepted', async () => {
    const auth = await authNow();
    const { client, capture } = sdk();
    for (const Key of keys) {
      const { request } = await capture(() => client.send(new GetObjectCommand({ Bucket: 'bucket', Key })));
      await auth.authenticate(request);
    }
  });

  test('a stream of unknown length arrives through its unsigned framing, with its checksum', async () => {
    const auth = await authNow();
    const { client, capture } = sdk();
    const content = Buffer.alloc(200_000, 'skerry');
    const Body = Readable.from([content.subarray(0, 70_001), content.subarray(70_001)]);
    const { request, body } = await capture(() =>
      client.send(new PutObjectCommand({ Bucket: 'bucket', Key: 'k', Body })),
    );
    const { payload } = await auth.authenticate(request);
    assert.ok(payload.kind === 'framed');
    const pieces: Uint8Array[] = [];
    for await (const piece of payload.decode(body as AsyncIterable<Uint8Array>)) pieces.push(Uint8Array.from(piece));
    assert.ok(Buffer.concat(pieces).equals(content));
    assert.deepEqual(Object.keys(payload.trailers()), ['x-amz-checksum-crc32']);
  });
});

describe('@aws-sdk/s3-request-presigner', () => {
  test('presigned URLs are accepted, and refused after a change', async () => {
    const auth = await authNow();
    const { client } = sdk();
    for (const Key of keys) {
      const get = fromUrl(
        await getSignedUrl(client, new GetObjectCommand({ Bucket: 'bucket', Key, ResponseContentType: 'text/plain' })),
      );
      assert.equal((await auth.authenticate(get)).scheme, 'sigv4-query');
      await refused(auth, { ...get, method: 'PUT' });
      await refused(auth, { ...get, rawQuery: get.rawQuery.replace('text%2Fplain', 'text%2Fhtml') });
    }
    const put = fromUrl(
      await getSignedUrl(client, new PutObjectCommand({ Bucket: 'bucket', Key: 'k' }), { expiresIn: 604_800 }),
      'PUT',
    );
    await auth.authenticate(put);
    await refused(auth, { ...put, headers: { ...put.headers, 'x-amz-acl': ['public-read'] } });
  });
});

describe('minio', () => {
  test('presigned URLs are accepted, and refused after a change', async () => {
    const auth = await authNow();
    const { accessKeyId, secretKey } = WHO.owner;
    const client = new MinioClient({
      endPoint: HOST,
      useSSL: false,
      accessKey: accessKeyId,
      secretKey,
      region: 'us-east-1',
    });
    for (const key of ['plain', 'a b/\u00e9/c+d', "x~y(z)!*'", 'percent%25']) {
      const get = fromUrl(
        await client.presignedGetObject('bucket', key, 60, { 'response-content-type': 'text/plain' }),
      );
      await auth.authenticate(get);
      await refused(auth, { ...get, rawPath: get.rawPath.replace('bucket', 'budget') });
    }
    await auth.authenticate(fromUrl(await client.presignedPutObject('bucket', 'k', 60), 'PUT'));
  });
});
