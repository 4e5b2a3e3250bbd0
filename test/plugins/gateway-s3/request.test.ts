/** Request targets and headers: names decoded once, nothing normalised, garbage refused with a code. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';

import { isBase64Of } from '../../../plugins/gateway-s3/body.ts';
import { S3Error } from '../../../plugins/gateway-s3/errors.ts';
import { bucketOfHost, headerMap, parseQuery, parseTarget } from '../../../plugins/gateway-s3/request.ts';

const SEED = 20_260_101;
const refused = (run: () => unknown, code: string): void =>
  assert.throws(run, (error) => error instanceof S3Error && error.code === code, code);
const at = (target: string, host = 'localhost:9000', domains: readonly string[] = []) => {
  const { bucket, key } = parseTarget(target, host, domains);
  return [bucket, key];
};

describe('parseTarget', () => {
  test('path style', () => {
    assert.deepEqual(at('/'), [undefined, undefined]);
    assert.deepEqual(at('/?x=y'), [undefined, undefined]);
    assert.deepEqual(at('/b'), ['b', undefined]);
    assert.deepEqual(at('/b/'), ['b', undefined]);
    assert.deepEqual(at('/b/k'), ['b', 'k']);
    assert.deepEqual(at('/b?list-type=2'), ['b', undefined]);
  });

  test('keys stay as they are: they are no paths', () => {
    const keys = [
      '..',
      '../..',
      './a',
      'a/../b',
      'a//b',
      '/a',
      '//',
      '/',
      'a/',
      'a/.',
      '%',
      '+',
      ' ',
      '?',
      '#',
      '\u0000',
      'ü/日本',
      '\u{1f30a}',
    ];
    for (const key of keys) {
      const encoded = key.split('/').map(encodeURIComponent).join('/');
      assert.deepEqual(at(`/b/${encoded}`), ['b', key], encoded);
      assert.deepEqual(at(`/b/${encodeURIComponent(key)}`), ['b', key], 'slashes may come encoded');
    }
    assert.deepEqual(at('/b/a+b'), ['b', 'a+b']);
    assert.deepEqual(at('/b/%252e'), ['b', '%2e'], 'decoded once');
  });

  test('virtual-host style, for configured domains only', () => {
    const domains = ['s3.example.com', 'localhost'];
    assert.deepEqual(at('/k/1', 'b.s3.example.com', domains), ['b', 'k/1']);
    assert.deepEqual(at('/', 'b.s3.example.com:9000', domains), ['b', undefined]);
    assert.deepEqual(at('//k', 'b.LOCALHOST:9000', domains), ['b', '/k']);
    assert.deepEqual(at('/b/k', 's3.example.com', domains), ['b', 'k']);
    assert.deepEqual(at('/b/k', 'other.example.com', domains), ['b', 'k']);
    assert.deepEqual(at('/k', 'a.b.s3.example.com', domains), ['a.b', 'k'].slice(0, 2));
    assert.equal(bucketOfHost('b.s3.example.com', []), undefined);
    assert.equal(bucketOfHost('.localhost', domains), undefined);
  });

  test('absolute form, as proxies send it', () => {
    assert.deepEqual(at('http://localhost:9000/b/k?x'), ['b', 'k']);
    assert.deepEqual(at('http://localhost:9000'), [undefined, undefined]);
  });

  test('what cannot be decoded is InvalidURI', () => {
    for (const target of [
      '/b/%',
      '/b/%zz',
      '/b/%ff',
      '/b/%c3%28',
      '/%e0/k',
      '/b/k?x=%q',
      '/b/%ed%a0%80',
      'k',
      'ftp://h/b',
    ]) {
      refused(() => parseTarget(target, '', []), 'InvalidURI');
    }
    refused(() => parseTarget('//k', '', []), 'InvalidBucketName');
  });

  test('1,024 bytes of UTF-8 are a key, 1,025 are not', () => {
    assert.equal(at(`/b/${'k'.repeat(1024)}`)[1]?.length, 1024);
    assert.equal(at(`/b/${encodeURIComponent('ü'.repeat(512))}`)[1]?.length, 512);
    refused(() => parseTarget(`/b/${'k'.repeat(1025)}`, '', []), 'KeyTooLongError');
    refused(() => parseTarget(`/b/${encodeURIComponent('ü'.repeat(513))}`, '', []), 'KeyTooLongError');
  });

  test('every key survives encoding, and garbage never fails other than by an S3 code', () => {
    const key = fc.string({ unit: 'binary', minLength: 1, maxLength: 200 }).filter((text) => text.isWellFormed());
    fc.assert(
      fc.property(key, (text) => assert.deepEqual(at(`/b/${encodeURIComponent(text)}`), ['b', text])),
      { seed: SEED, numRuns: 2000 },
    );
    fc.assert(
      fc.property(fc.string({ maxLength: 60 }), fc.string({ maxLength: 20 }), (target, host) => {
        for (const form of [target, `/${target}`, `/b/${target}`, `/b/k?${target}`]) {
          try {
            parseTarget(form, host, ['s3.test']);
          } catch (error) {
            assert.ok(error instanceof S3Error, String(error));
          }
        }
      }),
      { seed: SEED, numRuns: 3000 },
    );
  });
});

test('query: first value wins, plus is a space, a name alone is empty', () => {
  assert.deepEqual(
    [...parseQuery('a=1&a=2&b&c=&d=x+y%2B&&e==')],
    [
      ['a', '1'],
      ['b', ''],
      ['c', ''],
      ['d', 'x y+'],
      ['e', '='],
    ],
  );
  assert.equal(parseQuery('').size, 0);
});

test('headers: lower-case, repeated ones kept apart, no prototype', () => {
  const map = headerMap(['Host', 'h', 'X-A', '1', 'x-a', '2', '__proto__', 'p']);
  assert.deepEqual(map['x-a'], ['1', '2']);
  assert.deepEqual(map['__proto__'], ['p']);
  assert.equal(map['constructor'], undefined);
});

test('base64 of a certain number of bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(40), (bytes, length) => {
      const text = Buffer.from(bytes).toString('base64');
      assert.equal(isBase64Of(text, length), bytes.length === length);
    }),
    { seed: SEED },
  );
  assert.equal(isBase64Of('AAAAAA', 4), false);
  assert.equal(isBase64Of('AAAA!A==', 4), false);
});
