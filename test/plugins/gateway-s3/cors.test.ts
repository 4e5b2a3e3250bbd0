import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';

import { SkerryError } from '../../../core/contracts/index.ts';
import { corsHeaders, preflight } from '../../../plugins/gateway-s3/cors.ts';
import {
  findCorsRule,
  matchesWildcard,
  readCorsRules,
  writeCorsRules,
  type CorsRule,
} from '../../../plugins/gateway-s3/cors-rules.ts';
import { group, parseXml } from '../../../plugins/gateway-s3/xml.ts';
import { bucketInfo, s3Code } from './fixtures/operation-rig.ts';

const rule = (over: Partial<CorsRule>): CorsRule => ({
  origins: ['*'],
  methods: ['GET'],
  headers: [],
  exposeHeaders: [],
  ...over,
});
const read = (content: string): readonly CorsRule[] =>
  readCorsRules(parseXml(`<CORSConfiguration>${content}</CORSConfiguration>`));
const asking = (method: string, headers: Readonly<Record<string, string>>) => ({
  method,
  bucket: 'photos',
  header: (name: string) => headers[name],
});

describe('matching', () => {
  const table: readonly (readonly [pattern: string, text: string, matches: boolean])[] = [
    ['*', 'https://a.example', true],
    ['*', '', true],
    ['https://a.example', 'https://a.example', true],
    ['https://a.example', 'https://A.example', false],
    ['https://a.example', 'https://a.example.evil', false],
    ['https://*.a.example', 'https://x.a.example', true],
    ['https://*.a.example', 'https://x.y.a.example', true],
    ['https://*.a.example', 'https://a.example', false],
    ['https://*.a.example', 'http://x.a.example', false],
    ['*suffix', 'foo.suffix', true],
    ['*suffix', 'suffixet', false],
    ['prefix*', 'prefix', true],
    ['prefix*', 'prefi', false],
    ['start*end', 'startend', true],
    ['start*end', 'startmiddleend', true],
    ['ab*ba', 'aba', false],
    ['a.b', 'axb', false],
  ];
  for (const [pattern, text, matches] of table) {
    test(`${pattern} ${matches ? 'matches' : 'does not match'} ${JSON.stringify(text)}`, () => {
      assert.equal(matchesWildcard(pattern, text), matches);
    });
  }

  test('the first rule that allows origin, method and every header wins', () => {
    const rules = [
      rule({ id: 'put', methods: ['PUT'], headers: ['x-amz-*', 'Content-Type'] }),
      rule({ id: 'get', origins: ['https://a.example'] }),
      rule({ id: 'any', headers: ['*'] }),
    ];
    const found = (method: string, origin: string, ...headers: string[]): string | undefined =>
      findCorsRule(rules, { method, origin, headers })?.rule.id;
    assert.equal(found('PUT', 'https://b.example', 'content-type', 'x-amz-acl'), 'put');
    assert.equal(found('PUT', 'https://b.example', 'content-type', 'authorization'), undefined);
    assert.equal(found('GET', 'https://a.example'), 'get');
    assert.equal(found('GET', 'https://a.example', 'x'), 'any');
    assert.equal(found('DELETE', 'https://a.example'), undefined);
    assert.equal(found('get', 'https://a.example'), undefined);
  });
});

describe('a CORS configuration', () => {
  const word = fc.stringMatching(/^[a-z&<"]{1,9}$/);
  const name = fc.stringMatching(/^[a-z-]{1,9}$/);
  const anyRule: fc.Arbitrary<CorsRule> = fc.record(
    {
      id: word,
      origins: fc.array(word, { minLength: 1, maxLength: 3 }),
      methods: fc.array(fc.constantFrom('GET', 'PUT', 'HEAD', 'POST', 'DELETE'), { minLength: 1, maxLength: 5 }),
      headers: fc.array(word, { maxLength: 3 }),
      exposeHeaders: fc.array(name, { maxLength: 3 }),
      maxAgeSeconds: fc.nat(),
    },
    { requiredKeys: ['origins', 'methods', 'headers', 'exposeHeaders'] },
  );

  test('reads back what it writes', () => {
    fc.assert(
      fc.property(fc.array(anyRule, { minLength: 1, maxLength: 4 }), (rules) => {
        const text = group('CORSConfiguration', writeCorsRules(rules));
        assert.deepEqual(readCorsRules(parseXml(text)), JSON.parse(JSON.stringify(rules)));
      }),
      { seed: 7 },
    );
  });

  const good = '<AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod>';
  const refusals: Readonly<Record<string, readonly [content: string, code: string]>> = {
    'no rule': ['', 'MalformedXML'],
    'something that is no rule': [`<CORSRule>${good}</CORSRule><Rule/>`, 'MalformedXML'],
    'no origin': ['<CORSRule><AllowedMethod>GET</AllowedMethod></CORSRule>', 'MalformedXML'],
    'no method': ['<CORSRule><AllowedOrigin>*</AllowedOrigin></CORSRule>', 'MalformedXML'],
    'an empty origin': [`<CORSRule>${good}<AllowedOrigin/></CORSRule>`, 'MalformedXML'],
    'an unknown element': [`<CORSRule>${good}<AllowedColour>red</AllowedColour></CORSRule>`, 'MalformedXML'],
    'a method that S3 has not': [`<CORSRule>${good}<AllowedMethod>PATCH</AllowedMethod></CORSRule>`, 'InvalidRequest'],
    'a method in lower case': [`<CORSRule>${good}<AllowedMethod>get</AllowedMethod></CORSRule>`, 'InvalidRequest'],
    'two wildcards': [`<CORSRule>${good}<AllowedOrigin>*.a.*</AllowedOrigin></CORSRule>`, 'InvalidRequest'],
    'a wildcard to expose': [`<CORSRule>${good}<ExposeHeader>x-*</ExposeHeader></CORSRule>`, 'InvalidRequest'],
    'a header that would split': [
      `<CORSRule>${good}<ExposeHeader>x&#10;y: 1</ExposeHeader></CORSRule>`,
      'InvalidRequest',
    ],
    'an age that is no number': [`<CORSRule>${good}<MaxAgeSeconds>-1</MaxAgeSeconds></CORSRule>`, 'MalformedXML'],
    'too many rules': [`<CORSRule>${good}</CORSRule>`.repeat(101), 'InvalidRequest'],
  };
  for (const [what, [content, code]] of Object.entries(refusals)) {
    test(`with ${what} is ${code}`, () => assert.throws(() => read(content), s3Code(code)));
  }
});

describe('responses', () => {
  const cors: readonly CorsRule[] = [
    rule({
      origins: ['https://a.example'],
      methods: ['GET', 'PUT'],
      headers: ['x-amz-*'],
      exposeHeaders: ['ETag'],
      maxAgeSeconds: 60,
    }),
    rule({ origins: ['*'], methods: ['HEAD'] }),
  ];
  const info = bucketInfo({ settings: { cors } });
  const objects = { getBucket: async () => info };

  test('a named origin is named and may send credentials', () => {
    const headers = corsHeaders(info, asking('GET', { origin: 'https://a.example' }));
    assert.deepEqual(headers, {
      'access-control-allow-origin': 'https://a.example',
      'access-control-allow-methods': 'GET, PUT',
      'access-control-allow-credentials': 'true',
      'access-control-expose-headers': 'ETag',
      'access-control-max-age': '60',
      vary: 'Origin, Access-Control-Request-Headers, Access-Control-Request-Method',
    });
  });

  test('everybody is * without credentials', () => {
    const headers = corsHeaders(info, asking('HEAD', { origin: 'https://b.example' }));
    assert.equal(headers['access-control-allow-origin'], '*');
    assert.equal(headers['access-control-allow-credentials'], undefined);
  });

  test('an origin that matches nothing, and none at all, get Vary alone', () => {
    for (const headers of [{ origin: 'https://b.example' }, {}]) {
      assert.deepEqual(Object.keys(corsHeaders(info, asking('GET', headers))), ['vary']);
    }
  });

  test('a bucket without rules adds nothing', () => {
    assert.deepEqual(corsHeaders(bucketInfo(), asking('GET', { origin: 'https://a.example' })), {});
  });

  test('a preflight is answered with the headers that were asked for', async () => {
    const headers = {
      origin: 'https://a.example',
      'access-control-request-method': 'PUT',
      'access-control-request-headers': 'X-Amz-Acl, x-amz-date',
    };
    const answer = await preflight(asking('OPTIONS', headers), objects);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers['access-control-allow-headers'], 'x-amz-acl, x-amz-date');
  });

  const refusals: Readonly<Record<string, readonly [headers: Readonly<Record<string, string>>, code: string]>> = {
    'without an origin': [{ 'access-control-request-method': 'GET' }, 'BadRequest'],
    'without a method': [{ origin: 'https://a.example' }, 'BadRequest'],
    'of a method that is none': [
      { origin: 'https://a.example', 'access-control-request-method': 'g\u00e9t' },
      'BadRequest',
    ],
    'of another origin': [{ origin: 'https://b.example', 'access-control-request-method': 'GET' }, 'AccessForbidden'],
    'of another header': [
      {
        origin: 'https://a.example',
        'access-control-request-method': 'GET',
        'access-control-request-headers': 'x-other',
      },
      'AccessForbidden',
    ],
  };
  for (const [what, [headers, code]] of Object.entries(refusals)) {
    test(`a preflight ${what} is ${code}`, () =>
      assert.rejects(preflight(asking('OPTIONS', headers), objects), s3Code(code)));
  }

  test('a preflight of a bucket that is not there, or has no rules, is AccessForbidden', async () => {
    const request = asking('OPTIONS', { origin: 'https://a.example', 'access-control-request-method': 'GET' });
    const absent = { getBucket: () => Promise.reject(new SkerryError('NoSuchBucket', 'no such bucket')) };
    await assert.rejects(preflight(request, absent), s3Code('AccessForbidden'));
    await assert.rejects(preflight(request, { getBucket: async () => bucketInfo() }), s3Code('AccessForbidden'));
  });
});
