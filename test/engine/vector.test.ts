import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { advanceVector, coversDot, coversVector, joinVectors, meetVectors, seqOf } from '../../core/engine/vector.ts';
import type { VersionVector } from '../../core/contracts/index.ts';

const ORIGINS = ['a.0', 'b.0', 'c.0', 'c.1'];
const vectors: fc.Arbitrary<VersionVector> = fc.dictionary(fc.constantFrom(...ORIGINS), fc.integer({ min: 1, max: 5 }));
const same = (a: VersionVector, b: VersionVector): boolean => coversVector(a, b) && coversVector(b, a);

describe('version vectors', () => {
  test('join is the least upper bound', () => {
    fc.assert(
      fc.property(vectors, vectors, vectors, (a, b, c) => {
        const join = joinVectors(a, b);
        assert.ok(coversVector(join, a) && coversVector(join, b));
        assert.ok(!(coversVector(c, a) && coversVector(c, b)) || coversVector(c, join));
        assert.ok(same(join, joinVectors(b, a)));
        assert.ok(same(joinVectors(join, c), joinVectors(a, joinVectors(b, c))));
        assert.ok(same(joinVectors(a, a), a));
      }),
    );
  });

  test('meet is the greatest lower bound', () => {
    fc.assert(
      fc.property(vectors, vectors, vectors, (a, b, c) => {
        const meet = meetVectors(a, b);
        assert.ok(coversVector(a, meet) && coversVector(b, meet));
        assert.ok(!(coversVector(a, c) && coversVector(b, c)) || coversVector(meet, c));
      }),
    );
  });

  test('covering a dot is covering everything up to it', () => {
    fc.assert(
      fc.property(vectors, fc.constantFrom(...ORIGINS), fc.integer({ min: 1, max: 6 }), (vector, origin, seq) => {
        assert.equal(coversDot(vector, { origin, seq }), seqOf(vector, origin) >= seq);
      }),
    );
  });

  test('advances by exactly one; a gap or a repeat is a bug', () => {
    assert.deepEqual(advanceVector({ 'a.0': 1 }, { origin: 'a.0', seq: 2 }), { 'a.0': 2 });
    assert.deepEqual(advanceVector({}, { origin: 'b.0', seq: 1 }), { 'b.0': 1 });
    assert.throws(() => advanceVector({ 'a.0': 1 }, { origin: 'a.0', seq: 3 }), /gap/);
    assert.throws(() => advanceVector({ 'a.0': 1 }, { origin: 'a.0', seq: 1 }), /gap/);
  });
});
