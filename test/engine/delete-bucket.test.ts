import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isSkerryError, type Op } from '../../core/contracts/index.ts';
import { Author, versionPut } from './support.ts';
import { BUCKET, wholeSite, type WholeSite } from './whole-site.ts';

const put = (key: string) => versionPut(key, { bucket: BUCKET });

/** Another site that has seen all that this one has. */
async function peerOf(site: WholeSite): Promise<Author> {
  const page = await site.engine.replica.opsAfter({}, { maxOps: 1000, maxBytes: 1e6 });
  assert.equal(page.kind, 'ops');
  const peer = new Author('ber');
  for (const { op } of page.ops) peer.see(op);
  return peer;
}

const arrive = (site: WholeSite, op: Op) => site.engine.replica.apply([{ op }]);
const conflicts = async ({ metaStore }: WholeSite): Promise<number> =>
  (await metaStore.scan({ space: 'conflicts', limit: 10 })).length;

describe('deleting a bucket', () => {
  test('ends the versions that lost to a deletion: S3 does not show them, and nothing else would', async () => {
    await using site = await wholeSite();
    const lost = (await peerOf(site)).write(put('k'), site.clock.wallMs);
    site.clock.wallMs += 1000;
    await site.objects.putObject({ ...plain, key: 'k', body: { bytes: Buffer.from('x') } });
    await site.objects.deleteObject({ bucket: BUCKET, key: 'k', owner: 'o' });
    await arrive(site, lost);
    assert.equal(await conflicts(site), 1);
    await site.objects.deleteBucket(BUCKET);
    assert.equal(await conflicts(site), 0);
    await assert.rejects(site.objects.getBucket(BUCKET), (error) => isSkerryError(error, 'NoSuchBucket'));
  });

  test('rule 8: a write of another site that it has not seen brings the bucket back, for clients too', async () => {
    await using site = await wholeSite();
    const { createdAtMs } = await site.objects.getBucket(BUCKET);
    const unseen = (await peerOf(site)).write(put('k'), site.clock.wallMs);
    await site.objects.deleteBucket(BUCKET);
    await arrive(site, unseen);
    const { owner, createdAtMs: revivedAtMs } = await site.objects.getBucket(BUCKET);
    assert.deepEqual({ owner, revivedAtMs }, { owner: 'owner', revivedAtMs: createdAtMs });
    await assert.rejects(site.objects.deleteBucket(BUCKET), (error) => isSkerryError(error, 'BucketNotEmpty'));
  });

  test('a bucket that came back without its versioning hides a key with numbered versions by a marker; under Object Lock it keeps it', async () => {
    await using site = await wholeSite();
    const versioned = (await peerOf(site)).write(
      versionPut('k', { bucket: BUCKET, nullVersion: false }),
      site.clock.wallMs,
    );
    await arrive(site, versioned);
    for (const isOverwritten of [false, true]) {
      if (isOverwritten) await site.objects.putObject({ ...plain, key: 'k', body: { bytes: Buffer.from('x') } });
      const { marker, versionId } = await site.objects.deleteObject({ bucket: BUCKET, key: 'k', owner: 'o' });
      assert.deepEqual({ marker, versionId }, { marker: true, versionId: 'null' });
      await assert.rejects(site.objects.openObject({ bucket: BUCKET, key: 'k' }), { code: 'NoSuchKey' });
    }
    const locked = { type: 'bucket.create', bucket: 'locked', owner: 'o', createdAtMs: 1, objectLock: true } as const;
    await arrive(site, (await peerOf(site)).write(locked, site.clock.wallMs));
    assert.equal((await site.objects.getBucket('locked')).versioning, 'Enabled');
  });

  test('a bucket can be created anew after its deletion, whatever was recorded of the first', async () => {
    await using site = await wholeSite();
    await site.objects.putBucketSetting(BUCKET, 'policy', 'p');
    await site.objects.deleteBucket(BUCKET);
    site.clock.wallMs += 1000;
    await site.objects.createBucket({ bucket: BUCKET, owner: 'second' });
    const { owner, createdAtMs, settings } = await site.objects.getBucket(BUCKET);
    assert.deepEqual(
      { owner, createdAtMs, settings },
      { owner: 'second', createdAtMs: site.clock.wallMs, settings: {} },
    );
  });
});

const plain = { bucket: BUCKET, owner: 'o', headers: {}, metadata: {}, storageClass: 'STANDARD' };
