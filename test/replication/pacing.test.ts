/** Waits, wake-ups and bytes a second, on a clock that is not real. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { Backoff, TokenBucket } from '../../core/replication/pacing.ts';
import { Wakeup } from '../../core/replication/wakeup.ts';
import { rejectsWith } from '../../harness/conformance/traits.ts';
import { VirtualTime, seededRandom } from './fixtures/virtual-time.ts';

describe('backoff', () => {
  test('doubles up to its limit, with jitter above the half, and starts anew after a success', () => {
    const backoff = new Backoff({ backoffMinMs: 100, backoffMaxMs: 1000 }, seededRandom(3));
    for (const ceiling of [100, 200, 400, 800, 1000, 1000]) {
      const delayMs = backoff.next();
      assert.ok(delayMs >= ceiling / 2 && delayMs <= ceiling, `${delayMs} for ${ceiling}`);
    }
    assert.equal(backoff.failures, 6);
    backoff.reset();
    assert.ok(backoff.next() <= 100);
  });
});

describe('bandwidth', () => {
  test('many takes together are as fast as the limit, after one second for free', async () => {
    const time = new VirtualTime();
    const bucket = new TokenBucket(1000, time);
    let passed = 0;
    for (let i = 0; i < 40; i++) void bucket.take(100).then(() => (passed += 100));
    await time.until(() => passed === 4000);
    assert.equal(time.clock.monotonicMs(), 3000);
  });

  test('one take of more than a second passes and is paid for by the next', async () => {
    const time = new VirtualTime();
    const bucket = new TokenBucket(1000, time);
    const times: number[] = [];
    void bucket.take(3000).then(() => times.push(Math.round(time.clock.monotonicMs())));
    void bucket.take(10).then(() => times.push(Math.round(time.clock.monotonicMs())));
    await time.run(10_000);
    assert.deepEqual(times, [2000, 2010]);
  });

  test('no limit never waits, an abort ends a wait', async () => {
    const time = new VirtualTime();
    await new TokenBucket(0, time).take(1e12);
    const abort = new AbortController();
    const waiting = rejectsWith('Aborted', () => new TokenBucket(1, time).take(100, abort.signal));
    abort.abort();
    await waiting;
  });
});

describe('wake-ups', () => {
  test('what came between looking and waiting is not missed', async () => {
    const wakeup = new Wakeup(new VirtualTime().timers);
    const seen = wakeup.count;
    wakeup.notify();
    await wakeup.wait(seen, 1e9);
  });

  test('notify, time and abort each end a wait, and leave no timer', async () => {
    const time = new VirtualTime();
    const wakeup = new Wakeup(time.timers);
    const ended: string[] = [];
    const abort = new AbortController();
    void wakeup.wait(wakeup.count, 100).then(() => ended.push('time'));
    void wakeup.wait(wakeup.count, 1e6, abort.signal).then(() => ended.push('abort'));
    await time.run(200);
    abort.abort();
    const notified = wakeup.wait(wakeup.count, 1e6);
    wakeup.notify();
    await notified;
    assert.deepEqual(ended, ['time', 'abort']);
    assert.equal(await time.until(() => false, 1e9), false);
    assert.equal(time.clock.monotonicMs(), 200 + 1e9);
  });
});
