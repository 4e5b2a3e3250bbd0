/** Rule 3: the pull cursor is the version vector, never a clock. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { put, pullOps } from '../engine/exchange.ts';
import { agree, opsOf, pass, read, sites } from './support.ts';

describe('rule 3: a pull goes on from the vector', () => {
  test('a relayed op with an older clock than what was seen arrives', async () => {
    await using world = await sites();
    const { a, b, c } = world;
    pass(50_000, c);
    await put(c, 'new', 'from a clock that is ahead');
    await pullOps(c, b);
    await put(a, 'old', 'from a clock that is behind');
    await pullOps(a, b);
    const [older, newest] = [(await opsOf(a)).at(-1), (await opsOf(c)).at(-1)];
    assert.ok(older && newest && older.stamp < newest.stamp);
    await pullOps(b, c);
    assert.equal(await read(c, 'old'), 'from a clock that is behind');
    await agree(b, c);
  });
});
