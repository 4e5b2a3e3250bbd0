/** The list of versions whose bytes are missing: a page is empty only when there are no more. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { put } from './exchange.ts';
import { noise, wholeSite } from './whole-site.ts';

describe('versions whose bytes are missing', () => {
  test('are found behind any number of those that were superseded meanwhile', async () => {
    await using a = await wholeSite({ siteId: 'a', chunkBytes: 16_384, dedupMinBytes: 8192 });
    await using b = await wholeSite({ siteId: 'b', chunkBytes: 16_384, dedupMinBytes: 8192 });
    for (let at = 0; at < 25; at++) await put(a, 'k', noise(20_000, at + 1));
    const page = await a.engine.replica.opsAfter({}, { maxOps: 100, maxBytes: 1_000_000 });
    assert.ok(page.kind === 'ops');
    await b.engine.replica.apply(page.ops);
    const found = await b.engine.replica.pending(10);
    assert.deepEqual(
      found.map(({ key }) => key),
      ['k'],
    );
    assert.deepEqual(await b.engine.replica.pending(10, found[0]?.stamp), []);
  });
});
