/**
 * The examples of Amazon's own documentation, request for request. Source: "Signature Calculations for the Authorization Header", "... Using Query
 * Parameters", "... Transferring Payload in Multiple Chunks", "... Including Trailing Headers", Amazon S3 API Reference.
 */
import assert from 'node:assert/strict';

import type { AuthRequest } from '../../../core/contracts/index.ts';
import { accepts, cut, decode, refusesWith, type AuthKit } from './kit.ts';
import { EMPTY_SHA256 } from './signer.ts';

const DATE = '20130524T000000Z';
const CREDENTIAL = 'AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request';

interface Example {
  readonly method?: string;
  readonly rawPath?: string;
  readonly rawQuery?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly signedHeaders: string;
  readonly signature: string;
}

function requestOf({
  method = 'GET',
  rawPath = '/',
  rawQuery = '',
  headers,
  signedHeaders,
  signature,
}: Example): AuthRequest {
  const authorization = `AWS4-HMAC-SHA256 Credential=${CREDENTIAL},SignedHeaders=${signedHeaders},Signature=${signature}`;
  const all = { host: 'examplebucket.s3.amazonaws.com', 'x-amz-date': DATE, ...headers, authorization };
  const lists = Object.fromEntries(Object.entries(all).map(([name, value]) => [name, [value]]));
  return { method, rawPath, rawQuery, headers: lists, remoteAddress: '192.0.2.7', secure: false };
}

const EXAMPLES: Readonly<Record<string, Example>> = {
  'GET Object': {
    rawPath: '/test.txt',
    headers: { range: 'bytes=0-9', 'x-amz-content-sha256': EMPTY_SHA256 },
    signedHeaders: 'host;range;x-amz-content-sha256;x-amz-date',
    signature: 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
  },
  'PUT Object': {
    method: 'PUT',
    rawPath: '/test$file.text',
    headers: {
      date: 'Fri, 24 May 2013 00:00:00 GMT',
      'x-amz-storage-class': 'REDUCED_REDUNDANCY',
      'x-amz-content-sha256': '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072',
    },
    signedHeaders: 'date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class',
    signature: '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
  },
  'GET Bucket Lifecycle': {
    rawQuery: 'lifecycle',
    headers: { 'x-amz-content-sha256': EMPTY_SHA256 },
    signedHeaders: 'host;x-amz-content-sha256;x-amz-date',
    signature: 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
  },
  'List Objects': {
    rawQuery: 'max-keys=2&prefix=J',
    headers: { 'x-amz-content-sha256': EMPTY_SHA256 },
    signedHeaders: 'host;x-amz-content-sha256;x-amz-date',
    signature: '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
  },
};

const CHUNKED: Example = {
  method: 'PUT',
  rawPath: '/examplebucket/chunkObject.txt',
  headers: {
    host: 's3.amazonaws.com',
    'content-encoding': 'aws-chunked',
    'content-length': '66824',
    'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
    'x-amz-decoded-content-length': '66560',
    'x-amz-storage-class': 'REDUCED_REDUNDANCY',
  },
  signedHeaders:
    'content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class',
  signature: '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9',
};

const TRAILING: Example = {
  ...CHUNKED,
  headers: {
    ...CHUNKED.headers,
    'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
    'x-amz-trailer': 'x-amz-checksum-crc32c',
  },
  signedHeaders:
    'content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer',
  signature: '106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e',
};

const PRESIGNED = [
  'X-Amz-Algorithm=AWS4-HMAC-SHA256',
  `X-Amz-Credential=${encodeURIComponent(CREDENTIAL)}`,
  `X-Amz-Date=${DATE}`,
  'X-Amz-Expires=86400',
  'X-Amz-SignedHeaders=host',
  'X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404',
].join('&');

const CONTENT = 'a'.repeat(66_560);

function chunks(signatures: readonly [string, string, string], ending: string): Buffer {
  const [first, second, last] = signatures.map((signature) => `;chunk-signature=${signature}\r\n`);
  return Buffer.from(`10000${first}${'a'.repeat(65_536)}\r\n400${second}${'a'.repeat(1024)}\r\n0${last}${ending}\r\n`);
}

const CHUNKED_BODY = chunks(
  [
    'ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648',
    '0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497',
    'b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9',
  ],
  '',
);
const TRAILING_BODY = chunks(
  [
    'b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2',
    '1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7',
    '2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992',
  ],
  'x-amz-checksum-crc32c:sOO8/Q==\r\n' +
    'x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n',
);

/** Needs `supports.signatures`; the last three also `presigned` and `framedPayloads`. */
export function vectorTests({ withAuth, supports }: AuthKit): void {
  for (const [title, example] of Object.entries(EXAMPLES)) {
    withAuth(`AWS example ${title} verifies`, async (auth) => {
      const { principal, scheme, payload } = await accepts(auth, requestOf(example));
      assert.equal(principal.accessKeyId, 'AKIAIOSFODNN7EXAMPLE');
      assert.equal(scheme, 'sigv4-header');
      assert.deepEqual(payload, { kind: 'sha256', hex: example.headers['x-amz-content-sha256'] });
    });
    withAuth(`AWS example ${title} with another method is refused`, async (auth) => {
      await refusesWith(auth, { ...requestOf(example), method: 'DELETE' }, 'SignatureDoesNotMatch');
    });
  }
  if (supports.presigned) {
    withAuth('AWS example of a presigned URL verifies', async (auth) => {
      const headers = { host: ['examplebucket.s3.amazonaws.com'] };
      const request = {
        method: 'GET',
        rawPath: '/test.txt',
        rawQuery: PRESIGNED,
        headers,
        remoteAddress: '',
        secure: true,
      };
      const { scheme, payload } = await accepts(auth, request);
      assert.deepEqual([scheme, payload.kind], ['sigv4-query', 'unsigned']);
    });
  }
  if (!supports.framedPayloads) return;
  withAuth('AWS example of a chunked upload verifies', async (auth) => {
    const { bytes } = await decode(auth, requestOf(CHUNKED), cut(CHUNKED_BODY, [70_000, 1, 5000, 65_600]));
    assert.equal(bytes.toString('latin1'), CONTENT);
  });
  withAuth('AWS example of a chunked upload with a trailer verifies', async (auth) => {
    const { bytes, trailers } = await decode(auth, requestOf(TRAILING), cut(TRAILING_BODY, [3, 66_700]));
    assert.equal(bytes.toString('latin1'), CONTENT);
    assert.deepEqual({ ...trailers }, { 'x-amz-checksum-crc32c': 'sOO8/Q==' });
  });
}
