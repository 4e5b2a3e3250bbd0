/**
 * Signature Version 2 against the examples of Amazon's documentation ("Signing and Authenticating REST Requests", Amazon S3 Developer
 * Guide, 2006-03-01), and what it must not open.
 */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { describe, test } from 'node:test';

import * as fc from 'fast-check';

import { isSkerryError, type Auth, type AuthRequest } from '../../../core/contracts/index.ts';
import { createAuthWorld, WHO } from '../../../harness/conformance/auth/world.ts';
import sigv4 from '../../../plugins/auth-sigv4/index.ts';
import type { SigV4Options } from '../../../plugins/auth-sigv4/options.ts';
import { SIGV4_DEFAULTS } from './defaults.ts';

interface Plain {
  readonly method?: string;
  readonly path: string;
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly bucket?: string;
}

function requestOf({ method = 'GET', path, query = '', headers = {}, bucket = 'johnsmith' }: Plain): AuthRequest {
  const all = { host: 'johnsmith.s3.amazonaws.com', ...headers };
  const lists = Object.fromEntries(Object.entries(all).map(([name, value]) => [name, [value]]));
  const base = { method, rawPath: path, rawQuery: query, headers: lists, remoteAddress: '192.0.2.7', secure: false };
  return bucket === '' ? base : { ...base, virtualHostBucket: bucket };
}

async function authAt(time: string | number, options: Partial<SigV4Options> = {}): Promise<Auth> {
  const world = createAuthWorld();
  world.setNow(typeof time === 'number' ? time : Date.parse(time));
  const auth = sigv4.create(world.deps, { ...SIGV4_DEFAULTS, ...options });
  await auth.open();
  return auth;
}

async function reasonOf(auth: Auth, request: AuthRequest): Promise<unknown> {
  const error: unknown = await auth.authenticate(request).then(
    () => undefined,
    (refusal: unknown) => refusal,
  );
  if (error === undefined) return 'accepted';
  assert.ok(isSkerryError(error), 'rejected with something else than a SkerryError');
  return error.details['reason'];
}

const DAY = 'Tue, 27 Mar 2007';
const signed = (date: string, signature: string, more: Readonly<Record<string, string>> = {}) => ({
  date: `${DAY} ${date} +0000`,
  authorization: `AWS AKIAIOSFODNN7EXAMPLE:${signature}`,
  ...more,
});

const EXAMPLES: Readonly<Record<string, Plain>> = {
  'Object GET': { path: '/photos/puppy.jpg', headers: signed('19:36:42', 'bWq2s1WEIj+Ydj0vQ697zp+IXMU=') },
  'Object PUT': {
    method: 'PUT',
    path: '/photos/puppy.jpg',
    headers: signed('21:15:45', 'MyyxeRY7whkBe+bq8fHCL/2kKUg=', {
      'content-type': 'image/jpeg',
      'content-length': '94328',
    }),
  },
  List: {
    path: '/',
    query: 'prefix=photos&max-keys=50&marker=puppy',
    headers: signed('19:42:41', 'htDYFYduRNen8P9ZfE/s9SuKy0U='),
  },
  Fetch: { path: '/', query: 'acl', headers: signed('19:44:46', 'c2WLPFtWHVgbEmeEG93a4cG37dM=') },
  'Unicode keys': {
    path: '/dictionary/fran%C3%A7ais/pr%c3%a9f%c3%a8re',
    headers: signed('', 'DNEZGsoieTZ92F3bUfSPQcbGmlM=', { date: 'Wed, 28 Mar 2007 01:49:49 +0000' }),
    bucket: '',
  },
};

const EXPIRES = 1175139620;
const QUERY = `AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D&Expires=${EXPIRES}`;

/** A presigned path-style URL, made from the words of the specification. */
function presign(text: {
  readonly method?: string;
  readonly path: string;
  readonly signedQuery?: string;
}): AuthRequest {
  const { method = 'GET', path, signedQuery = '' } = text;
  const resource = signedQuery === '' ? path : `${path}?${signedQuery}`;
  const signature = createHmac('sha1', WHO.owner.secretKey)
    .update(`${method}\n\n\n${EXPIRES}\n${resource}`)
    .digest('base64');
  const query = `${signedQuery === '' ? '' : `${signedQuery}&`}AWSAccessKeyId=${WHO.owner.accessKeyId}&Expires=${EXPIRES}&Signature=${encodeURIComponent(signature)}`;
  return requestOf({ method, path, query, bucket: '' });
}

describe('SigV2 in headers', () => {
  for (const [title, example] of Object.entries(EXAMPLES)) {
    test(`example ${title} verifies where it is configured`, async () => {
      const request = requestOf(example);
      const auth = await authAt(request.headers['date']?.[0] ?? '', { sigv2: 'all' });
      const { scheme, principal } = await auth.authenticate(request);
      assert.deepEqual([scheme, principal.userId], ['sigv2-header', WHO.owner.userId]);
      assert.equal(await reasonOf(auth, { ...request, method: 'DELETE' }), 'SignatureDoesNotMatch');
    });
  }

  test('is refused by default, naming the cure', async () => {
    const auth = await authAt(`${DAY} 19:36:42 +0000`);
    const request = requestOf(EXAMPLES['Object GET']!);
    await assert.rejects(auth.authenticate(request), /AWS4-HMAC-SHA256.*s3v4/);
    assert.equal(await reasonOf(auth, request), 'InvalidRequest');
  });

  test('a clock that differs is RequestTimeTooSkewed', async () => {
    const auth = await authAt(`${DAY} 19:52:43 +0000`, { sigv2: 'all' });
    assert.equal(await reasonOf(auth, requestOf(EXAMPLES['Object GET']!)), 'RequestTimeTooSkewed');
  });

  test('an added x-amz header voids it', async () => {
    const auth = await authAt(`${DAY} 19:36:42 +0000`, { sigv2: 'all' });
    const { headers, ...rest } = EXAMPLES['Object GET']!;
    const request = requestOf({ ...rest, headers: { ...headers, 'x-amz-acl': 'public-read' } });
    assert.equal(await reasonOf(auth, request), 'SignatureDoesNotMatch');
  });
});

describe('SigV2 in the query', () => {
  const request = requestOf({ path: '/photos/puppy.jpg', query: QUERY });

  test('the documented example verifies until it expires', async () => {
    const { scheme, principal } = await (await authAt(EXPIRES * 1000)).authenticate(request);
    assert.deepEqual([scheme, principal.userId], ['sigv2-query', WHO.owner.userId]);
    assert.equal(await reasonOf(await authAt(EXPIRES * 1000 + 1), request), 'AccessDenied');
  });

  test('is refused when turned off, naming the cure', async () => {
    const auth = await authAt(EXPIRES * 1000, { sigv2: 'off' });
    await assert.rejects(auth.authenticate(request), /signature_version='s3v4'/);
  });

  test('the bucket that the gateway resolved is signed, and no other', async () => {
    const auth = await authAt(EXPIRES * 1000);
    assert.equal(await reasonOf(auth, { ...request, virtualHostBucket: 'other' }), 'SignatureDoesNotMatch');
    assert.equal(
      await reasonOf(auth, requestOf({ path: '/photos/puppy.jpg', query: QUERY, bucket: '' })),
      'SignatureDoesNotMatch',
    );
  });

  test('sub-resources are signed with their values', async () => {
    const auth = await authAt(EXPIRES * 1000);
    const signedUrl = presign({ path: '/bucket/a%20key', signedQuery: 'versionId=abc' });
    assert.equal(await reasonOf(auth, signedUrl), 'accepted');
    const rawQuery = signedUrl.rawQuery.replace('abc', 'abd');
    assert.equal(await reasonOf(auth, { ...signedUrl, rawQuery }), 'SignatureDoesNotMatch');
    assert.equal(
      await reasonOf(auth, { ...signedUrl, rawQuery: `${signedUrl.rawQuery}&acl` }),
      'SignatureDoesNotMatch',
    );
  });

  test('a bucket may be signed with the slash behind it that botocore does not send', async () => {
    const auth = await authAt(EXPIRES * 1000);
    const signedUrl = presign({ path: '/bucket/' });
    assert.equal(await reasonOf(auth, { ...signedUrl, rawPath: '/bucket' }), 'accepted');
    assert.equal(await reasonOf(auth, { ...signedUrl, rawPath: '/bucket//' }), 'SignatureDoesNotMatch');
    const object = presign({ path: '/bucket/key/' });
    assert.equal(await reasonOf(auth, { ...object, rawPath: '/bucket/key' }), 'SignatureDoesNotMatch');
  });

  test('an operation that version 2 does not sign cannot be slipped in', async () => {
    const auth = await authAt(EXPIRES * 1000);
    const put = presign({ method: 'PUT', path: '/bucket/key' });
    assert.equal(await reasonOf(auth, put), 'accepted');
    for (const name of ['retention', 'legal-hold', 'encryption', 'publicAccessBlock', 'ownershipControls']) {
      assert.equal(await reasonOf(auth, { ...put, rawQuery: `${put.rawQuery}&${name}` }), 'AccessDenied');
    }
  });

  test('any changed character of the signature is refused', async () => {
    const auth = await authAt(EXPIRES * 1000);
    const good = presign({ path: '/bucket/key' });
    const at = good.rawQuery.indexOf('Signature=') + 'Signature='.length;
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: good.rawQuery.length - at - 1 }),
        fc.constantFrom('A', 'b', '9', '/'),
        async (offset, char) => {
          const rawQuery = `${good.rawQuery.slice(0, at + offset)}${char}${good.rawQuery.slice(at + offset + 1)}`;
          fc.pre(rawQuery !== good.rawQuery);
          assert.notEqual(await reasonOf(auth, { ...good, rawQuery }), 'accepted');
        },
      ),
      { seed: 1 },
    );
  });

  test('what lacks a part or repeats one is AccessDenied', async () => {
    const auth = await authAt(EXPIRES * 1000);
    const { rawQuery } = presign({ path: '/bucket/key' });
    for (const query of [
      'AWSAccessKeyId=x',
      'Signature=x',
      rawQuery.replace(/Expires=\d+&/, ''),
      `${rawQuery}&Expires=9`,
      rawQuery.replace(/Expires=\d+/, 'Expires=soon'),
    ]) {
      assert.equal(await reasonOf(auth, requestOf({ path: '/bucket/key', query, bucket: '' })), 'AccessDenied', query);
    }
  });
});
