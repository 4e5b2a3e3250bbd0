/** The AWS SDK against a whole site: signatures, storage and HTTP all real. */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteObjectCommand,
  DeleteObjectTaggingCommand,
  GetObjectAclCommand,
  GetObjectAttributesCommand,
  GetObjectCommand,
  GetObjectLegalHoldCommand,
  GetObjectRetentionCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  PutObjectAclCommand,
  PutObjectCommand,
  PutObjectLegalHoldCommand,
  PutObjectRetentionCommand,
  PutObjectTaggingCommand,
  S3ServiceException,
  type PutObjectCommandInput,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';

import { startSite, type SiteRig } from './fixtures/site-rig.ts';

const Bucket = 'photos';
const MIB = 1_048_576;
let rig: SiteRig;

before(async () => {
  rig = await startSite();
  await rig.s3.send(new CreateBucketCommand({ Bucket }));
  await rig.s3.send(new CreateBucketCommand({ Bucket: 'versioned' }));
  await rig.s3.send(
    new PutBucketVersioningCommand({ Bucket: 'versioned', VersioningConfiguration: { Status: 'Enabled' } }),
  );
  await rig.s3.send(new CreateBucketCommand({ Bucket: 'locked', ObjectLockEnabledForBucket: true }));
});
after(() => rig[Symbol.asyncDispose]());

const put = (
  Key: string,
  Body: NonNullable<PutObjectCommandInput['Body']>,
  more: Partial<PutObjectCommandInput> = {},
) => rig.s3.send(new PutObjectCommand({ Bucket, Key, Body, ...more }));
const get = (Key: string, more: object = {}) => rig.s3.send(new GetObjectCommand({ Bucket, Key, ...more }));
const textOf = async (Key: string, more: object = {}) => (await get(Key, more)).Body?.transformToString();
const head = (Key: string, more: object = {}) => rig.s3.send(new HeadObjectCommand({ Bucket, Key, ...more }));

function failsWith(status: number, name?: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof S3ServiceException, String(error));
    assert.equal(error.$metadata.httpStatusCode, status, `${error.name}: ${error.message}`);
    if (name !== undefined) assert.equal(error.name, name);
    return true;
  };
}

describe('objects', () => {
  test('keys are no paths', async () => {
    const keys = [
      '..',
      'a/../b',
      'a//b',
      '//',
      'dir/',
      'é/日本',
      ' ',
      'a+b',
      '100%',
      '?x#y',
      '\u{1f30a}',
      'k'.repeat(1024),
    ];
    for (const key of keys) await put(key, key);
    for (const key of keys) assert.equal(await textOf(key), key, key);
    const listed = await rig.s3.send(new ListObjectsV2Command({ Bucket, EncodingType: 'url' }));
    const names = new Set(listed.Contents?.map(({ Key = '' }) => decodeURIComponent(Key)));
    for (const key of keys) assert.ok(names.has(key), key);
    await assert.rejects(put('k'.repeat(1025), ''), failsWith(400, 'KeyTooLongError'));
  });

  test('headers and metadata come back, on HEAD too', async () => {
    await put('headers', 'x', {
      CacheControl: 'max-age=1',
      ContentDisposition: 'attachment; filename="a.txt"',
      ContentEncoding: 'gzip',
      ContentLanguage: 'de',
      ContentType: 'text/plain',
      Expires: new Date(Date.UTC(2030, 0, 1)),
      Metadata: { one: '1', two: 'b c' },
      StorageClass: 'STANDARD_IA',
      WebsiteRedirectLocation: '/elsewhere',
    });
    for (const answer of [await get('headers'), await head('headers')]) {
      assert.equal(answer.CacheControl, 'max-age=1');
      assert.equal(answer.ContentDisposition, 'attachment; filename="a.txt"');
      assert.equal(answer.ContentEncoding, 'gzip');
      assert.equal(answer.ContentLanguage, 'de');
      assert.equal(answer.ContentType, 'text/plain');
      assert.equal(answer.ExpiresString, 'Tue, 01 Jan 2030 00:00:00 GMT');
      assert.deepEqual(answer.Metadata, { one: '1', two: 'b c' });
      assert.equal(answer.StorageClass, 'STANDARD_IA');
      assert.equal(answer.WebsiteRedirectLocation, '/elsewhere');
    }
    await put('plain', 'x');
    assert.equal((await head('plain')).ContentType, 'application/octet-stream');
    await assert.rejects(put('meta', 'x', { Metadata: { big: 'x'.repeat(2046) } }), failsWith(400, 'MetadataTooLarge'));
    await put('meta', 'x', { Metadata: { big: 'x'.repeat(2045) } });
  });

  test('bodies of every size, streamed and whole', async () => {
    for (const size of [0, 1, 65_535, 65_536, 65_537, 5 * MIB + 3]) {
      const body = Buffer.alloc(size, 'skerry!');
      await put('sized', body);
      assert.deepEqual(Buffer.from((await (await get('sized')).Body?.transformToByteArray()) ?? []), body);
      await put('sized', Readable.from([body]), { ContentLength: size });
      assert.equal((await head('sized')).ContentLength, size);
    }
  });

  test('ranges', async () => {
    await put('range', '0123456789');
    assert.equal(await textOf('range', { Range: 'bytes=2-4' }), '234');
    assert.equal(await textOf('range', { Range: 'bytes=-3' }), '789');
    const part = await get('range', { Range: 'bytes=8-99' });
    assert.equal(part.ContentRange, 'bytes 8-9/10');
    assert.equal(part.$metadata.httpStatusCode, 206);
    await assert.rejects(get('range', { Range: 'bytes=10-' }), failsWith(416, 'InvalidRange'));
    const big = Buffer.from(Array.from({ length: 3 * MIB }, (_, index) => index % 251));
    await put('range', big);
    const middle = await (
      await get('range', { Range: `bytes=${MIB - 5}-${2 * MIB + 5}` })
    ).Body?.transformToByteArray();
    assert.deepEqual(Buffer.from(middle ?? []), big.subarray(MIB - 5, 2 * MIB + 6));
  });

  test('checksums of every kind, wrong ones refused', async () => {
    for (const ChecksumAlgorithm of ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const) {
      await put('sum', 'hello', { ChecksumAlgorithm });
      const answer = await head('sum', { ChecksumMode: 'ENABLED' });
      assert.ok(answer[`Checksum${ChecksumAlgorithm}`], ChecksumAlgorithm);
      assert.equal(answer.ChecksumType, 'FULL_OBJECT');
    }
    await put('sum', Readable.from(['hel', 'lo']), { ContentLength: 5, ChecksumAlgorithm: 'CRC32' });
    assert.equal((await head('sum', { ChecksumMode: 'ENABLED' })).ChecksumCRC32, 'NhCmhg==');
    await assert.rejects(put('sum', 'jello', { ChecksumCRC32: 'NhCmhg==' }), failsWith(400, 'BadDigest'));
    await assert.rejects(put('sum', 'jello', { ContentMD5: 'XUFAKrxLKna5cZ2REBfFkg==' }), failsWith(400, 'BadDigest'));
    await assert.rejects(put('sum', 'jello', { ContentMD5: 'nonsense' }), failsWith(400, 'InvalidDigest'));
    assert.equal(await textOf('sum'), 'hello');
  });

  test('conditional reads and writes', async () => {
    const { ETag = '' } = await put('cond', 'one');
    await assert.rejects(put('cond', 'two', { IfNoneMatch: '*' }), failsWith(412, 'PreconditionFailed'));
    await assert.rejects(put('cond', 'two', { IfMatch: '"nope"' }), failsWith(412, 'PreconditionFailed'));
    await assert.rejects(put('none', 'two', { IfMatch: '"nope"' }), failsWith(404, 'NoSuchKey'));
    await assert.rejects(get('cond', { IfNoneMatch: ETag }), failsWith(304));
    await assert.rejects(get('cond', { IfMatch: '"nope"' }), failsWith(412, 'PreconditionFailed'));
    assert.equal(await textOf('cond', { IfMatch: ETag }), 'one');
    await put('cond', 'two', { IfMatch: ETag });
    await assert.rejects(rig.s3.send(new DeleteObjectCommand({ Bucket, Key: 'cond', IfMatch: ETag })), failsWith(412));
    await rig.s3.send(new DeleteObjectCommand({ Bucket, Key: 'cond' }));
    await assert.rejects(get('cond'), failsWith(404, 'NoSuchKey'));
  });

  test('copies: metadata and tags copied or replaced, onto itself only with a change', async () => {
    await put('from +&é', 'body', { Metadata: { a: '1' }, Tagging: 'x=1', ContentType: 'text/plain' });
    const CopySource = `${Bucket}/${encodeURIComponent('from +&é')}`;
    await rig.s3.send(new CopyObjectCommand({ Bucket, Key: 'to', CopySource }));
    const copied = await get('to');
    assert.equal(await copied.Body?.transformToString(), 'body');
    assert.deepEqual([copied.Metadata, copied.ContentType, copied.TagCount], [{ a: '1' }, 'text/plain', 1]);
    const replaced = { MetadataDirective: 'REPLACE', TaggingDirective: 'REPLACE', Metadata: { b: '2' } } as const;
    await rig.s3.send(new CopyObjectCommand({ Bucket, Key: 'to', CopySource, ...replaced }));
    const second = await head('to');
    assert.deepEqual([second.Metadata, second.TagCount], [{ b: '2' }, undefined]);
    const self = { Bucket, Key: 'to', CopySource: `${Bucket}/to` };
    await assert.rejects(rig.s3.send(new CopyObjectCommand(self)), failsWith(400, 'InvalidRequest'));
    await rig.s3.send(new CopyObjectCommand({ ...self, MetadataDirective: 'REPLACE', Metadata: { c: '3' } }));
    assert.deepEqual((await head('to')).Metadata, { c: '3' });
    const failing = { Bucket, Key: 'to', CopySource, CopySourceIfMatch: '"nope"' };
    await assert.rejects(rig.s3.send(new CopyObjectCommand(failing)), failsWith(412, 'PreconditionFailed'));
    await assert.rejects(
      rig.s3.send(new CopyObjectCommand({ ...self, CopySource: `${Bucket}/absent` })),
      failsWith(404),
    );
  });

  test('multipart: parts by number, attributes, checksums', async () => {
    const body = Buffer.from(Array.from({ length: 11 * MIB }, (_, index) => index % 253));
    const upload = new Upload({ client: rig.s3, params: { Bucket, Key: 'parts', Body: body }, partSize: 5 * MIB });
    await upload.done();
    assert.match((await head('parts')).ETag ?? '', /-3"$/);
    assert.deepEqual(Buffer.from((await (await get('parts')).Body?.transformToByteArray()) ?? []), body);
    const second = await get('parts', { PartNumber: 2 });
    assert.equal(second.PartsCount, 3);
    assert.equal(second.ContentRange, `bytes ${5 * MIB}-${10 * MIB - 1}/${body.length}`);
    assert.deepEqual(Buffer.from((await second.Body?.transformToByteArray()) ?? []), body.subarray(5 * MIB, 10 * MIB));
    assert.equal((await head('parts', { PartNumber: 3 })).ContentLength, MIB);
    await assert.rejects(get('parts', { PartNumber: 4 }), failsWith(416));
    const ask = {
      Bucket,
      Key: 'parts',
      ObjectAttributes: ['ETag', 'Checksum', 'ObjectParts', 'StorageClass', 'ObjectSize'],
    } as const;
    const attributes = await rig.s3.send(
      new GetObjectAttributesCommand({ ...ask, ObjectAttributes: [...ask.ObjectAttributes] }),
    );
    assert.equal(attributes.ObjectSize, body.length);
    assert.equal(attributes.StorageClass, 'STANDARD');
    assert.equal(attributes.ObjectParts?.TotalPartsCount, 3);
  });

  test('tags, ACLs', async () => {
    await put('tagged', 'x', { Tagging: 'a=1&b=two%20words' });
    const tags = async () => (await rig.s3.send(new GetObjectTaggingCommand({ Bucket, Key: 'tagged' }))).TagSet;
    assert.deepEqual(await tags(), [
      { Key: 'a', Value: '1' },
      { Key: 'b', Value: 'two words' },
    ]);
    assert.equal((await head('tagged')).TagCount, 2);
    const TagSet = [{ Key: 'c', Value: '' }];
    await rig.s3.send(new PutObjectTaggingCommand({ Bucket, Key: 'tagged', Tagging: { TagSet } }));
    assert.deepEqual(await tags(), TagSet);
    await rig.s3.send(new DeleteObjectTaggingCommand({ Bucket, Key: 'tagged' }));
    assert.deepEqual(await tags(), []);
    const acl = await rig.s3.send(new GetObjectAclCommand({ Bucket, Key: 'tagged' }));
    assert.deepEqual(acl.Owner?.ID, 'root-id');
    assert.equal(acl.Grants?.[0]?.Permission, 'FULL_CONTROL');
    await rig.s3.send(new PutObjectAclCommand({ Bucket, Key: 'tagged', ACL: 'private' }));
    const wider = new PutObjectAclCommand({ Bucket, Key: 'tagged', ACL: 'public-read' });
    await assert.rejects(rig.s3.send(wider), failsWith(400, 'AccessControlListNotSupported'));
  });

  test('what is not done is not accepted', async () => {
    await assert.rejects(put('k', 'x', { ServerSideEncryption: 'aws:kms' }), failsWith(501, 'NotImplemented'));
    await assert.rejects(put('k', 'x', { StorageClass: 'DEEP_ARCHIVE' }), failsWith(400, 'InvalidStorageClass'));
    await assert.rejects(put('k', 'x', { WriteOffsetBytes: 0 }), failsWith(501, 'NotImplemented'));
  });
});

describe('versions', () => {
  const key = { Bucket: 'versioned', Key: 'k' };

  test('ids, delete markers, current after removal', async () => {
    const one = await rig.s3.send(new PutObjectCommand({ ...key, Body: 'one' }));
    const two = await rig.s3.send(new PutObjectCommand({ ...key, Body: 'two' }));
    assert.notEqual(one.VersionId, two.VersionId);
    const read = async (VersionId?: string) =>
      (await rig.s3.send(new GetObjectCommand({ ...key, VersionId }))).Body?.transformToString();
    assert.equal(await read(one.VersionId), 'one');
    const marker = await rig.s3.send(new DeleteObjectCommand(key));
    assert.equal(marker.DeleteMarker, true);
    await assert.rejects(read(), failsWith(404, 'NoSuchKey'));
    await assert.rejects(read(marker.VersionId), failsWith(405));
    assert.equal(await read(two.VersionId), 'two');
    await rig.s3.send(new DeleteObjectCommand({ ...key, VersionId: marker.VersionId }));
    assert.equal(await read(), 'two');
    const restored = { ...key, CopySource: `versioned/k?versionId=${one.VersionId}` };
    const copy = await rig.s3.send(new CopyObjectCommand(restored));
    assert.equal(copy.CopySourceVersionId, one.VersionId);
    assert.equal(await read(), 'one');
    await assert.rejects(read('no-such-version'), failsWith(400, 'InvalidArgument'));
  });

  test('retention and legal hold protect a version', async () => {
    const { VersionId } = await rig.s3.send(new PutObjectCommand({ Bucket: 'locked', Key: 'k', Body: 'x' }));
    const version = { Bucket: 'locked', Key: 'k', VersionId };
    const hold = (Status: 'ON' | 'OFF') =>
      rig.s3.send(new PutObjectLegalHoldCommand({ ...version, LegalHold: { Status } }));
    await hold('ON');
    assert.equal((await rig.s3.send(new GetObjectLegalHoldCommand(version))).LegalHold?.Status, 'ON');
    await assert.rejects(rig.s3.send(new DeleteObjectCommand(version)), failsWith(403, 'AccessDenied'));
    await hold('OFF');
    const until = (year: number) => ({ Mode: 'GOVERNANCE' as const, RetainUntilDate: new Date(Date.UTC(year, 0, 1)) });
    const retain = (year: number, BypassGovernanceRetention?: boolean) =>
      rig.s3.send(new PutObjectRetentionCommand({ ...version, Retention: until(year), BypassGovernanceRetention }));
    await retain(2100);
    assert.equal((await rig.s3.send(new GetObjectRetentionCommand(version))).Retention?.Mode, 'GOVERNANCE');
    await assert.rejects(rig.s3.send(new DeleteObjectCommand(version)), failsWith(403, 'AccessDenied'));
    await assert.rejects(retain(2099), failsWith(403, 'AccessDenied'));
    await retain(2099, true);
    await rig.s3.send(new DeleteObjectCommand({ ...version, BypassGovernanceRetention: true }));
    const unlocked = new PutObjectLegalHoldCommand({ Bucket, Key: 'range', LegalHold: { Status: 'ON' } });
    await assert.rejects(rig.s3.send(unlocked), failsWith(400, 'InvalidRequest'));
  });
});

describe('who may', () => {
  test('a read-only user reads and does not write', async () => {
    await put('shared', 'x');
    assert.ok(await rig.other.send(new GetObjectCommand({ Bucket, Key: 'shared' })));
    await assert.rejects(
      rig.other.send(new PutObjectCommand({ Bucket, Key: 'shared', Body: 'y' })),
      failsWith(403, 'AccessDenied'),
    );
    await assert.rejects(
      rig.other.send(new GetObjectCommand({ Bucket: 'absent', Key: 'k' })),
      failsWith(404, 'NoSuchBucket'),
    );
  });

  test('anonymous: nothing without a policy; without ListBucket an absent key is 403', async () => {
    assert.equal((await fetch(`${rig.url}/${Bucket}/shared`)).status, 403);
    const Policy = JSON.stringify({
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: `arn:aws:s3:::${Bucket}/*` }],
    });
    await rig.s3.send(new PutBucketPolicyCommand({ Bucket, Policy }));
    assert.equal((await fetch(`${rig.url}/${Bucket}/shared`)).status, 200);
    assert.equal((await fetch(`${rig.url}/${Bucket}/absent`)).status, 403);
    assert.equal((await fetch(`${rig.url}/${Bucket}`)).status, 403);
    const override = await fetch(`${rig.url}/${Bucket}/shared?response-content-type=text/html`);
    assert.equal(override.status, 400);
  });

  test('a deny on the tags of an object holds for reads and for copies of it', async () => {
    const Policy = JSON.stringify({
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Deny',
          Principal: '*',
          Action: 's3:GetObject',
          Resource: 'arn:aws:s3:::versioned/*',
          Condition: { StringEquals: { 's3:ExistingObjectTag/secret': 'yes' } },
        },
      ],
    });
    await rig.s3.send(new PutObjectCommand({ Bucket: 'versioned', Key: 'open', Body: 'x', Tagging: 'secret=no' }));
    await rig.s3.send(new PutObjectCommand({ Bucket: 'versioned', Key: 'closed', Body: 'x', Tagging: 'secret=yes' }));
    await rig.s3.send(new PutBucketPolicyCommand({ Bucket: 'versioned', Policy }));
    assert.ok(await rig.other.send(new GetObjectCommand({ Bucket: 'versioned', Key: 'open' })));
    const closed = { Bucket: 'versioned', Key: 'closed' };
    await assert.rejects(rig.other.send(new GetObjectCommand(closed)), failsWith(403, 'AccessDenied'));
    const copy = new CopyObjectCommand({ Bucket, Key: 'stolen', CopySource: 'versioned/closed' });
    await assert.rejects(rig.s3.send(copy), failsWith(403, 'AccessDenied'));
  });

  test('presigned URLs, with response overrides', async () => {
    await put('signed', 'signed body');
    const command = new GetObjectCommand({
      Bucket,
      Key: 'signed',
      ResponseContentDisposition: 'attachment; filename="ü.txt"',
    });
    const url = await getSignedUrl(rig.s3, command, { expiresIn: 60 });
    const answer = await fetch(url);
    assert.equal(await answer.text(), 'signed body');
    const disposition = Buffer.from(answer.headers.get('content-disposition') ?? '', 'latin1').toString();
    assert.equal(disposition, 'attachment; filename="ü.txt"');
    assert.equal((await fetch(`${url}0`)).status, 403);
    const split = new GetObjectCommand({ Bucket, Key: 'signed', ResponseContentType: 'a\r\nx: y' });
    assert.equal((await fetch(await getSignedUrl(rig.s3, split, { expiresIn: 60 }))).status, 400);
    const upload = await getSignedUrl(rig.s3, new PutObjectCommand({ Bucket, Key: 'up' }), { expiresIn: 60 });
    assert.equal((await fetch(upload, { method: 'PUT', body: 'up' })).status, 200);
  });
});
