/** What a signature must cover and what makes it void. Needs `supports.signatures`. */
import assert from 'node:assert/strict';

import * as fc from 'fast-check';

import type { AuthRequest } from '../../../core/contracts/index.ts';
import { WEIRD_OBJECT_KEYS } from '../weird-keys.ts';
import { accepts, refusal, refusesWith, type AuthKit } from './kit.ts';
import {
  amzDateOf,
  EMPTY_SHA256,
  presign,
  sha256,
  signHeader,
  type PlainRequest,
  type SigningOptions,
} from './signer.ts';
import { EXAMPLE_TIME_MS, WHO } from './world.ts';

const MINUTE_MS = 60_000;
const SIGNING: SigningOptions = { who: WHO.owner, timeMs: EXAMPLE_TIME_MS };
const PLAIN: PlainRequest = {
  method: 'PUT',
  path: '/bucket/key',
  query: { tagging: '', versionId: 'abc' },
  headers: { 'x-amz-meta-colour': 'blue', 'content-type': 'text/plain' },
};

export function signatureTests(kit: AuthKit): void {
  principalTests(kit);
  coverageTests(kit);
  timeTests(kit);
  scopeTests(kit);
  if (kit.supports.presigned) presignedTests(kit);
  garbageTests(kit);
}

function principalTests({ withAuth }: AuthKit): void {
  withAuth('a signed request is its signer', async (auth) => {
    const { principal, scheme, payload, signatureAgeMs } = await accepts(auth, signHeader(PLAIN, SIGNING).request);
    const { userId, displayName, account, accessKeyId, policy } = WHO.owner;
    const { arn, ...rest } = principal;
    assert.deepEqual(rest, { anonymous: false, userId, displayName, account, accessKeyId, policy });
    assert.match(arn, /^arn:aws:iam::111111111111:user\//);
    assert.deepEqual([scheme, signatureAgeMs], ['sigv4-header', 0]);
    assert.deepEqual(payload, { kind: 'sha256', hex: EMPTY_SHA256 });
  });
  withAuth('UNSIGNED-PAYLOAD asks nothing of the body', async (auth) => {
    const { request } = signHeader({ ...PLAIN, payloadHash: 'UNSIGNED-PAYLOAD' }, SIGNING);
    assert.deepEqual((await accepts(auth, request)).payload, { kind: 'unsigned' });
  });
  withAuth('an unknown access key is InvalidAccessKeyId', async (auth) => {
    const who = { ...WHO.owner, accessKeyId: 'AKIANOBODY' };
    await refusesWith(auth, signHeader(PLAIN, { ...SIGNING, who }).request, 'InvalidAccessKeyId');
  });
  withAuth('a disabled access key is InvalidAccessKeyId', async (auth) => {
    await refusesWith(auth, signHeader(PLAIN, { ...SIGNING, who: WHO.disabled }).request, 'InvalidAccessKeyId');
  });
  withAuth('a changed secret takes effect at once', async (auth, world) => {
    const { request } = signHeader(PLAIN, SIGNING);
    await accepts(auth, request);
    const who = { ...WHO.owner, secretKey: 'another secret' };
    world.setIdentity(who);
    await refusesWith(auth, request, 'SignatureDoesNotMatch');
    await accepts(auth, signHeader(PLAIN, { ...SIGNING, who }).request);
  });
  withAuth('a key that is disabled later is refused at once', async (auth, world) => {
    const { request } = signHeader(PLAIN, SIGNING);
    await accepts(auth, request);
    world.setIdentity({ ...WHO.owner, enabled: false });
    await refusesWith(auth, request, 'InvalidAccessKeyId');
  });
  withAuth('no refusal tells the secret', async (auth) => {
    const error = await refusal(auth, { ...signHeader(PLAIN, SIGNING).request, rawPath: '/bucket/other' });
    const told = `${error.message} ${JSON.stringify(error.details)} ${String(error.cause)}`;
    for (const encoding of ['utf8', 'hex', 'base64'] as const) {
      const secret = Buffer.from(WHO.owner.secretKey).toString(encoding).replace(/=+$/, '');
      assert.ok(!told.includes(secret) && !told.replaceAll(' ', '').includes(secret), 'the refusal holds the secret');
    }
  });
}

/** One change to a signed request that must void its signature. */
type Tamper = (request: AuthRequest, draw: number) => AuthRequest;

const header = (request: AuthRequest, name: string, value: string): AuthRequest => {
  return { ...request, headers: { ...request.headers, [name]: [value] } };
};

function flipHexDigit(text: string, draw: number): string {
  const at = draw % text.length;
  const digit = (Number.parseInt(text[at] ?? '0', 16) ^ (1 + (draw % 15))).toString(16);
  return `${text.slice(0, at)}${digit}${text.slice(at + 1)}`;
}

const TAMPER: Readonly<Record<string, Tamper>> = {
  method: (request) => ({ ...request, method: 'DELETE' }),
  path: (request, draw) => {
    const at = 1 + (draw % (request.rawPath.length - 1));
    const other = request.rawPath[at] === 'z' ? 'y' : 'z';
    return { ...request, rawPath: `${request.rawPath.slice(0, at)}${other}${request.rawPath.slice(at + 1)}` };
  },
  'query value': (request) => ({ ...request, rawQuery: request.rawQuery.replace('abc', 'abd') }),
  'query name': (request) => ({ ...request, rawQuery: request.rawQuery.replace('tagging', 'acl') }),
  'added parameter': (request) => ({ ...request, rawQuery: `${request.rawQuery}&acl` }),
  'dropped parameter': (request) => ({ ...request, rawQuery: request.rawQuery.replace(/tagging=&/, '') }),
  'signed header': (request) => header(request, 'x-amz-meta-colour', 'red'),
  'content type': (request) => header(request, 'content-type', 'text/html'),
  host: (request) => header(request, 'host', 'evil.example.com'),
  'repeated header': (request) => ({
    ...request,
    headers: { ...request.headers, 'x-amz-meta-colour': ['blue', 'blue'] },
  }),
  'payload hash': (request) => header(request, 'x-amz-content-sha256', 'UNSIGNED-PAYLOAD'),
  date: (request) => header(request, 'x-amz-date', '20130524T000001Z'),
  signature: (request, draw) => {
    const value = request.headers['authorization']?.[0] ?? '';
    return header(request, 'authorization', value.slice(0, -64) + flipHexDigit(value.slice(-64), draw));
  },
};

function coverageTests({ withAuth, forAll }: AuthKit): void {
  for (const [what, tamper] of Object.entries(TAMPER)) {
    forAll(`another ${what} voids the signature`, fc.nat({ max: 4096 }), async (auth, draw) => {
      const { request } = signHeader(PLAIN, SIGNING);
      await accepts(auth, request);
      await refusesWith(auth, tamper(request, draw), 'SignatureDoesNotMatch');
    });
  }
  forAll(
    'any key and any parameter can be signed',
    fc.tuple(fc.constantFrom(...WEIRD_OBJECT_KEYS), fc.string(), fc.string({ unit: 'binary' })),
    async (auth, [key, name, value]) => {
      const query = { [`p${name}`]: value.toWellFormed(), prefix: key };
      const { request } = signHeader({ path: `/bucket/${key}`, query }, SIGNING);
      await accepts(auth, request);
    },
  );
  withAuth('every weird key can be signed', async (auth) => {
    for (const key of WEIRD_OBJECT_KEYS) await accepts(auth, signHeader({ path: `/bucket/${key}` }, SIGNING).request);
  });
  withAuth('parameters are signed in the order of their encoded names, whatever order they come in', async (auth) => {
    const { request } = signHeader({ query: { b: '1', a: '2', A: '3', 'a-b': '4', 'a.b': '5' } }, SIGNING);
    await accepts(auth, { ...request, rawQuery: request.rawQuery.split('&').reverse().join('&') });
  });
  withAuth('header values are trimmed, runs of spaces are one, and repeated headers are joined', async (auth) => {
    const headers = {
      'x-amz-meta-a': '  two   words ',
      'x-amz-meta-b': ['one', ' two'],
      'x-amz-meta-c': 'voil\u00c3\u00a0',
    };
    await accepts(auth, signHeader({ headers }, SIGNING).request);
  });
  withAuth('an x-amz header outside the signature is AccessDenied', async (auth) => {
    const { request } = signHeader(PLAIN, { ...SIGNING, unsigned: ['x-amz-meta-colour'] });
    await refusesWith(auth, request, 'AccessDenied');
    await refusesWith(auth, header(signHeader(PLAIN, SIGNING).request, 'x-amz-acl', 'public-read'), 'AccessDenied');
  });
  withAuth('a signature without the host is AccessDenied', async (auth) => {
    await refusesWith(auth, signHeader(PLAIN, { ...SIGNING, unsigned: ['host'] }).request, 'AccessDenied');
  });
  withAuth('other headers need not be signed', async (auth) => {
    await accepts(auth, header(signHeader(PLAIN, SIGNING).request, 'user-agent', 'kit/1'));
  });
}

function timeTests({ withAuth }: AuthKit): void {
  for (const minutes of [-14, 14]) {
    withAuth(`a clock that differs by ${minutes} minutes is accepted`, async (auth, world) => {
      world.setNow(EXAMPLE_TIME_MS + minutes * MINUTE_MS);
      const { signatureAgeMs } = await accepts(auth, signHeader(PLAIN, SIGNING).request);
      assert.equal(signatureAgeMs, minutes * MINUTE_MS);
    });
  }
  for (const minutes of [-16, 16, 60 * 24 * 365]) {
    withAuth(`a clock that differs by ${minutes} minutes is RequestTimeTooSkewed`, async (auth, world) => {
      world.setNow(EXAMPLE_TIME_MS + minutes * MINUTE_MS);
      await refusesWith(auth, signHeader(PLAIN, SIGNING).request, 'RequestTimeTooSkewed');
    });
  }
  withAuth('a request without a time is AccessDenied', async (auth) => {
    const { request } = signHeader(PLAIN, SIGNING);
    const { 'x-amz-date': _date, ...headers } = request.headers;
    await refusesWith(auth, { ...request, headers }, 'AccessDenied');
  });
  withAuth('a request that does not say what its body is, is refused', async (auth) => {
    const { request } = signHeader(PLAIN, SIGNING);
    const { 'x-amz-content-sha256': _hash, ...headers } = request.headers;
    await refusal(auth, { ...request, headers });
  });
}

function scopeTests({ withAuth }: AuthKit): void {
  const wrong: Readonly<Record<string, Partial<SigningOptions>>> = {
    'another service': { service: 'ec2' },
    'another terminator': { terminator: 'aws5_request' },
    'another day': { scopeDate: '20130525' },
    'no day': { scopeDate: 'today' },
  };
  for (const [what, options] of Object.entries(wrong)) {
    withAuth(`a credential for ${what} is AuthorizationHeaderMalformed`, async (auth) => {
      await refusesWith(auth, signHeader(PLAIN, { ...SIGNING, ...options }).request, 'AuthorizationHeaderMalformed');
    });
  }
}

function presignedTests({ withAuth, forAll }: AuthKit): void {
  const read: PlainRequest = {
    method: 'GET',
    path: '/bucket/a key/\u00e9',
    query: { 'response-content-type': 'text/plain; charset=x' },
  };
  withAuth('a presigned URL is its signer, until it expires', async (auth, world) => {
    const { request } = presign(read, { ...SIGNING, expiresS: 60 });
    const { principal, scheme } = await accepts(auth, request);
    assert.deepEqual([principal.userId, scheme], [WHO.owner.userId, 'sigv4-query']);
    world.setNow(EXAMPLE_TIME_MS + 60_000);
    assert.equal((await accepts(auth, request)).signatureAgeMs, 60_000);
    world.setNow(EXAMPLE_TIME_MS + 60_001);
    await refusesWith(auth, request, 'AccessDenied');
  });
  withAuth('a presigned URL of the future is AccessDenied', async (auth, world) => {
    world.setNow(EXAMPLE_TIME_MS - 16 * MINUTE_MS);
    await refusesWith(auth, presign(read, SIGNING).request, 'AccessDenied');
  });
  withAuth('a presigned URL is good for a week at most', async (auth) => {
    await accepts(auth, presign(read, { ...SIGNING, expiresS: 604_800 }).request);
    for (const expiresS of [604_801, 0, -1, '1e3', 'x', '']) {
      await refusesWith(auth, presign(read, { ...SIGNING, expiresS }).request, 'AuthorizationQueryParametersError');
    }
  });
  withAuth('a presigned URL that lacks a part is AuthorizationQueryParametersError', async (auth) => {
    const { request } = presign(read, SIGNING);
    for (const name of ['Algorithm', 'Credential', 'Date', 'Expires', 'SignedHeaders']) {
      const rawQuery = request.rawQuery
        .split('&')
        .filter((part) => !part.startsWith(`X-Amz-${name}=`))
        .join('&');
      await refusesWith(auth, { ...request, rawQuery }, 'AuthorizationQueryParametersError');
    }
  });
  withAuth('a presigned URL with a header as well is refused', async (auth) => {
    const { request } = presign(read, SIGNING);
    await refusal(
      auth,
      header(request, 'authorization', signHeader(PLAIN, SIGNING).request.headers['authorization']?.[0] ?? ''),
    );
    await refusesWith(auth, header(request, 'x-amz-acl', 'public-read'), 'AccessDenied');
  });
  const more: fc.Arbitrary<string> = fc.constantFrom(
    'versionId=1',
    'acl',
    'X-Amz-Expires=9',
    'response-content-type=a',
    'x=%00',
  );
  forAll('nothing can be added to a presigned URL', more, async (auth, extra) => {
    const { request } = presign(read, SIGNING);
    await refusal(auth, { ...request, rawQuery: `${extra}&${request.rawQuery}` });
  });
}

function garbageTests({ withAuth, forAll }: AuthKit): void {
  withAuth('temporary credentials of somebody else are InvalidToken', async (auth) => {
    const headers = { 'x-amz-security-token': 'token' };
    await refusesWith(auth, signHeader({ headers }, SIGNING).request, 'InvalidToken');
  });
  const authorization = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string().map((text) => `AWS4-HMAC-SHA256 ${text}`),
    fc.string().map((text) => `AWS4-HMAC-SHA256 Credential=${text}, SignedHeaders=host, Signature=${sha256(text)}`),
    fc
      .string()
      .map(
        (text) => `AWS4-HMAC-SHA256 Credential=a/20130524/b/s3/aws4_request, SignedHeaders=${text}, Signature=${text}`,
      ),
    fc.constantFrom(
      '',
      'AWS a:b',
      'Basic YTpi',
      'Bearer x',
      'AWS4-ECDSA-P256-SHA256 Credential=a/20130524/s3/aws4_request',
    ),
  );
  forAll('any garbage in Authorization is refused with a code', authorization, async (auth, value) => {
    const headers = {
      host: ['h'],
      'x-amz-date': [amzDateOf(EXAMPLE_TIME_MS)],
      'x-amz-content-sha256': [EMPTY_SHA256],
      authorization: [value],
    };
    await refusal(auth, { ...signHeader(PLAIN, SIGNING).request, headers });
  });
  const parameters = fc.string({ unit: 'binary' }).map((text) => `X-Amz-Signature=${text.replaceAll('&', '')}`);
  forAll('any garbage in the query is refused with a code', parameters, async (auth, rawQuery) => {
    const { request } = signHeader(PLAIN, SIGNING);
    await refusal(auth, { ...request, headers: { host: ['h'] }, rawQuery });
  });
}
