import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import {
  SkerryError,
  type CompleteUploadInput,
  type CreateUploadInput,
  type ObjectService,
  type UploadInfo,
  type VersionInfo,
} from '../../../core/contracts/index.ts';
import { completeMultipartUpload } from '../../../plugins/gateway-s3/operations/complete-multipart.ts';
import { listMultipartUploads, listParts } from '../../../plugins/gateway-s3/operations/multipart-listing.ts';
import {
  abortMultipartUpload,
  createMultipartUpload,
  uploadPart,
} from '../../../plugins/gateway-s3/operations/multipart.ts';
import { uploadPartCopy } from '../../../plugins/gateway-s3/operations/part-copy.ts';
import { childText, children } from '../../../plugins/gateway-s3/xml.ts';
import { bodyOf, bucketInfo, run, runXml, s3Code, type RequestInit } from './fixtures/operation-rig.ts';

const KEY = 'a b/&.bin';
const UPLOAD: UploadInfo = {
  bucket: 'photos',
  key: KEY,
  uploadId: 'up1',
  owner: 'alice-id',
  initiator: 'bob-id',
  initiatedAtMs: Date.UTC(2024, 0, 1),
  storageClass: 'STANDARD',
  checksumAlgorithm: 'CRC32',
  checksumType: 'COMPOSITE',
};
const PART = {
  number: 3,
  size: 5,
  etag: 'p'.repeat(32),
  modifiedAtMs: Date.UTC(2024, 0, 2),
  checksums: [{ algorithm: 'CRC32', type: 'FULL_OBJECT', value: 'AAAAAA==' }],
} as const;
const ref = { bucket: 'photos', key: KEY, uploadId: 'up1' };
const at = (more: Omit<RequestInit, 'key'> = {}): RequestInit => ({
  ...more,
  key: KEY,
  query: { uploadId: 'up1', ...more.query },
});

describe('CreateMultipartUpload', () => {
  async function created(headers: Readonly<Record<string, string>>): Promise<CreateUploadInput> {
    let input: CreateUploadInput | undefined;
    const createUpload = async (given: CreateUploadInput) => {
      input = given;
      return UPLOAD;
    };
    await run(createMultipartUpload, { key: KEY, headers }, { objects: { createUpload } });
    assert.ok(input);
    return input;
  }

  test('keeps headers, metadata, tags and checksum for the object to come', async () => {
    const input = await created({
      'content-type': 'image/png',
      'cache-control': 'no-store',
      'x-amz-meta-colour': 'red',
      'x-amz-tagging': 'a=1&b=',
      'x-amz-checksum-algorithm': 'CRC32C',
      'x-amz-storage-class': 'STANDARD_IA',
    });
    assert.deepEqual(input, {
      bucket: 'photos',
      key: KEY,
      owner: 'alice-id',
      initiator: 'alice-id',
      headers: { 'content-type': 'image/png', 'cache-control': 'no-store' },
      metadata: { colour: 'red' },
      storageClass: 'STANDARD_IA',
      settings: { tags: { a: '1', b: '' } },
      checksumAlgorithm: 'CRC32C',
      checksumType: 'COMPOSITE',
    });
  });

  test('CRC-64 is of the whole object unless said otherwise', async () => {
    assert.equal((await created({ 'x-amz-checksum-algorithm': 'crc64nvme' })).checksumType, 'FULL_OBJECT');
    const whole = { 'x-amz-checksum-algorithm': 'CRC32', 'x-amz-checksum-type': 'FULL_OBJECT' };
    assert.equal((await created(whole)).checksumType, 'FULL_OBJECT');
    assert.equal((await created({})).checksumType, undefined);
  });

  const refused: readonly (readonly [algorithm: string | undefined, type: string | undefined])[] = [
    ['SHA1', 'FULL_OBJECT'],
    ['SHA256', 'FULL_OBJECT'],
    ['CRC64NVME', 'COMPOSITE'],
    [undefined, 'COMPOSITE'],
    ['CRC32', 'WHOLE'],
    ['CRC16', undefined],
  ];
  for (const [algorithm, type] of refused) {
    test(`${algorithm ?? 'no algorithm'} with ${type ?? 'no type'} is InvalidRequest`, () => {
      const headers = {
        ...(algorithm === undefined ? {} : { 'x-amz-checksum-algorithm': algorithm }),
        ...(type === undefined ? {} : { 'x-amz-checksum-type': type }),
      };
      return assert.rejects(run(createMultipartUpload, { key: KEY, headers }), s3Code('InvalidRequest'));
    });
  }
});

describe('UploadPart', () => {
  test('stores under its number and answers ETag and checksum', async () => {
    let number = 0;
    const putPart: ObjectService['putPart'] = async (input) => {
      number = input.number;
      assert.deepEqual(input.body.bytes, Buffer.from('hello'));
      return PART;
    };
    const answer = await run(uploadPart, at({ query: { partNumber: '3' }, body: 'hello' }), { objects: { putPart } });
    assert.equal(number, 3);
    assert.equal(answer.headers['etag'], `"${PART.etag}"`);
    assert.equal(answer.headers['x-amz-checksum-crc32'], 'AAAAAA==');
  });

  for (const partNumber of ['', '0', '10001', '-1', '1.5', 'x', '1e3', '99999999999']) {
    test(`part ${JSON.stringify(partNumber)} is InvalidArgument`, () =>
      assert.rejects(run(uploadPart, at({ query: { partNumber } })), s3Code('InvalidArgument')));
  }
});

describe('UploadPartCopy', () => {
  const source = { content: { size: 100, etag: 'e1' }, modifiedAtMs: 0 } as VersionInfo;
  const copying = (headers: Readonly<Record<string, string>>, copyPart: ObjectService['copyPart']) => {
    const objects = { copyPart, getBucket: async (name: string) => bucketInfo({ name }) };
    return run(
      uploadPartCopy,
      at({ query: { partNumber: '3' }, headers: { 'x-amz-copy-source': '/other/k%20+1?versionId=v1', ...headers } }),
      { objects },
    );
  };

  test('copies the range of the version that was named', async () => {
    const answer = await copying({ 'x-amz-copy-source-range': 'bytes=0-99' }, async (input) => {
      assert.deepEqual(input.source, { bucket: 'other', key: 'k +1', versionId: 'v1' });
      assert.deepEqual(input.range, { start: 0, end: 99 });
      input.sourceCheck?.(source);
      return { ...PART, sourceVersionId: 'v1' };
    });
    assert.equal(answer.headers['x-amz-copy-source-version-id'], 'v1');
    assert.ok(bodyOf(answer).includes('<ChecksumCRC32>AAAAAA==</ChecksumCRC32>'));
  });

  const checking: ObjectService['copyPart'] = async (input) => {
    input.sourceCheck?.(source);
    return PART;
  };
  for (const range of ['bytes=0-', 'bytes=-5', 'bytes=5-4', '0-4', 'bytes=0-4,6-7', 'bytes=0-100', 'bytes=100-101']) {
    test(`range ${range} of 100 bytes is InvalidArgument`, () =>
      assert.rejects(copying({ 'x-amz-copy-source-range': range }, checking), s3Code('InvalidArgument')));
  }

  test('conditions are on the source', async () => {
    await copying({ 'x-amz-copy-source-if-match': '"e1"' }, checking);
    await assert.rejects(copying({ 'x-amz-copy-source-if-match': '"e2"' }, checking), s3Code('PreconditionFailed'));
    await assert.rejects(copying({ 'x-amz-copy-source-if-none-match': 'e1' }, checking), s3Code('PreconditionFailed'));
  });

  test('the source needs its own permission', async () => {
    const objects = { copyPart: checking, getBucket: async (name: string) => bucketInfo({ name }) };
    const request = at({ query: { partNumber: '3' }, headers: { 'x-amz-copy-source': 'other/k' } });
    const allow = ({ resource }: { readonly resource: string }): boolean => !resource.startsWith('arn:aws:s3:::other');
    await assert.rejects(run(uploadPartCopy, request, { objects, allow }), s3Code('AccessDenied'));
  });
});

describe('CompleteMultipartUpload', () => {
  const RESULT = {
    stamp: 's',
    versionId: 'v9',
    etag: `${'f'.repeat(32)}-2`,
    size: 10,
    checksums: [{ algorithm: 'CRC32', type: 'COMPOSITE', value: 'BBBBBB==-2' }],
    modifiedAtMs: 0,
    causality: 'token',
  } as const;
  const part = (number: number | string, etag = '&quot;abc&quot;', more = ''): string =>
    `<Part><PartNumber>${number}</PartNumber><ETag>${etag}</ETag>${more}</Part>`;
  const document = (content: string): string => `<CompleteMultipartUpload>${content}</CompleteMultipartUpload>`;

  async function completed(request: Omit<RequestInit, 'key'>) {
    let input: CompleteUploadInput | undefined;
    const completeUpload = async (given: CompleteUploadInput) => {
      input = given;
      return RESULT;
    };
    const answer = await run(completeMultipartUpload, at(request), { objects: { completeUpload } });
    assert.ok(input);
    return { input, answer };
  }

  test('hands parts, conditions, checksum and size on as they came', async () => {
    const body = document(part(2, 'abc', '<ChecksumCRC32>AAAAAA==</ChecksumCRC32>') + part(1));
    const headers = {
      'if-none-match': '*',
      'x-amz-checksum-crc32': 'BBBBBB==-2',
      'x-amz-checksum-type': 'COMPOSITE',
      'x-amz-mp-object-size': '10',
    };
    const { input, answer } = await completed({ body, headers, host: 'store.example' });
    assert.deepEqual(input, {
      ...ref,
      parts: [
        { number: 2, etag: 'abc', checksums: { CRC32: 'AAAAAA==' } },
        { number: 1, etag: 'abc' },
      ],
      condition: { ifNoneMatch: ['*'] },
      checksum: { algorithm: 'CRC32', expected: 'BBBBBB==-2', type: 'COMPOSITE' },
      expectedSize: 10,
    });
    assert.equal(answer.headers['x-amz-version-id'], 'v9');
    assert.equal(answer.headers['x-skerry-causality'], 'token');
    const told = bodyOf(answer);
    assert.ok(told.includes('<Location>http://store.example/photos/a%20b/%26.bin</Location>'));
    assert.ok(told.includes(`<ETag>&quot;${RESULT.etag}&quot;</ETag>`));
    assert.ok(told.includes('<ChecksumCRC32>BBBBBB==-2</ChecksumCRC32><ChecksumType>COMPOSITE</ChecksumType>'));
  });

  test('a virtual host already names the bucket', async () => {
    const { answer } = await completed({ body: document(part(1)), host: 'photos.store.example' });
    assert.ok(bodyOf(answer).includes('<Location>http://photos.store.example/a%20b/%26.bin</Location>'));
  });

  const refused: Readonly<Record<string, readonly [body: string, code: string]>> = {
    'no part': [document(''), 'MalformedXML'],
    nothing: ['', 'MalformedXML'],
    'no number': [document('<Part><ETag>a</ETag></Part>'), 'MalformedXML'],
    'no ETag': [document('<Part><PartNumber>1</PartNumber></Part>'), 'MalformedXML'],
    'an empty ETag': [document(part(1, '')), 'MalformedXML'],
    'a number that is none': [document(part('one')), 'MalformedXML'],
    'part 0': [document(part(0)), 'InvalidArgument'],
    'part 10,001': [document(part(10_001)), 'InvalidArgument'],
    'an unknown element': [document(`${part(1)}<All/>`), 'MalformedXML'],
    'more than 10,000 parts': [document(part(1).repeat(10_001)), 'MalformedXML'],
  };
  for (const [what, [body, code]] of Object.entries(refused)) {
    test(`with ${what} is ${code}`, () => assert.rejects(completed({ body }), s3Code(code)));
  }

  test('two checksums, or a size that is none, are refused', async () => {
    const body = document(part(1));
    const two = { 'x-amz-checksum-crc32': 'AAAAAA==', 'x-amz-checksum-sha1': 'x' };
    await assert.rejects(completed({ body, headers: two }), s3Code('InvalidRequest'));
    await assert.rejects(completed({ body, headers: { 'x-amz-mp-object-size': 'ten' } }), s3Code('InvalidArgument'));
  });
});

describe('listing uploads and parts', () => {
  test('ListParts shows the upload and where to go on', async () => {
    const listing: ObjectService['listParts'] = async (asked, options) => {
      assert.deepEqual([asked, options], [ref, { after: 2, limit: 1 }]);
      return { upload: UPLOAD, parts: [PART], truncated: true };
    };
    const request = at({ query: { 'part-number-marker': '2', 'max-parts': '1' } });
    const page = await runXml(listParts, request, { objects: { listParts: listing } });
    const fields = [
      'Key',
      'UploadId',
      'PartNumberMarker',
      'NextPartNumberMarker',
      'MaxParts',
      'IsTruncated',
      'ChecksumAlgorithm',
    ];
    assert.deepEqual(
      fields.map((name) => childText(page, name)),
      [KEY, 'up1', '2', '3', '1', 'true', 'CRC32'],
    );
    assert.equal(childText(children(page, 'Initiator')[0]!, 'ID'), 'bob-id');
    assert.equal(childText(children(page, 'Part')[0]!, 'ChecksumCRC32'), 'AAAAAA==');
  });

  test('ListMultipartUploads pages by key and upload id', async () => {
    const listUploads: ObjectService['listUploads'] = async (input) => {
      assert.deepEqual(input, {
        bucket: 'photos',
        limit: 1,
        prefix: 'a',
        delimiter: '/',
        after: 'a b/',
        afterUploadId: 'up0',
      });
      return { entries: [UPLOAD], commonPrefixes: [], truncated: true, next: KEY, nextUploadId: 'up1' };
    };
    const query = {
      prefix: 'a',
      delimiter: '/',
      'max-uploads': '1',
      'key-marker': 'a b/',
      'upload-id-marker': 'up0',
      'encoding-type': 'url',
    };
    const page = await runXml(listMultipartUploads, { query }, { objects: { listUploads } });
    const fields = ['KeyMarker', 'UploadIdMarker', 'NextKeyMarker', 'NextUploadIdMarker', 'IsTruncated'];
    assert.deepEqual(
      fields.map((name) => childText(page, name)),
      ['a%20b/', 'up0', 'a%20b/%26.bin', 'up1', 'true'],
    );
    const row = children(page, 'Upload')[0]!;
    assert.deepEqual(
      [childText(row, 'Key'), childText(row, 'Initiated')],
      ['a%20b/%26.bin', '2024-01-01T00:00:00.000Z'],
    );
  });

  test('an upload marker without a key marker is ignored', async () => {
    const listUploads: ObjectService['listUploads'] = async (input) => {
      assert.deepEqual(input, { bucket: 'photos', limit: 1000 });
      return { entries: [], commonPrefixes: [], truncated: false };
    };
    await run(listMultipartUploads, { query: { 'upload-id-marker': 'up0' } }, { objects: { listUploads } });
  });
});

describe('AbortMultipartUpload', () => {
  test('names bucket, key and upload together', async () => {
    const abortUpload: ObjectService['abortUpload'] = async (asked) => {
      assert.deepEqual(asked, ref);
      throw new SkerryError('NoSuchUpload', 'no such upload');
    };
    await assert.rejects(run(abortMultipartUpload, at(), { objects: { abortUpload } }), s3Code('NoSuchUpload'));
  });

  test('an empty upload id is InvalidArgument', () =>
    assert.rejects(
      run(abortMultipartUpload, at({ query: { uploadId: '' } }), { objects: { abortUpload: async () => undefined } }),
      s3Code('InvalidArgument'),
    ));
});
