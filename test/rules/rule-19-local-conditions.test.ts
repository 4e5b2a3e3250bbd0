/** Rule 19: conditions are local, decided inside the commit against the site's own state. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import type { WriteCondition, WriteResult } from '../../core/contracts/index.ts';
import { BUCKET, type WholeSite } from '../engine/whole-site.ts';
import { conflictsOf, meet, pass, read, sites } from './support.ts';

function putIf({ objects }: WholeSite, text: string, condition: WriteCondition): Promise<WriteResult> {
  const plain = { owner: 'o', headers: {}, metadata: {}, storageClass: 'STANDARD' };
  return objects.putObject({ bucket: BUCKET, key: 'k', ...plain, body: { bytes: Buffer.from(text) }, condition });
}

const ABSENT: WriteCondition = { ifNoneMatch: ['*'] };

describe('rule 19: conditions are local', () => {
  test('two sites can both accept one; that is a conflict like any other, kept and listed', async () => {
    await using world = await sites();
    const { a, b } = world;
    await putIf(a, 'of a', ABSENT);
    pass(1000, b);
    await putIf(b, 'of b', ABSENT);
    await meet(a, b);
    for (const site of [a, b]) {
      const [loser] = (await conflictsOf(site))[0]?.losers ?? [];
      assert.deepEqual([await read(site, 'k'), await read(site, 'k', loser?.versionId)], ['of b', 'of a']);
    }
  });

  test('of many at one site exactly one is accepted', async () => {
    await using world = await sites();
    const { a } = world;
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, (_, i) => putIf(a, `${i}`, ABSENT)));
    assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
  });

  test('what came from another site is the state that the next condition is decided by', async () => {
    await using world = await sites();
    const { a, b } = world;
    const { etag } = await putIf(a, 'one', ABSENT);
    await assert.rejects(putIf(b, 'two', { ifMatch: [etag] }), { code: 'NoSuchKey' });
    await meet(a, b);
    await assert.rejects(putIf(b, 'two', ABSENT), { code: 'PreconditionFailed' });
    await putIf(b, 'two', { ifMatch: [etag] });
    await assert.rejects(putIf(b, 'three', { ifMatch: [etag] }), { code: 'PreconditionFailed' });
  });
});
