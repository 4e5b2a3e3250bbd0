/** The routing table: every documented form of a request, and what is refused by name. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { S3Error } from '../../../plugins/gateway-s3/errors.ts';
import { parseTarget } from '../../../plugins/gateway-s3/request.ts';
import { route } from '../../../plugins/gateway-s3/router.ts';

function routed(line: string, headers: Readonly<Record<string, readonly string[]>> = {}): string {
  const [method = '', target = ''] = line.split(' ');
  const request = { method, headers, ...parseTarget(target, '', []) };
  try {
    return route(request).name;
  } catch (error) {
    if (error instanceof S3Error) return error.code;
    throw error;
  }
}

const TABLE: Readonly<Record<string, string>> = {
  'GET /': 'ListBuckets',
  'GET /?x-id=ListBuckets': 'ListBuckets',
  'PUT /': 'MethodNotAllowed',
  'GET /b': 'ListObjects',
  'GET /b/': 'ListObjects',
  'GET /b?prefix=a&delimiter=': 'ListObjects',
  'GET /b?list-type=2': 'ListObjectsV2',
  'GET /b?list-type=2&prefix=uploads': 'ListObjectsV2',
  'GET /b?list-type=1': 'ListObjects',
  'GET /b?versions': 'ListObjectVersions',
  'GET /b?uploads': 'ListMultipartUploads',
  'GET /b?uploads=&prefix=x': 'ListMultipartUploads',
  'GET /b?location=': 'GetBucketLocation',
  'GET /b?versioning=': 'GetBucketVersioning',
  'PUT /b?versioning': 'PutBucketVersioning',
  'DELETE /b?versioning': 'MethodNotAllowed',
  'PUT /b': 'CreateBucket',
  'HEAD /b': 'HeadBucket',
  'DELETE /b': 'DeleteBucket',
  'POST /b?delete': 'DeleteObjects',
  'POST /b?delete=&x-id=DeleteObjects': 'DeleteObjects',
  'POST /b': 'NotImplemented',
  'GET /b?policy': 'GetBucketPolicy',
  'GET /b?policyStatus': 'GetBucketPolicyStatus',
  'GET /b?acl': 'GetBucketAcl',
  'GET /b?cors': 'GetBucketCors',
  'GET /b?lifecycle': 'GetBucketLifecycleConfiguration',
  'GET /b?requestPayment': 'GetBucketRequestPayment',
  'GET /b?encryption': 'GetBucketEncryption',
  'GET /b?object-lock': 'GetObjectLockConfiguration',
  'GET /b?inventory': 'NotImplemented',
  'GET /b?metrics&id=1': 'NotImplemented',
  'GET /b/k': 'GetObject',
  'GET /b/k?versionId=v&partNumber=1': 'GetObject',
  'GET /b/?versions': 'ListObjectVersions',
  'GET /b/k?response-content-type=x': 'GetObject',
  'HEAD /b/k': 'HeadObject',
  'PUT /b/k': 'PutObject',
  'PUT /b/k?x-id=PutObject': 'PutObject',
  'PUT /b//': 'PutObject',
  'DELETE /b/k?versionId=null': 'DeleteObject',
  'POST /b/k': 'MethodNotAllowed',
  'POST /b/k?uploads': 'CreateMultipartUpload',
  'PUT /b/k?partNumber=1&uploadId=u': 'UploadPart',
  'GET /b/k?uploadId=u': 'ListParts',
  'POST /b/k?uploadId=u': 'CompleteMultipartUpload',
  'DELETE /b/k?uploadId=u': 'AbortMultipartUpload',
  'GET /b/k?tagging': 'GetObjectTagging',
  'PUT /b/k?tagging&versionId=v': 'PutObjectTagging',
  'DELETE /b/k?tagging': 'DeleteObjectTagging',
  'GET /b/k?acl': 'GetObjectAcl',
  'PUT /b/k?acl': 'PutObjectAcl',
  'GET /b/k?attributes': 'GetObjectAttributes',
  'GET /b/k?retention': 'GetObjectRetention',
  'PUT /b/k?legal-hold': 'PutObjectLegalHold',
  'GET /b/k?torrent': 'NotImplemented',
  'POST /b/k?restore': 'NotImplemented',
  'POST /b/k?select&select-type=2': 'NotImplemented',
  'PUT /b/k?renameObject': 'NotImplemented',
  'PATCH /b/k': 'MethodNotAllowed',
  // Names of Object.prototype are no sub-resources.
  'GET /b?constructor': 'ListObjects',
  'GET /b/k?__proto__': 'GetObject',
};

describe('route', () => {
  for (const [line, name] of Object.entries(TABLE)) test(`${line} -> ${name}`, () => assert.equal(routed(line), name));

  test('a copy source makes a put a copy', () => {
    const headers = { 'x-amz-copy-source': ['/b/other'] };
    assert.equal(routed('PUT /b/k', headers), 'CopyObject');
    assert.equal(routed('PUT /b/k?partNumber=1&uploadId=u', headers), 'UploadPartCopy');
    assert.equal(routed('GET /b/k', headers), 'GetObject');
  });

  test('a refused method says which are allowed', () => {
    assert.throws(
      () => route({ method: 'PATCH', headers: {}, bucket: 'b', key: 'k', query: new Map() }),
      (error) => error instanceof S3Error && error.headers['allow'] === 'GET, HEAD, PUT, DELETE',
    );
  });
});
