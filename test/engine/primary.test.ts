/** Primary-replica: one site accepts writes; moving it fences the old one, whatever the clocks say. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createPrimaryResolver } from '../../plugins/resolver-primary/primary-resolver.ts';
import { exchange, pullOps, put, readVersion } from './exchange.ts';
import { dump } from './support.ts';
import { BUCKET, wholeSite, type WholeSite } from './whole-site.ts';

const KEY = { bucket: BUCKET, key: 'k' } as const;

async function site(siteId: string, options: Parameters<typeof createPrimaryResolver>[1]): Promise<WholeSite> {
  const resolver = createPrimaryResolver(siteId, options);
  await resolver.open();
  return wholeSite({ siteId, conflictResolver: resolver });
}

const twoSites = async (): Promise<readonly [WholeSite, WholeSite]> => {
  const a = await site('a', { role: 'primary', url: 'http://a' });
  const b = await site('b', { role: 'replica', primary: 'a', primaryUrl: 'http://a', url: 'http://b' });
  await exchange(a, b);
  return [a, b];
};

const refusal = {
  code: 'AccessDenied',
  message: 'site b is a replica and accepts no writes: write to the primary a at http://a',
};

describe('primary-replica', () => {
  test('a replica refuses every write and names the primary; it serves what the primary wrote', async () => {
    const [a, b] = await twoSites();
    await using _a = a;
    await using _b = b;
    await put(a, 'k', 'from a');
    await exchange(a, b);
    assert.equal(String(await readVersion(b, 'k')), 'from a');
    const { objects } = b;
    const upload = { ...KEY, uploadId: 'u' };
    const body = { bytes: Buffer.from('x'), size: 1 };
    const what = { owner: 'o', headers: {}, metadata: {}, storageClass: 'STANDARD' };
    const writes: readonly (() => Promise<unknown>)[] = [
      () => put(b, 'k', 'x'),
      () => objects.deleteObject({ ...KEY, owner: 'o' }),
      () => objects.copyObject({ ...KEY, key: 'l', source: KEY, owner: 'o', copyTags: true }),
      () => objects.putVersionSetting(KEY, 'tags', { a: 'b' }),
      () => objects.createBucket({ bucket: 'new', owner: 'o' }),
      () => objects.deleteBucket(BUCKET),
      () => objects.putBucketSetting(BUCKET, 'versioning', 'Enabled'),
      () => objects.createUpload({ ...KEY, ...what, initiator: 'o' }),
      () => objects.putPart({ ...upload, number: 1, body }),
      () => objects.copyPart({ ...upload, number: 1, source: KEY }),
      () => objects.completeUpload({ ...upload, parts: [] }),
      () => objects.resolveConflict({ ...KEY, choose: 'current', owner: 'o' }),
    ];
    const before = await dump(b.metaStore);
    for (const write of writes) await assert.rejects(write, refusal);
    const [deleted] = await objects.deleteObjects([{ ...KEY, owner: 'o' }]);
    assert.ok(deleted instanceof Error && deleted.message === refusal.message);
    assert.equal(await dump(b.metaStore), before);
    await b.engine.identities.create({ policy: 'ro' });
  });

  test('a promoted site writes under a new epoch; what the old primary wrote unseen loses although its clock is ahead, and is listed', async () => {
    const [a, b] = await twoSites();
    await using _a = a;
    await using _b = b;
    await put(a, 'k', 'common');
    await exchange(a, b);
    assert.deepEqual(await b.engine.promote(), { site: 'b', epoch: 1, url: 'http://b' });
    await put(b, 'k', 'new primary');
    a.clock.wallMs += 30_000;
    await put(a, 'k', 'old primary, later');
    await exchange(a, b);
    assert.equal(await dump(a.metaStore), await dump(b.metaStore));
    for (const one of [a, b]) {
      assert.deepEqual(await one.engine.primary(), { site: 'b', epoch: 1, url: 'http://b' });
      assert.equal(String(await readVersion(one, 'k')), 'new primary');
      const { losers } = await one.objects.getConflict(KEY);
      assert.equal(String(await readVersion(one, 'k', losers[0]?.versionId)), 'old primary, later');
    }
    await assert.rejects(put(a, 'k', 'x'), { code: 'AccessDenied', message: /replica .* primary b at http:\/\/b$/ });
    await put(b, 'k', 'goes on');
    assert.deepEqual(await a.engine.promote(), { site: 'a', epoch: 2, url: 'http://a' });
    await exchange(a, b);
    await put(a, 'k', 'back at a');
    await assert.rejects(put(b, 'k', 'x'), refusal);
    await exchange(a, b);
    assert.equal(String(await readVersion(b, 'k')), 'back at a');
  });

  test('a write that was on its way when the move arrived is refused in its commit', async () => {
    const [a, b] = await twoSites();
    await using _a = a;
    await using _b = b;
    await b.engine.promote();
    const body = {
      size: 5,
      async *stream() {
        yield Buffer.from('be');
        await pullOps(b, a);
        yield Buffer.from('gun');
      },
    };
    const writing = a.objects.putObject({
      ...KEY,
      body: { size: body.size, stream: body.stream() },
      owner: 'o',
      headers: {},
      metadata: {},
      storageClass: 'STANDARD',
    });
    await assert.rejects(writing, { code: 'AccessDenied' });
    await assert.rejects(a.objects.openObject(KEY), { code: 'NoSuchKey' });
  });

  test('two that are promoted at once: one of them is primary at last, on every site', async () => {
    const [a, b] = await twoSites();
    await using _a = a;
    await using _b = b;
    await using c = await site('c', { role: 'replica' });
    await assert.rejects(put(c, 'k', 'x'), { code: 'AccessDenied', message: /write to the primary$/ });
    await exchange(a, c);
    await b.engine.promote();
    await c.engine.promote();
    await exchange(b, c);
    await exchange(a, b);
    await exchange(a, c);
    const roles = await Promise.all([a, b, c].map((one) => one.engine.primary()));
    assert.ok(roles.every((role) => role?.site === 'c' && role.epoch === 1));
    await put(c, 'k', 'x');
    for (const one of [a, b]) await assert.rejects(put(one, 'k', 'x'), { code: 'AccessDenied' });
    assert.deepEqual(await c.engine.promote(), roles[2]);
  });

  test('where every site accepts writes there is nothing to promote', async () => {
    await using a = await wholeSite();
    assert.equal(await a.engine.primary(), undefined);
    await assert.rejects(a.engine.promote(), { code: 'NotSupported' });
  });
});
