/** Rule 10: locks win over concurrent removal. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import type { Json, Stamp } from '../../core/contracts/index.ts';
import { bytesOf, noise, type WholeSite } from '../engine/whole-site.ts';
import { meet, pass, proveStable, pull, sites } from './support.ts';

const AT = { bucket: 'locked', key: 'k' } as const;
const DAY_MS = 86_400_000;

interface Known {
  readonly versionId: string;
  readonly stamp: Stamp;
}

/** A version in a bucket with Object Lock that both sites have. */
async function lockable(a: WholeSite, b: WholeSite): Promise<Known> {
  const { bucket } = AT;
  await a.objects.createBucket({ bucket, owner: 'o', objectLock: true, settings: { versioning: 'Enabled' } });
  const plain = { owner: 'o', headers: {}, metadata: {}, storageClass: 'STANDARD' };
  const { versionId = '', stamp } = await a.objects.putObject({ ...AT, ...plain, body: { bytes: noise(5000) } });
  await meet(a, b);
  return { versionId, stamp };
}

const hold = ({ objects }: WholeSite): Promise<unknown> => objects.putVersionSetting(AT, 'legalHold', 'ON');
const retain = ({ objects }: WholeSite, value: Json): Promise<unknown> =>
  objects.putVersionSetting(AT, 'retention', value);
const remove = ({ objects }: WholeSite, { versionId }: Known): Promise<unknown> =>
  objects.deleteObject({ ...AT, versionId, owner: 'o' });

async function body({ objects }: WholeSite, { versionId }: Known): Promise<Buffer> {
  return bytesOf(await objects.openObject({ ...AT, versionId }));
}

describe('rule 10: a lock wins over a removal that has not seen it', () => {
  for (const [first, ms] of [
    ['the lock', 1000],
    ['the removal', -1000],
  ] as const)
    test(`lock vs removal, ${first} being earlier: the version is there at both, bytes and all`, async () => {
      await using world = await sites();
      const { a, b } = world;
      const known = await lockable(a, b);
      pass(5000, a, b);
      pass(ms, a);
      await remove(a, known);
      await hold(b);
      await a.engine.garbage.run();
      await pull(b, a);
      assert.deepEqual(await body(a, known), noise(5000));
      await meet(a, b);
      assert.deepEqual(await body(b, known), noise(5000));
      await assert.rejects(remove(b, known), { code: 'ObjectLocked' });
    });

  test('a removal that has seen no lock because there is none takes effect', async () => {
    await using world = await sites();
    const { a, b } = world;
    const known = await lockable(a, b);
    await remove(a, known);
    await meet(a, b);
    await assert.rejects(body(b, known), { code: 'NoSuchVersion' });
  });

  test('COMPLIANCE retention merges to the later date, whichever was set last', async () => {
    await using world = await sites();
    const { a, b } = world;
    const { versionId } = await lockable(a, b);
    const [near, far] = [a.clock.wallMs + DAY_MS, a.clock.wallMs + 9 * DAY_MS];
    await retain(a, { mode: 'COMPLIANCE', until: far });
    pass(1000, b);
    await retain(b, { mode: 'COMPLIANCE', until: near });
    await meet(a, b);
    for (const { objects } of [a, b]) {
      const { info } = await objects.headObject({ ...AT, versionId });
      assert.deepEqual(info.settings.retention, { mode: 'COMPLIANCE', until: far });
    }
  });

  test('the bytes of a removed version are kept until the removal is stable, and then given back', async () => {
    await using world = await sites({ keepOps: 0 });
    const { a, b } = world;
    const stored = await a.chunkCount();
    const known = await lockable(a, b);
    const held = await a.chunkCount();
    assert.ok(held > stored);
    const before = await a.engine.replica.cut();
    await remove(a, known);
    await proveStable(a, [b], before);
    assert.equal(await a.chunkCount(), held, 'a lock that the removal has not seen may still come');
    await pull(a, b);
    pass(365 * DAY_MS, a);
    await proveStable(a, [b], await a.engine.replicaState.tick());
    assert.equal(await a.chunkCount(), stored);
  });
});
