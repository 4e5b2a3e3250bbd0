/** Failures as clients see them: every code of the contract has an S3 answer, and inner words stay inside. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { ERROR_CODES, SkerryError } from '../../../core/contracts/index.ts';
import { S3_ERROR_CODES, s3Error, toS3Error } from '../../../plugins/gateway-s3/errors.ts';
import { errorDocument, redactQuery } from '../../../plugins/gateway-s3/handler.ts';
import { childText, parseXml } from '../../../plugins/gateway-s3/xml.ts';

const skerry = (code: (typeof ERROR_CODES)[number], details: Record<string, unknown> = {}) =>
  toS3Error(new SkerryError(code, 'in our words', { details }));

describe('toS3Error', () => {
  const table: readonly [
    code: (typeof ERROR_CODES)[number],
    details: Record<string, unknown>,
    s3: string,
    status: number,
  ][] = [
    ['NoSuchKey', {}, 'NoSuchKey', 404],
    ['NoSuchBucket', {}, 'NoSuchBucket', 404],
    ['BucketNotEmpty', {}, 'BucketNotEmpty', 409],
    ['PreconditionFailed', {}, 'PreconditionFailed', 412],
    ['Conflict', {}, 'ConditionalRequestConflict', 409],
    ['KeyTooLong', {}, 'KeyTooLongError', 400],
    ['ChecksumMismatch', { which: 'sha256' }, 'XAmzContentSHA256Mismatch', 400],
    ['ChecksumMismatch', { which: 'md5' }, 'BadDigest', 400],
    ['ChecksumMismatch', { which: 'checksum' }, 'BadDigest', 400],
    ['Unauthenticated', { reason: 'SignatureDoesNotMatch' }, 'SignatureDoesNotMatch', 403],
    ['Unauthenticated', { reason: 'RequestTimeTooSkewed' }, 'RequestTimeTooSkewed', 403],
    ['Unauthenticated', { reason: 'no such code' }, 'AccessDenied', 403],
    ['OutOfSpace', {}, 'InsufficientStorage', 507],
    ['SlowDown', { retryAfterMs: 2100 }, 'SlowDown', 503],
    ['Unavailable', {}, 'ServiceUnavailable', 503],
    ['NotSupported', {}, 'NotImplemented', 501],
    ['ObjectLocked', {}, 'AccessDenied', 403],
    ['Corrupt', {}, 'InternalError', 500],
    ['Io', {}, 'InternalError', 500],
    ['Internal', {}, 'InternalError', 500],
  ];
  for (const [code, details, s3, status] of table) {
    test(`${code} ${JSON.stringify(details)} -> ${status} ${s3}`, () => {
      const error = skerry(code, details);
      assert.deepEqual([error.code, error.status], [s3, status]);
    });
  }

  test('every code of the contract has an answer that is meant', () => {
    const internal = new Set(['Internal', 'Io', 'Corrupt', 'InvalidConfig', 'NoSuchSetting']);
    for (const code of ERROR_CODES) assert.equal(skerry(code).code === 'InternalError', internal.has(code), code);
  });

  test('503 says when to come back', () => {
    assert.equal(skerry('SlowDown', { retryAfterMs: 2100 }).headers['retry-after'], '3');
    assert.equal(skerry('Unavailable').headers['retry-after'], '1');
  });

  test('details become elements, markers become headers', () => {
    const error = skerry('NoSuchKey', { bucket: 'b', key: 'k', marker: true, versionId: 'v1' });
    assert.deepEqual(error.fields, { BucketName: 'b', Key: 'k', VersionId: 'v1' });
    assert.deepEqual(error.headers, { 'x-amz-delete-marker': 'true', 'x-amz-version-id': 'v1' });
  });

  test('elements that the auth plugin names are shown as it named them', () => {
    const fields = { StringToSign: 'AWS4-HMAC-SHA256', Region: 'eu-1', odd: 7 };
    const error = skerry('Unauthenticated', { reason: 'SignatureDoesNotMatch', fields });
    assert.deepEqual(error.fields, { StringToSign: 'AWS4-HMAC-SHA256', Region: 'eu-1' });
  });

  test('what nobody foresaw keeps its words for the log', () => {
    const thrown = new TypeError('inner words');
    const error = toS3Error(thrown);
    assert.equal(error.code, 'InternalError');
    assert.doesNotMatch(error.message, /inner/);
    assert.equal(error.cause, thrown);
    assert.doesNotMatch(skerry('Io').message, /our words/);
  });
});

test('the catalogue holds sane statuses', () => {
  for (const code of S3_ERROR_CODES) {
    const { status, message } = s3Error(code);
    assert.ok((status >= 400 && status < 600) || status === 304, code);
    assert.ok(message.length > 5, code);
  }
});

test('the error document is XML whatever the names hold', () => {
  const error = s3Error('NoSuchKey', undefined, { fields: { Key: 'a<b>&\u0001' } });
  const root = parseXml(errorDocument(error, '/b/a<b>', 'R1', 'H1'));
  assert.equal(root.name, 'Error');
  assert.equal(childText(root, 'Code'), 'NoSuchKey');
  assert.equal(childText(root, 'Key'), 'a<b>&\ufffd');
  assert.equal(childText(root, 'RequestId'), 'R1');
});

test('signatures and tokens are cut out of logged queries', () => {
  const query = 'X-Amz-Signature=aa&prefix=p&X-Amz-Security-Token=bb&Signature=cc&x-amz-date=d';
  assert.equal(
    redactQuery(query),
    'X-Amz-Signature=[redacted]&prefix=p&X-Amz-Security-Token=[redacted]&Signature=[redacted]&x-amz-date=d',
  );
});
