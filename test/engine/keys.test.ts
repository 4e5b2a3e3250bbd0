import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import {
  headKey,
  headObjectKey,
  parseVersionKey,
  prefixEnd,
  refPrefix,
  refKey,
  tupleRange,
  versionKey,
  versionPrefix,
} from '../../core/engine/keys.ts';
import { formatHlc } from '../../core/engine/hlc.ts';
import {
  isStamp,
  makeStamp,
  originOf,
  originSite,
  parseVersionId,
  stampDot,
  stampHlc,
  versionIdOf,
} from '../../core/engine/stamp.ts';

const compare = (a: Uint8Array, b: Uint8Array): number => Buffer.compare(a, b);
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 6 }),
  fc.array(fc.constantFrom('\0', 'a', '/', '\u00ff', '\u{10ffff}'), { maxLength: 5 }).map((parts) => parts.join('')),
);
const bucket = fc.constantFrom('a', 'ab', 'b');
const site = fc.constantFrom('waw', 'waw-2', 'b', 'ber');
const stamp = fc
  .tuple(
    fc.integer({ min: 0, max: 3 }),
    fc.integer({ min: 0, max: 2 }),
    site,
    fc.constantFrom('0'.repeat(16), 'f'.repeat(16)),
    fc.integer({ min: 1, max: 300 }),
  )
  .map(([wall, counter, id, incarnation, seq]) => makeStamp(formatHlc(wall, counter), originOf(id, incarnation), seq));

describe('row keys', () => {
  test('heads are in (bucket, key bytes) order and give the key back', () => {
    fc.assert(
      fc.property(bucket, text, text, (name, a, b) => {
        assert.equal(
          Math.sign(compare(headKey(name, a).key, headKey(name, b).key)),
          Math.sign(compare(Buffer.from(a), Buffer.from(b))),
        );
        assert.deepEqual(headObjectKey(name, headKey(name, a).key), Buffer.from(a));
      }),
    );
  });

  test('versions are in (key bytes, stamp descending) order and parse back', () => {
    fc.assert(
      fc.property(bucket, text, stamp, text, stamp, (name, keyA, stampA, keyB, stampB) => {
        const [a, b] = [versionKey(name, keyA, stampA).key, versionKey(name, keyB, stampB).key];
        const wanted =
          compare(Buffer.from(keyA), Buffer.from(keyB)) || compare(Buffer.from(stampB), Buffer.from(stampA));
        assert.equal(Math.sign(compare(a, b)), Math.sign(wanted));
        assert.deepEqual(parseVersionKey(name, a), { key: Buffer.from(keyA), stamp: stampA });
      }),
    );
  });

  test('a prefix range holds exactly the keys with that prefix', () => {
    fc.assert(
      fc.property(text, text, stamp, (a, b, at) => {
        const { from, to } = tupleRange(versionPrefix('bkt', a));
        const row = versionKey('bkt', b, at).key;
        const inside = compare(row, from) >= 0 && compare(row, to) < 0;
        assert.equal(inside, a === b);
      }),
    );
    assert.equal(prefixEnd(Buffer.of(0xff, 0xff)), undefined);
    assert.ok(compare(refKey('sha256:aa', 'v1').key, refPrefix('sha256:aa')) > 0);
  });
});

describe('stamps', () => {
  test('give back their parts, and version ids give back stamps', () => {
    fc.assert(
      fc.property(stamp, (value) => {
        assert.ok(isStamp(value));
        const { origin, seq } = stampDot(value);
        assert.equal(makeStamp(stampHlc(value), origin, seq), value);
        assert.equal(parseVersionId(versionIdOf(value)), value);
        assert.match(versionIdOf(value), /^[a-z0-9.-]+$/);
      }),
    );
    assert.equal(originSite('waw-2.0011223344556677'), 'waw-2');
  });

  test('order is hlc, then site id as bytes', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2 }),
        site,
        fc.integer({ min: 0, max: 2 }),
        site,
        (wallA, siteA, wallB, siteB) => {
          const a = makeStamp(formatHlc(wallA, 0), originOf(siteA, '8'.repeat(16)), 1);
          const b = makeStamp(formatHlc(wallB, 0), originOf(siteB, '8'.repeat(16)), 1);
          const wanted = wallA - wallB || compare(Buffer.from(siteA), Buffer.from(siteB));
          assert.equal(Math.sign(wanted), a < b ? -1 : a > b ? 1 : 0);
        },
      ),
    );
  });

  test('what is no version id of ours is none', () => {
    for (const id of [
      '',
      'null',
      'x',
      '..',
      '3HL4kqtJvjVBH40Nrjfkd',
      `${'0'.repeat(16)}.WAW.${'0'.repeat(16)}.0000000001`,
    ])
      assert.equal(parseVersionId(id), undefined);
  });
});
