import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';

import { isoSeconds } from '../../../plugins/gateway-s3/listing-page.ts';
import { afterOfToken, continuationToken, urlEncode } from '../../../plugins/gateway-s3/listing-query.ts';
import { listObjectVersions, listObjects, listObjectsV2 } from '../../../plugins/gateway-s3/operations/listing.ts';
import { childText, children, escapeXml, parseXml, type XmlNode } from '../../../plugins/gateway-s3/xml.ts';
import { listed, listingOf } from './fixtures/listing-fake.ts';
import { bodyOf, run, runXml, s3Code } from './fixtures/operation-rig.ts';

const SEED = 20_260_101;
const keysOf = (page: XmlNode): string[] => children(page, 'Contents').map((row) => childText(row, 'Key') ?? '');
const prefixesOf = (page: XmlNode): string[] =>
  children(page, 'CommonPrefixes').map((row) => childText(row, 'Prefix') ?? '');
const serving = (...keys: string[]) => ({ objects: { listObjects: listingOf(keys) } });

/** Characters that XML 1.0 can hold; carriage returns survive as references only. */
const xmlText = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 40 })
  // eslint-disable-next-line no-control-regex -- what XML 1.0 forbids
  .filter((text) => !/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/.test(text));
const anyText = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 });

describe('names in listings', () => {
  test('escaped text reads back as it was', () => {
    fc.assert(
      fc.property(xmlText, (text) => assert.equal(parseXml(`<K>${escapeXml(text)}</K>`).text, text)),
      { seed: SEED },
    );
  });

  test('url encoding carries every key through XML, and plus is never bare', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const encoded = parseXml(`<K>${urlEncode(text)}</K>`).text;
        assert.match(encoded, /^[\w./%-]*$/);
        assert.equal(decodeURIComponent(encoded), text);
      }),
      { seed: SEED },
    );
    assert.equal(urlEncode('quux ab/thud+1'), 'quux%20ab/thud%2B1');
  });

  test('a control character is written as AWS writes it', async () => {
    const answer = await run(listObjects, {}, serving('a\u0001b'));
    assert.ok(bodyOf(answer).includes('<Key>a&#x1;b</Key>'));
    const encoded = await runXml(listObjects, { query: { 'encoding-type': 'url' } }, serving('a\u0001b'));
    assert.deepEqual(keysOf(encoded), ['a%01b']);
  });

  test('a continuation token is read back, and nothing else is one', () => {
    fc.assert(
      fc.property(anyText, (key) => assert.equal(afterOfToken(continuationToken(key)), key)),
      { seed: SEED },
    );
    for (const foreign of [
      'x',
      'abc',
      continuationToken('a') + '=',
      ` ${continuationToken('a')}`,
      '1/a',
      continuationToken(''),
    ]) {
      assert.throws(() => afterOfToken(foreign), s3Code('InvalidArgument'), foreign);
    }
  });
});

test('times are ISO 8601 in whole seconds, whatever came before', () => {
  const times = fc.integer({ min: -(10 ** 12), max: 4 * 10 ** 12 });
  fc.assert(
    fc.property(times, (unixMs) => {
      assert.equal(isoSeconds(unixMs), new Date(Math.floor(unixMs / 1000) * 1000).toISOString());
    }),
    { seed: SEED },
  );
});

describe('ListObjectsV2', () => {
  test('pages by token visit every key and prefix once, in byte order', async () => {
    const keys = ['a', 'b/1', 'b/2', 'b0', 'c\n', 'c&', 'ÿ', '\u{10000}', '\uffee'];
    const seen: string[] = [];
    let token: string | undefined;
    do {
      const query = {
        'list-type': '2',
        delimiter: '/',
        'max-keys': '2',
        ...(token === undefined ? {} : { 'continuation-token': token }),
      };
      const page = await runXml(listObjectsV2, { query }, serving(...keys));
      assert.equal(childText(page, 'KeyCount'), String(keysOf(page).length + prefixesOf(page).length));
      seen.push(...keysOf(page), ...prefixesOf(page));
      token = childText(page, 'NextContinuationToken');
      assert.equal(childText(page, 'IsTruncated'), String(token !== undefined));
    } while (token !== undefined);
    const expected = ['a', 'b/', 'b0', 'c\n', 'c&', 'ÿ', '\u{10000}', '\uffee'];
    assert.deepEqual([...seen].sort(), [...expected].sort());
  });

  test('the token wins over start-after, which is echoed', async () => {
    const query = { 'start-after': 'a', 'continuation-token': continuationToken('b') };
    const page = await runXml(listObjectsV2, { query }, serving('a', 'b', 'c'));
    assert.deepEqual(keysOf(page), ['c']);
    assert.equal(childText(page, 'StartAfter'), 'a');
    assert.equal(childText(page, 'ContinuationToken'), query['continuation-token']);
  });

  test('an empty delimiter means none, as restic sends it', async () => {
    const page = await runXml(listObjectsV2, { query: { delimiter: '' } }, serving('a/b', 'c'));
    assert.deepEqual(keysOf(page), ['a/b', 'c']);
    assert.equal(childText(page, 'Delimiter'), undefined);
  });

  test('shows the owner when asked only', async () => {
    const without = await runXml(listObjectsV2, {}, serving('a'));
    assert.equal(childText(children(without, 'Contents')[0]!, 'Owner'), undefined);
    const page = await runXml(listObjectsV2, { query: { 'fetch-owner': 'true' } }, serving('a'));
    const owner = children(children(page, 'Contents')[0]!, 'Owner')[0]!;
    assert.equal(childText(owner, 'DisplayName'), 'Alice & Co');
  });

  test('a row says what the object is, in whole seconds', async () => {
    const entry = listed('a', { size: 12, checksumAlgorithm: 'CRC32C', checksumType: 'COMPOSITE' });
    const objects = { listObjects: async () => ({ entries: [entry], commonPrefixes: [], truncated: false }) };
    const page = await runXml(listObjectsV2, {}, { objects });
    const row = children(page, 'Contents')[0]!;
    const told = Object.fromEntries(row.children.map(({ name, text }) => [name, text]));
    assert.deepEqual(told, {
      Key: 'a',
      LastModified: '2024-02-03T04:05:06.000Z',
      ETag: `"${'e'.repeat(32)}"`,
      ChecksumAlgorithm: 'CRC32C',
      ChecksumType: 'COMPOSITE',
      Size: '12',
      StorageClass: 'STANDARD',
    });
  });
});

describe('ListObjects', () => {
  test('names the next marker with a delimiter only', async () => {
    const plain = await runXml(listObjects, { query: { 'max-keys': '1' } }, serving('a', 'b'));
    assert.equal(childText(plain, 'IsTruncated'), 'true');
    assert.equal(childText(plain, 'NextMarker'), undefined);
    const folders = await runXml(listObjects, { query: { 'max-keys': '1', delimiter: '/' } }, serving('a/1', 'b'));
    assert.equal(childText(folders, 'NextMarker'), 'a/');
    const rest = await runXml(listObjects, { query: { marker: 'a/', delimiter: '/' } }, serving('a/1', 'b'));
    assert.deepEqual([keysOf(rest), prefixesOf(rest), childText(rest, 'IsTruncated')], [['b'], [], 'false']);
  });

  test('a page that ends with the last key is not truncated', async () => {
    const page = await runXml(listObjects, { query: { 'max-keys': '2' } }, serving('a', 'b'));
    assert.equal(childText(page, 'IsTruncated'), 'false');
  });

  test('encodes prefix, marker and delimiter like the keys', async () => {
    const query = { prefix: 'a b/', marker: 'a b/+', delimiter: '+ ', 'encoding-type': 'url' };
    const page = await runXml(listObjects, { query }, serving('a b/x+ y'));
    assert.deepEqual(
      ['Prefix', 'Marker', 'Delimiter', 'EncodingType'].map((name) => childText(page, name)),
      ['a%20b/', 'a%20b/%2B', '%2B%20', 'url'],
    );
    assert.deepEqual(prefixesOf(page), ['a%20b/x%2B%20']);
  });

  test('max-keys: none asked, too many asked, and what is no number', async () => {
    const none = await runXml(listObjects, { query: { 'max-keys': '0' } }, serving('a'));
    assert.deepEqual([keysOf(none), childText(none, 'IsTruncated'), childText(none, 'MaxKeys')], [[], 'false', '0']);
    const many = await runXml(listObjects, { query: { 'max-keys': '5000' } }, serving('a'));
    assert.equal(childText(many, 'MaxKeys'), '1000');
    for (const bad of ['-1', 'ten', '1e3', '2147483648', '99999999999', '1.5', ' 1']) {
      await assert.rejects(run(listObjects, { query: { 'max-keys': bad } }), s3Code('InvalidArgument'), bad);
    }
    await assert.rejects(run(listObjects, { query: { 'encoding-type': 'base64' } }), s3Code('InvalidArgument'));
  });
});

describe('ListObjectVersions', () => {
  const objects = {
    listVersions: async () => ({
      entries: [
        { ...listed('k'), versionId: 'v2', isLatest: true, marker: true },
        { ...listed('k'), versionId: 'null', isLatest: false, marker: false },
      ],
      commonPrefixes: ['p/'],
      truncated: true,
      next: 'k',
      nextVersionId: 'null',
    }),
  };

  test('shows versions and delete markers in order, with both next markers', async () => {
    const page = await runXml(listObjectVersions, { query: { versions: '' } }, { objects });
    const rows = page.children.filter(({ name }) => name === 'Version' || name === 'DeleteMarker');
    assert.deepEqual(
      rows.map((row) => [row.name, childText(row, 'VersionId'), childText(row, 'IsLatest'), childText(row, 'Size')]),
      [
        ['DeleteMarker', 'v2', 'true', undefined],
        ['Version', 'null', 'false', '3'],
      ],
    );
    assert.deepEqual([childText(page, 'NextKeyMarker'), childText(page, 'NextVersionIdMarker')], ['k', 'null']);
  });

  test('a version marker needs a key marker', async () => {
    const query = { 'version-id-marker': 'v1' };
    await assert.rejects(run(listObjectVersions, { query }, { objects }), s3Code('InvalidArgument'));
  });
});
