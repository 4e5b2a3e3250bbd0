import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import {
  HLC_ZERO,
  formatHlc,
  hlcCounter,
  hlcEpoch,
  hlcWallMs,
  isHlc,
  mergeHlc,
  nextHlc,
  raiseEpoch,
} from '../../core/engine/hlc.ts';

const WALL = fc.integer({ min: 0, max: 2 ** 48 - 2 });
const COUNTER = fc.integer({ min: 0, max: 0xffff });

describe('hybrid logical clock', () => {
  test('text and parts are the same thing', () => {
    fc.assert(
      fc.property(WALL, COUNTER, (wall, counter) => {
        const hlc = formatHlc(wall, counter);
        assert.ok(isHlc(hlc));
        assert.equal(hlcWallMs(hlc), wall);
        assert.equal(hlcCounter(hlc), counter);
      }),
    );
  });

  test('string order is (wall, counter) order', () => {
    fc.assert(
      fc.property(WALL, COUNTER, WALL, COUNTER, (w1, c1, w2, c2) => {
        const numeric = w1 - w2 || c1 - c2;
        const [a, b] = [formatHlc(w1, c1), formatHlc(w2, c2)];
        assert.equal(Math.sign(numeric), a < b ? -1 : a > b ? 1 : 0);
      }),
    );
  });

  test('next is strictly later than the last reading and never behind the wall, whatever the wall does', () => {
    fc.assert(
      fc.property(fc.array(WALL, { maxLength: 50 }), (walls) => {
        let last = HLC_ZERO;
        for (const wall of walls) {
          const next = nextHlc(last, wall);
          assert.ok(next > last);
          assert.ok(hlcWallMs(next) >= wall);
          last = next;
        }
      }),
    );
  });

  test('a full counter borrows a millisecond', () => {
    assert.equal(nextHlc(formatHlc(5, 0xffff), 5), formatHlc(6, 0));
  });

  test('a wall clock beyond 48 bits, or none at all, is refused', () => {
    for (const wall of [2 ** 48, -1, Number.NaN, Number.POSITIVE_INFINITY])
      assert.throws(() => formatHlc(wall, 0), { code: 'ClockUntrusted' });
  });

  test('a newer epoch is later than any reading of an older one, and stays with every reading after it', () => {
    fc.assert(
      fc.property(WALL, COUNTER, WALL, fc.nat({ max: 300 }), (wall, counter, otherWall, epochs) => {
        let hlc = formatHlc(wall, counter);
        assert.equal(hlcEpoch(hlc), 0);
        for (let epoch = 1; epoch <= epochs; epoch++) {
          const raised = raiseEpoch(hlc);
          assert.ok(isHlc(raised) && raised > hlc && raised > formatHlc(2 ** 48 - 1, 0xffff));
          assert.equal(mergeHlc(hlc, raised), raised);
          assert.deepEqual([hlcEpoch(raised), hlcWallMs(raised), hlcCounter(raised)], [epoch, wall, counter]);
          hlc = raised;
        }
        const next = nextHlc(hlc, otherWall);
        assert.ok(next > hlc && hlcWallMs(next) >= otherWall);
        assert.equal(hlcEpoch(next), epochs);
      }),
      { numRuns: 30 },
    );
    assert.throws(() => raiseEpoch(`pffffffff${HLC_ZERO}`), { code: 'ClockUntrusted' });
  });

  test('merge keeps the later one: commutative, associative, idempotent', () => {
    const hlc = fc.tuple(WALL, COUNTER).map(([wall, counter]) => formatHlc(wall, counter));
    fc.assert(
      fc.property(hlc, hlc, hlc, (a, b, c) => {
        assert.equal(mergeHlc(a, b), mergeHlc(b, a));
        assert.equal(mergeHlc(mergeHlc(a, b), c), mergeHlc(a, mergeHlc(b, c)));
        assert.equal(mergeHlc(a, a), a);
        assert.ok(mergeHlc(a, b) >= a && mergeHlc(a, b) >= b);
      }),
    );
  });
});
