/** Rule 17: a meta-store that was lost is rebuilt from what is on disk, with the same stamps and the same digest. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { digestRoot } from '../../core/engine/digest-tree.ts';
import { rebuildIndex } from '../../core/engine/rebuild.ts';
import { fetchBytes, put, remove } from '../engine/exchange.ts';
import { dump, memoryStore } from '../engine/support.ts';
import { BUCKET, noise } from '../engine/whole-site.ts';
import { conflictsOf, meet, pass, setBucket, sites } from './support.ts';

describe('rule 17: rebuild is deterministic', () => {
  test('a rebuilt site has the state, the stamps and the digest that it had, what other sites wrote included', async () => {
    await using world = await sites();
    const { a, b } = world;
    await put(a, 'k', noise(20_000, 1));
    pass(1000, b);
    await put(b, 'k', noise(20_000, 2));
    await meet(a, b);
    assert.equal((await conflictsOf(a)).length, 1);
    await setBucket(b, 'versioning', 'Enabled');
    await put(b, 'small', 'x');
    await meet(a, b);
    await a.objects.putVersionSetting({ bucket: BUCKET, key: 'small' }, 'tags', 't');
    await remove(a, 'small');
    await fetchBytes(b, a);
    await a.engine.close();
    const rebuilt = await memoryStore();
    const report = await rebuildIndex({ chunkStore: a.chunkStore, metaStore: rebuilt });
    assert.deepEqual([report.damage, report.gaps, report.missing], [[], [], []]);
    assert.equal(await dump(rebuilt), await dump(a.metaStore));
    assert.equal(await digestRoot(rebuilt), await digestRoot(a.metaStore));
  });
});
