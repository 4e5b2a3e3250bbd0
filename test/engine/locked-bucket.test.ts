/** Rule 10 as clients of one site see it, when a lock of another site arrives. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isSkerryError, type Op, type Stamp } from '../../core/contracts/index.ts';
import { Author } from './support.ts';
import { wholeSite, type WholeSite } from './whole-site.ts';

const AT = { bucket: 'locked', key: 'k' } as const;

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
  const object = await objects.openObject(AT);
  try {
    const pieces: Buffer[] = [];
    for await (const piece of object.read(0, object.info.content.size)) pieces.push(Buffer.from(piece));
    return Buffer.concat(pieces).toString();
  } finally {
    object.close();
  }
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
