/** Rule 6: causality is known, not guessed: two writes of a key of which neither saw the other are a conflict, others are none. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { put, remove } from '../engine/exchange.ts';
import { BUCKET } from '../engine/whole-site.ts';
import { agree, conflictsOf, meet, opsOf, pass, read, setBucket, sites } from './support.ts';

describe('rule 6: what has seen what is recorded', () => {
  test('a write that saw the other is no conflict, however close in time', async () => {
    await using world = await sites();
    const { a, b } = world;
    await put(a, 'k', 'first');
    await meet(a, b);
    await put(b, 'k', 'second');
    await meet(a, b);
    assert.deepEqual([await conflictsOf(a), await conflictsOf(b)], [[], []]);
  });

  test('two writes that did not see each other are one, however far apart in time: counted, listed, readable at both', async () => {
    await using world = await sites();
    const { a, b } = world;
    await put(a, 'k', 'earlier');
    pass(50_000, b);
    await put(b, 'k', 'later');
    await meet(a, b);
    for (const site of [a, b]) {
      const [conflict] = await conflictsOf(site);
      const [loser] = conflict?.losers ?? [];
      assert.deepEqual([conflict?.winner.site, loser?.site], ['b', 'a']);
      assert.equal(await read(site, 'k', loser?.versionId), 'earlier');
      assert.deepEqual(await site.objects.countConflicts(), { [BUCKET]: 1 });
    }
  });

  test('a write that has seen both ends the conflict everywhere', async () => {
    await using world = await sites();
    const { a, b } = world;
    await put(a, 'k', 'one');
    await put(b, 'k', 'two');
    await meet(a, b);
    await put(a, 'k', 'three');
    await meet(a, b);
    assert.deepEqual([await conflictsOf(a), await conflictsOf(b)], [[], []]);
    assert.equal(await read(b, 'k'), 'three');
  });

  test('with versions: neither is lost, and the older of the two is listed as a conflict', async () => {
    await using world = await sites();
    const { a, b } = world;
    await setBucket(a, 'versioning', 'Enabled');
    await meet(a, b);
    const { versionId } = await put(a, 'k', 'earlier');
    pass(1000, b);
    await remove(b, 'k');
    await put(b, 'k', 'later');
    await meet(a, b);
    assert.deepEqual([await read(b, 'k'), await read(b, 'k', versionId)], ['later', 'earlier']);
    assert.equal((await conflictsOf(b))[0]?.losers[0]?.versionId, versionId);
  });

  test('an op says all that its site had seen, and nothing else', async () => {
    await using world = await sites();
    const { a, b, c } = world;
    await put(c, 'unseen', 'x');
    await put(a, 'seen', 'x');
    await meet(a, b);
    await put(b, 'k', 'x');
    const { origin } = b.engine.replica;
    const last = (await opsOf(b)).findLast(({ dot }) => dot.origin === origin);
    const { [origin]: own, ...others } = await b.engine.vector();
    assert.deepEqual(last?.deps, { ...others, [origin]: (own ?? 0) - 1 });
    await meet(b, c);
    await agree(b, c);
  });
});
