/** Byte ranges against a model that looks at every single byte. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';

import { contentRange, lengthOf, parseRange, type ByteRange } from '../../../plugins/gateway-s3/range.ts';

const SEED = 20_260_101;

function rangesOf(header: string, size: number): readonly ByteRange[] | 'whole' | 'none' {
  const selection = parseRange(header, size);
  return selection.kind === 'ranges' ? selection.ranges : selection.kind;
}

describe('parseRange', () => {
  test('reads one range in its three forms', () => {
    assert.deepEqual(rangesOf('bytes=0-0', 10), [{ start: 0, end: 0 }]);
    assert.deepEqual(rangesOf('bytes=3-', 10), [{ start: 3, end: 9 }]);
    assert.deepEqual(rangesOf('bytes=-4', 10), [{ start: 6, end: 9 }]);
    assert.deepEqual(rangesOf('bytes=-99', 10), [{ start: 0, end: 9 }]);
    assert.deepEqual(rangesOf('bytes=5-99', 10), [{ start: 5, end: 9 }]);
    assert.equal(contentRange({ start: 5, end: 9 }, 10), 'bytes 5-9/10');
  });

  test('ignores what is no byte range', () => {
    for (const header of [
      '',
      'bytes',
      'bytes=',
      'bytes=a-b',
      'bytes=5-3',
      'bytes=-',
      'items=0-1',
      'bytes=0-1;2',
      'bytes=0-1,x',
      'bytes=1-2-3',
    ]) {
      assert.equal(rangesOf(header, 10), 'whole', header);
    }
    assert.equal(parseRange(undefined, 10).kind, 'whole');
  });

  test('says when nothing lies inside the object', () => {
    for (const header of ['bytes=10-', 'bytes=10-20', 'bytes=-0', 'bytes=99999999999999999999-']) {
      assert.equal(rangesOf(header, 10), 'none', header);
    }
    for (const header of ['bytes=0-', 'bytes=0-0', 'bytes=-5']) assert.equal(rangesOf(header, 0), 'none', header);
  });

  test('keeps several ranges in the order asked, without those outside', () => {
    assert.deepEqual(rangesOf('bytes=8-9, 0-1,50-60', 10), [
      { start: 8, end: 9 },
      { start: 0, end: 1 },
    ]);
  });

  test('does not multiply the object: overlaps and hundreds of ranges answer the whole', () => {
    assert.equal(rangesOf('bytes=0-9,0-9', 10), 'whole');
    assert.equal(
      rangesOf(`bytes=${Array.from({ length: 101 }, (_, index) => `${index}-${index}`).join(',')}`, 1000),
      'whole',
    );
  });

  test('selects exactly the bytes that a model selects', () => {
    const spec = fc.oneof(
      fc.tuple(fc.nat(30), fc.nat(30)).map(([first, last]) => `${first}-${last}`),
      fc.nat(30).map((first) => `${first}-`),
      fc.nat(30).map((suffix) => `-${suffix}`),
    );
    fc.assert(
      fc.property(fc.array(spec, { minLength: 1, maxLength: 4 }), fc.nat(25), (specs, size) => {
        const wanted = specs.map((text) => model(text, size));
        const got = rangesOf(`bytes=${specs.join(',')}`, size);
        if (wanted.includes(undefined)) {
          assert.equal(got, 'whole');
          return;
        }
        const inside = wanted.filter((bytes) => bytes !== undefined && bytes.length > 0);
        const total = inside.reduce((sum, bytes) => sum + (bytes?.length ?? 0), 0);
        if (inside.length === 0) assert.equal(got, 'none');
        else if (inside.length > 1 && total > size) assert.equal(got, 'whole');
        else {
          assert.ok(typeof got !== 'string');
          const bytes = got.map((range) => Array.from({ length: lengthOf(range) }, (_, index) => range.start + index));
          assert.deepEqual(bytes, inside);
        }
      }),
      { seed: SEED, numRuns: 3000 },
    );
  });
});

/** Positions that a spec selects, by trying each; `undefined` when the spec is invalid. */
function model(text: string, size: number): readonly number[] | undefined {
  const [first = '', last = ''] = text.split('-');
  if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined;
  const all = Array.from({ length: size }, (_, index) => index);
  if (first === '') return all.filter((at) => at >= size - Number(last));
  return all.filter((at) => at >= Number(first) && (last === '' || at <= Number(last)));
}
