/** Rule 18: reads can be causal across sites: from a state that includes what the token says, or refused, never silently stale. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { fetchBytes, pullOps, put } from '../engine/exchange.ts';
import { BUCKET, noise } from '../engine/whole-site.ts';
import { meet, read, sites } from './support.ts';

const KEY = { bucket: BUCKET, key: 'k' } as const;
const NO_WAIT = { timeoutMs: 0 } as const;

describe('rule 18: a token of a write is honoured at any site', () => {
  test('what has not arrived is waited for, within bounds, and then refused as Unavailable with Retry-After', async () => {
    await using world = await sites();
    const { a, b } = world;
    const { causality } = await put(a, 'k', 'x');
    await assert.rejects(b.objects.waitFor(causality, KEY, NO_WAIT), (error: { details: Record<string, unknown> }) => {
      assert.deepEqual(Object.keys(error.details).includes('retryAfterMs'), true);
      return (error as unknown as { code: string }).code === 'Unavailable';
    });
    const waiting = b.objects.waitFor(causality, KEY);
    await pullOps(a, b);
    await waiting;
    assert.equal(await read(b, 'k'), 'x');
  });

  test('a version whose bytes are missing does not count: the one before it would be stale', async () => {
    await using world = await sites();
    const { a, b } = world;
    await put(a, 'k', 'before');
    await meet(a, b);
    const { causality } = await put(a, 'k', noise(20_000));
    await pullOps(a, b);
    assert.equal(await read(b, 'k'), 'before');
    await assert.rejects(b.objects.waitFor(causality, KEY, NO_WAIT), { code: 'Unavailable' });
    await fetchBytes(a, b);
    await b.objects.waitFor(causality, KEY, NO_WAIT);
    assert.equal(await read(b, 'k'), noise(20_000).toString('latin1'));
  });

  test('a token carries what its site had seen of others too, so that a chain of clients is causal', async () => {
    await using world = await sites();
    const { a, b, c } = world;
    await meet(b, c);
    await put(a, 'k', 'x');
    await meet(a, b);
    const token = await b.objects.causality();
    await assert.rejects(c.objects.waitFor(token, KEY, NO_WAIT), { code: 'Unavailable' });
    await pullOps(b, c);
    await c.objects.waitFor(token, KEY, NO_WAIT);
    assert.equal(await read(c, 'k'), 'x');
  });
});
