/** Rule 18: a request that brings a token is answered from a state that includes it, or refused, never silently stale. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Timers } from '../../core/contracts/index.ts';
import { createCausality, parseToken } from '../../core/engine/causality.ts';
import { causalityToken } from '../../core/engine/versions.ts';
import { exchange, fetchBytes, pullOps, put, readVersion } from './exchange.ts';
import { memoryStore } from './support.ts';
import { BUCKET, noise, wholeSite } from './whole-site.ts';

const OPTIONS = { chunkBytes: 16_384, dedupMinBytes: 8192 } as const;
const KEY = { bucket: BUCKET, key: 'k' } as const;

/** Timers that a test fires by hand, and the clock that they follow. */
class VirtualTime {
  nowMs = 0;
  readonly #due = new Map<() => void, number>();
  readonly clock = { wallMs: () => this.nowMs, monotonicMs: () => this.nowMs };
  readonly timers: Timers = {
    after: (delayMs, callback) => {
      this.#due.set(callback, this.nowMs + delayMs);
      return { cancel: () => void this.#due.delete(callback) };
    },
    sleep: () => Promise.reject(new Error('not used here')),
    soon: (callback) => queueMicrotask(callback),
  };

  get waiting(): number {
    return this.#due.size;
  }

  /** Lets everything run that is due within `ms`, in steps of a poll. */
  async advance(ms: number): Promise<void> {
    for (const endMs = this.nowMs + ms; this.nowMs < endMs;) {
      this.nowMs = Math.min(endMs, this.nowMs + 50);
      for (const [callback, dueMs] of this.#due) if (dueMs <= this.nowMs && this.#due.delete(callback)) callback();
      await settle();
    }
  }
}

/** Everything that needs no timer has run. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function outcomeOf(waiting: Promise<void>): { value: string } {
  const outcome = { value: 'waits' };
  waiting.then(
    () => (outcome.value = 'answers'),
    (error: { code: string }) => (outcome.value = error.code),
  );
  return outcome;
}

describe('rule 18: causal reads', () => {
  test('a token of what is here is answered at once', async () => {
    await using a = await wholeSite(OPTIONS);
    const { causality } = await put(a, 'k', 'x');
    await a.objects.waitFor(causality, KEY);
    await a.objects.waitFor(await a.objects.causality());
    await a.objects.waitFor(causalityToken({}));
  });

  test('a request waits until the writes it refers to arrive, and then sees them', async () => {
    await using a = await wholeSite({ ...OPTIONS, siteId: 'a' });
    await using b = await wholeSite({ ...OPTIONS, siteId: 'b' });
    await exchange(a, b);
    const { causality } = await put(a, 'k', 'from a');
    const waiting = b.objects.waitFor(causality, KEY);
    const outcome = outcomeOf(waiting);
    await settle();
    assert.equal(outcome.value, 'waits');
    await pullOps(a, b);
    await waiting;
    assert.equal(String(await readVersion(b, 'k')), 'from a');
  });

  test('a version that is recorded without its bytes does not count: neither for its key nor for a listing over it', async () => {
    const time = new VirtualTime();
    await using a = await wholeSite({ ...OPTIONS, siteId: 'a' });
    await using b = await wholeSite({ ...OPTIONS, siteId: 'b' });
    await put(a, 'k', 'old');
    await exchange(a, b);
    const { causality } = await put(a, 'k', noise(50_000, 3));
    await pullOps(a, b);
    const reader = createCausality({ clock: time.clock, timers: time.timers, reader: b.metaStore });
    for (const scope of [KEY, { bucket: BUCKET, prefix: '' }, { bucket: BUCKET, prefix: 'k' }]) {
      const outcome = outcomeOf(reader.waitFor(causality, scope, { timeoutMs: 100 }));
      await time.advance(200);
      assert.equal(outcome.value, 'Unavailable');
    }
    for (const scope of [{ bucket: BUCKET, key: 'other' }, { bucket: BUCKET, prefix: 'l' }, { bucket: BUCKET }, {}])
      await reader.waitFor(causality, scope);
    const waiting = b.objects.waitFor(causality, KEY);
    await fetchBytes(a, b);
    await waiting;
    assert.deepEqual(await readVersion(b, 'k'), noise(50_000, 3));
    await b.objects.waitFor(causality, { bucket: BUCKET, prefix: '' });
  });

  test('the wait is bounded; a token far ahead or of an origin that nobody knows is no other case; nothing is left waiting', async () => {
    const time = new VirtualTime();
    const reader = createCausality({ clock: time.clock, timers: time.timers, reader: await memoryStore() });
    const token = causalityToken({ 'far.0123456789abcdef': Number.MAX_SAFE_INTEGER });
    const waiting = reader.waitFor(token);
    const outcome = outcomeOf(waiting);
    await settle();
    await time.advance(4900);
    assert.equal(outcome.value, 'waits');
    await time.advance(200);
    await assert.rejects(waiting, (error: { code: string; retryable: boolean; details: Record<string, unknown> }) => {
      assert.deepEqual([error.code, error.retryable], ['Unavailable', true]);
      assert.deepEqual(error.details['origins'], ['far.0123456789abcdef']);
      assert.equal(typeof error.details['retryAfterMs'], 'number');
      return true;
    });
    assert.equal(time.waiting, 0);
  });

  test('a caller that goes away, and a site that closes, end the wait', async () => {
    const time = new VirtualTime();
    const reader = createCausality({ clock: time.clock, timers: time.timers, reader: await memoryStore() });
    const token = causalityToken({ 'far.0123456789abcdef': 1 });
    const gone = new AbortController();
    const [first, second] = [reader.waitFor(token, {}, { signal: gone.signal }), reader.waitFor(token)];
    const [one, two] = [outcomeOf(first), outcomeOf(second)];
    await settle();
    gone.abort();
    await settle();
    assert.deepEqual([one.value, two.value], ['Aborted', 'waits']);
    reader.close();
    await settle();
    assert.equal(two.value, 'Closed');
    assert.equal(time.waiting, 0);
  });

  test('what no site made is refused', () => {
    const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const origin = 'waw.0123456789abcdef';
    const bad = ['', 'x', '%%%', encode(null), encode([]), encode('x'), encode({ waw: 1 }), encode({ __proto__x: 1 })];
    const badSeqs = [0, -1, 1.5, '1', null, 2 ** 60].map((seq) => encode({ [origin]: seq }));
    for (const token of [...bad, ...badSeqs])
      assert.throws(() => parseToken(token), { code: 'InvalidArgument' }, token);
    assert.deepEqual(parseToken(encode({ [origin]: 7 })), { [origin]: 7 });
  });
});
