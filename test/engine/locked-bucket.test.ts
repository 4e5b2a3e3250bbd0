/** Rule 10 as clients of one site see it, when a lock of another site arrives. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isSkerryError, type Op, type Stamp } from '../../core/contracts/index.ts';
import { sourceOf } from './cut-support.ts';
import { fetchBytes } from './exchange.ts';
import { Author } from './support.ts';
import { bytesOf, noise, wholeSite, type WholeSite } from './whole-site.ts';

const OBJECT = { owner: 'o', headers: {}, metadata: {}, storageClass: 'STANDARD' } as const;
const AT = { bucket: 'locked', key: 'k' } as const;

async function opsOf({ engine }: WholeSite): Promise<readonly Op[]> {
  const page = await engine.replica.opsAfter({}, { maxOps: 100, maxBytes: 1e6 });
  assert.equal(page.kind, 'ops');
  return page.kind === 'ops' ? page.ops.map(({ op }) => op) : [];
}

interface Locked {
  readonly versionId: string;
  readonly stamp: Stamp;
  /** Another site, which has seen the version. */
  readonly peer: Author;
}

async function lockedVersion({ objects, engine }: WholeSite, objectLock: boolean): Promise<Locked> {
  await objects.createBucket({ bucket: AT.bucket, owner: 'o', objectLock, settings: { versioning: 'Enabled' } });
  const { versionId = '', stamp } = await objects.putObject({
    ...AT,
    owner: 'o',
    headers: {},
    metadata: {},
    storageClass: 'STANDARD',
    body: { bytes: Buffer.from('precious') },
  });
  const page = await engine.replica.opsAfter({}, { maxOps: 100, maxBytes: 1e6 });
  assert.equal(page.kind, 'ops');
  const peer = new Author('ber');
  for (const { op } of page.ops) peer.see(op);
  return { versionId, stamp, peer };
}

const hold = ({ peer, stamp }: Locked, wallMs: number): Op =>
  peer.write({ type: 'version.setting', ...AT, target: stamp, name: 'legalHold', value: 'ON' }, wallMs);

async function bodyOf({ objects }: WholeSite): Promise<string> {
  return (await bytesOf(await objects.openObject(AT))).toString();
}

describe('rule 10 in a bucket', () => {
  test('with Object Lock: a version that was removed is back, bytes and all, when a hold arrives that the removal had not seen', async () => {
    await using site = await wholeSite();
    const locked = await lockedVersion(site, true);
    const { versionId } = locked;
    await site.objects.deleteObject({ ...AT, versionId, owner: 'o' });
    await assert.rejects(site.objects.headObject(AT), (error) => isSkerryError(error, 'NoSuchKey'));
    await site.engine.garbage.run();
    await site.engine.replica.apply([{ op: hold(locked, site.clock.wallMs) }]);
    assert.equal(await bodyOf(site), 'precious');
    await assert.rejects(site.objects.deleteObject({ ...AT, versionId, owner: 'o' }), (error) =>
      isSkerryError(error, 'ObjectLocked'),
    );
  });

  test('without it: the removal is final', async () => {
    await using site = await wholeSite();
    const locked = await lockedVersion(site, false);
    await site.objects.deleteObject({ ...AT, versionId: locked.versionId, owner: 'o' });
    await site.engine.replica.apply([{ op: hold(locked, site.clock.wallMs) }]);
    await assert.rejects(site.objects.headObject(AT), (error) => isSkerryError(error, 'NoSuchKey'));
  });

  test('with Object Lock: the bucket can be deleted when its versions are removed, and is back with one that a hold brings back', async () => {
    await using site = await wholeSite();
    const locked = await lockedVersion(site, true);
    await site.objects.deleteObject({ ...AT, versionId: locked.versionId, owner: 'o' });
    await site.objects.deleteBucket(AT.bucket);
    await site.engine.replica.apply([{ op: hold(locked, site.clock.wallMs) }]);
    const { objectLock, versioning } = await site.objects.getBucket(AT.bucket);
    assert.deepEqual({ objectLock, versioning }, { objectLock: true, versioning: 'Enabled' });
    assert.equal(await bodyOf(site), 'precious');
  });
});

describe('rule 10 across a snapshot', () => {
  test('a site that was filled from one has the bytes of what was removed, and a lock brings them back', async () => {
    await using a = await wholeSite({ siteId: 'a', chunkBytes: 1000, dedupMinBytes: 100 });
    await using b = await wholeSite({ siteId: 'b' });
    const put = (key: string, bytes: Buffer) =>
      a.objects.putObject({ ...OBJECT, bucket: 'locked', key, body: { bytes } });
    await a.objects.createBucket({
      bucket: 'locked',
      owner: 'o',
      objectLock: true,
      settings: { versioning: 'Enabled' },
    });
    const bodies = [noise(60, 1), noise(4500, 2)];
    const written = await Promise.all(bodies.map((bytes, at) => put(`k${at}`, bytes)));
    const peer = new Author('ber');
    for (const op of await opsOf(a)) peer.see(op);
    for (const [at, { versionId = '' }] of written.entries())
      await a.objects.deleteObject({ bucket: 'locked', key: `k${at}`, owner: 'o', versionId });

    await using source = await sourceOf(a.metaStore);
    await b.engine.keeping.merge(source);
    assert.equal((await b.engine.replica.pending(10)).length, 2, 'their bytes are asked for');
    await fetchBytes(a, b);
    assert.deepEqual(await b.engine.replica.pending(10), []);
    const { kept, missing } = await b.engine.space.gcPlan();
    assert.deepEqual([kept.removedVersions, kept.pendingVersions, missing.count], [2, 0, 0]);
    await a[Symbol.asyncDispose]();
    const holds = written.map(({ stamp }, at) =>
      peer.write(
        { type: 'version.setting', bucket: 'locked', key: `k${at}`, target: stamp, name: 'legalHold', value: 'ON' },
        b.clock.wallMs,
      ),
    );
    await b.engine.replica.apply(holds.map((op) => ({ op })));
    for (const [at, bytes] of bodies.entries()) {
      const object = await b.objects.openObject({ bucket: 'locked', key: `k${at}` });
      assert.deepEqual(Buffer.concat(await Array.fromAsync(object.read(0, bytes.length), Buffer.from)), bytes);
      object.close();
    }
  });
});
