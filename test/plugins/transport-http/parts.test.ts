/** The parts that decide: frames however they are cut, nonces whatever the clock does. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import * as fc from 'fast-check';

import { SkerryError, isSkerryError } from '../../../core/contracts/index.ts';
import { ByteQueue } from '../../../plugins/transport-http/byte-queue.ts';
import { packFault, unpackFault } from '../../../plugins/transport-http/faults.ts';
import {
  CALLER_FRAMES,
  FRAME,
  FrameDecoder,
  FrameEncoder,
  SERVER_FRAMES,
} from '../../../plugins/transport-http/frames.ts';
import { ReplayGuard } from '../../../plugins/transport-http/replay.ts';
import { readClaim } from '../../../plugins/transport-http/signature.ts';
import { bytes } from './support.ts';

const KEY = new Uint8Array(32).fill(1);
const chunksOf = (all: Buffer, cuts: readonly number[]): readonly Buffer[] => {
  const marks = [0, ...cuts.map((cut) => cut % (all.length + 1)).toSorted((a, b) => a - b), all.length];
  return marks.slice(1).map((end, index) => all.subarray(marks[index] ?? 0, end));
};

describe('frames', () => {
  test('come out as they went in, however the bytes are cut', () => {
    const property = fc.property(
      fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 12 }),
      fc.array(fc.nat(), { maxLength: 30 }),
      (payloads, cuts) => {
        const encoder = new FrameEncoder(KEY);
        const all = Buffer.concat(payloads.flatMap((payload) => encoder.encode(FRAME.data, payload)));
        const decoder = new FrameDecoder(KEY, SERVER_FRAMES);
        const frames = chunksOf(all, cuts).flatMap((chunk) => [...decoder.push(chunk)]);
        assert.deepEqual(
          frames.map(({ payload }) => [...payload]),
          payloads.map((payload) => [...payload]),
        );
      },
    );
    fc.assert(property, { seed: 7, numRuns: 200 });
  });

  test('with one bit flipped never come out', () => {
    const property = fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(), (payload, at) => {
      const all = Buffer.concat(new FrameEncoder(KEY).encode(FRAME.data, payload));
      const bit = at % (all.length * 8);
      all[bit >> 3] = (all[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const decoder = new FrameDecoder(KEY, SERVER_FRAMES);
      try {
        assert.deepEqual([...decoder.push(all)], []);
      } catch (error) {
        assert.ok(isSkerryError(error), String(error));
      }
    });
    fc.assert(property, { seed: 7, numRuns: 500 });
  });

  test('that are repeated, left out or from the other direction do not verify', () => {
    const encoder = new FrameEncoder(KEY);
    const [first, second] = [1, 2].map((value) => Buffer.concat(encoder.encode(FRAME.data, bytes(value))));
    const decode = (...frames: readonly (Buffer | undefined)[]) => {
      const decoder = new FrameDecoder(KEY, SERVER_FRAMES);
      return frames.flatMap((frame) => [...decoder.push(frame ?? Buffer.alloc(0))]);
    };
    assert.equal(decode(first, second).length, 2);
    for (const frames of [[first, first], [second]])
      assert.throws(
        () => decode(...frames),
        (error) => isSkerryError(error, 'Unauthenticated'),
      );
    assert.throws(
      () => [...new FrameDecoder(KEY, CALLER_FRAMES).push(first ?? Buffer.alloc(0))],
      (error) => isSkerryError(error, 'Unavailable'),
    );
  });

  test('a queue of bytes gives back what it was given', () => {
    const queue = new ByteQueue();
    let [next, expected] = [0, 0];
    for (let round = 1; round < 400; round++) {
      queue.append(Uint8Array.from({ length: round % 37 }, () => next++ % 256));
      const taken = queue.take(Math.min(queue.length, (round * 7) % 41));
      for (const value of taken) assert.equal(value, expected++ % 256);
    }
    assert.equal(queue.length, next - expected);
  });
});

describe('nonces', () => {
  const nonce = (value: number): string => value.toString(16).padStart(32, '0');
  const guard = (entriesMax = 100) => new ReplayGuard({ windowMs: 10_000, entriesMax, sinceMs: 1_000_000 });

  test('no request is ever fresh twice, whatever the clock does', () => {
    const step = fc.record({ nonce: fc.nat(5), timeMs: fc.nat(60_000), nowMs: fc.nat(60_000) });
    const property = fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const replays = new ReplayGuard({ windowMs: 10_000, entriesMax: 100, sinceMs: 0 });
      const seen = new Set<string>();
      for (const { nonce: value, timeMs, nowMs } of steps) {
        if (replays.admit(nonce(value), timeMs, nowMs) !== 'fresh') continue;
        assert.ok(Math.abs(timeMs - nowMs) <= 10_000);
        assert.ok(!seen.has(`${value} ${timeMs}`), 'a replay was let in');
        seen.add(`${value} ${timeMs}`);
      }
    });
    fc.assert(property, { seed: 7, numRuns: 500 });
  });

  test('memory is bounded, and given back as time passes', () => {
    const replays = guard(3);
    const now = 1_000_000;
    assert.deepEqual(
      [1, 2, 3, 4].map((value) => replays.admit(nonce(value), now, now)),
      ['fresh', 'fresh', 'fresh', 'full'],
    );
    assert.equal(replays.admit(nonce(1), now, now), 'replayed');
    assert.equal(replays.admit(nonce(5), now + 30_000, now + 30_000), 'fresh');
    assert.equal(replays.entries, 1);
  });

  test('requests from before the start are stale', () => {
    assert.equal(guard().admit(nonce(1), 999_999, 1_000_000), 'stale');
    assert.equal(guard().admit(nonce(1), 1_000_000, 1_000_001), 'fresh');
  });
});

describe('what strangers send', () => {
  test('any text is no claim, and no error', () => {
    const property = fc.property(fc.string({ maxLength: 400, unit: 'binary' }), (text) => {
      assert.equal(readClaim(text), undefined);
      assert.equal(readClaim(`Skerry1 ${text}`), undefined);
    });
    fc.assert(property, { seed: 7, numRuns: 300 });
  });

  test('faults: whatever JSON it is, it is a fault or none; details that do not fit are left out', () => {
    const property = fc.property(fc.jsonValue(), (value) => {
      const fault = unpackFault(Buffer.from(JSON.stringify(value)));
      assert.ok(fault === undefined || fault instanceof SkerryError);
    });
    fc.assert(property, { seed: 7, numRuns: 300 });
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    for (const details of [circle, { big: 'x'.repeat(100_000) }, { count: 1n }]) {
      const fault = unpackFault(packFault(new SkerryError('Conflict', 'c', { details })));
      assert.deepEqual([fault?.code, fault?.message, fault?.details], ['Conflict', 'c', {}]);
    }
    const news = Buffer.from('{"code":"FromTheFuture","message":"m","retryable":true,"details":{}}');
    assert.deepEqual([unpackFault(news)?.code, unpackFault(news)?.retryable], ['Internal', true]);
  });
});
