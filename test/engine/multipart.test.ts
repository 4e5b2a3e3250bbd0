import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import {
  SkerryError,
  type ChecksumAlgorithm,
  type CompletedPart,
  type CreateUploadInput,
  type PartInfo,
  type UploadInfo,
  type UploadRef,
} from '../../core/contracts/index.ts';
import { uploadSite } from '../../core/engine/uploads.ts';
import { createUpload, KEY, md5, named, putAll, refOf, refuses } from './upload-helpers.ts';
import { BUCKET, noise, readAll, wholeSite } from './whole-site.ts';

test('parts in any order become one object with the headers of the upload', async () => {
  await using site = await wholeSite({ chunkBytes: 1000, dedupMinBytes: 100 });
  const { objects } = site;
  const upload = await createUpload(objects);
  assert.equal(uploadSite(upload.uploadId), 'waw');
  assert.match(upload.uploadId, /^[0-9a-z.-]+$/);
  const bodies = [noise(2500, 1), noise(10, 2), noise(7000, 3), noise(1, 4)];
  const parts = await putAll(objects, upload, bodies);
  const result = await objects.completeUpload({ ...refOf(upload), parts: named(parts) });
  assert.equal(result.etag, `${md5(Buffer.concat(bodies.map(md5))).toString('hex')}-4`);
  assert.equal(result.size, 9511);
  assert.deepEqual(await readAll(objects, KEY), Buffer.concat(bodies));
  const { info } = await objects.headObject({ bucket: BUCKET, key: KEY });
  assert.deepEqual(
    [info.content.headers, info.content.metadata, info.owner],
    [{ 'content-type': 'text/x' }, { colour: 'red' }, 'owner'],
  );
  assert.deepEqual(
    info.content.parts,
    bodies.map(({ length }, i) => ({ number: i + 1, size: length })),
  );
  await refuses(objects.getUpload(refOf(upload)), 'NoSuchUpload', { site: 'waw' });
});

test('completing copies no data', async () => {
  await using site = await wholeSite({ chunkBytes: 1000 });
  const { objects, chunkStore } = site;
  const upload = await createUpload(objects);
  const parts = await putAll(
    objects,
    upload,
    Array.from({ length: 20 }, (_, i) => noise(3000, i + 1)),
  );
  const before = await chunkStore.usage();
  await objects.completeUpload({ ...refOf(upload), parts: named(parts) });
  const after = await chunkStore.usage();
  assert.ok(after.liveBytes - before.liveBytes < 20_000, 'a node and the op at most');
  assert.deepEqual(
    await readAll(objects, KEY, 2999, 3),
    Buffer.concat([noise(3000, 1).subarray(2999), noise(3000, 2).subarray(0, 2)]),
  );
});

test('what nobody holds any more is given back: replaced, left out and aborted parts, removed objects', async () => {
  await using site = await wholeSite({ chunkBytes: 1000, dedupMinBytes: 100 });
  const { objects } = site;
  const upload = await createUpload(objects);
  await putAll(objects, upload, [noise(1500, 1), noise(1500, 2), noise(1500, 3)]);
  const replaced = await objects.putPart({ ...refOf(upload), number: 2, body: { bytes: noise(500, 4) } });
  assert.equal(await site.chunkCount(), 5);
  const first = await objects.putPart({ ...refOf(upload), number: 1, body: { bytes: noise(1500, 1) } });
  assert.equal(await site.chunkCount(), 5, 'the same bytes again');
  await objects.completeUpload({ ...refOf(upload), parts: named([first, replaced]) });
  assert.equal(await site.chunkCount(), 3);
  assert.deepEqual(await readAll(objects, KEY), Buffer.concat([noise(1500, 1), noise(500, 4)]));
  const second = await createUpload(objects);
  await putAll(objects, second, [noise(1500, 1), noise(5000, 9)]);
  await objects.abortUpload(refOf(second));
  assert.equal(await site.chunkCount(), 3);
  assert.deepEqual(await readAll(objects, KEY), Buffer.concat([noise(1500, 1), noise(500, 4)]));
  await objects.deleteObject({ bucket: BUCKET, key: KEY, owner: 'owner' });
  assert.equal(await site.chunkCount(), 0);
  await objects.deleteBucket(BUCKET);
});

test('hundreds of parts: nodes, a parts table, and all rows gone in the end', async () => {
  await using site = await wholeSite({ chunkBytes: 100, dedupMinBytes: 1 });
  const { objects, metaStore } = site;
  const upload = await createUpload(objects, { checksumAlgorithm: 'CRC32C' });
  const bodies = Array.from({ length: 350 }, (_, i) => noise(600, i + 1));
  const parts = await putAll(objects, upload, bodies);
  const { parts: page, truncated } = await objects.listParts(refOf(upload), { after: 340, limit: 5 });
  assert.deepEqual([page.map(({ number }) => number), truncated], [[341, 342, 343, 344, 345], true]);
  assert.equal((await objects.listParts(refOf(upload), { after: 345, limit: 5 })).truncated, false);
  await objects.completeUpload({ ...refOf(upload), parts: named(parts) });
  assert.deepEqual(await readAll(objects, KEY), Buffer.concat(bodies));
  const object = await objects.openObject({ bucket: BUCKET, key: KEY });
  const table = await object.parts();
  object.close();
  assert.deepEqual(
    [table?.length, table?.[349]],
    [350, { number: 350, size: 600, checksum: parts[349]?.checksums[0]?.value }],
  );
  assert.equal(object.info.content.parts, undefined);
  assert.deepEqual(await metaStore.scan({ space: 'parts', limit: 10 }), []);
  await objects.deleteObject({ bucket: BUCKET, key: KEY, owner: 'owner' });
  for (let i = 0; i < 4; i++) await site.engine.garbage.run();
  assert.equal(await site.chunkCount(), 0);
  for (const space of ['refs', 'chunks', 'queues'] as const)
    assert.deepEqual(await metaStore.scan({ space, limit: 10 }), []);
});

test('parts of an upload that ended just before a crash go at the next start', async () => {
  await using site = await wholeSite({ chunkBytes: 1000 });
  const { objects, metaStore, engine } = site;
  const upload = await createUpload(objects);
  await putAll(
    objects,
    upload,
    Array.from({ length: 150 }, (_, i) => noise(20, i + 1)),
  );
  const scan = metaStore.get.bind(metaStore);
  // the process "dies" between the transaction that ends the upload and the batches after it
  metaStore.get = (keys) => (keys[0]?.space === 'queues' ? Promise.reject(new SkerryError('Io', 'dead')) : scan(keys));
  await objects.abortUpload(refOf(upload));
  metaStore.get = scan;
  assert.ok((await metaStore.scan({ space: 'parts', limit: 100 })).length > 0);
  await engine.open();
  assert.deepEqual(await metaStore.scan({ space: 'parts', limit: 100 }), []);
  assert.equal(await site.chunkCount(), 0);
});

test('every call wants bucket, key and id that belong together', async () => {
  await using site = await wholeSite();
  const { objects } = site;
  await objects.createBucket({ bucket: 'other', owner: 'owner' });
  const upload = await createUpload(objects);
  const [part] = await putAll(objects, upload, [noise(10)]);
  const wrong: readonly UploadRef[] = [
    { ...refOf(upload), bucket: 'other' },
    { ...refOf(upload), key: 'dir/large.bi' },
    { ...refOf(upload), key: `${KEY}\0` },
    { ...refOf(upload), uploadId: upload.uploadId.replace(/.$/, (last) => (last === '0' ? '1' : '0')) },
    { ...refOf(upload), uploadId: 'x'.repeat(5000) },
    { ...refOf(upload), uploadId: '' },
  ];
  for (const ref of wrong) {
    await refuses(objects.getUpload(ref), 'NoSuchUpload');
    await refuses(objects.putPart({ ...ref, number: 1, body: { bytes: noise(1) } }), 'NoSuchUpload');
    await refuses(objects.copyPart({ ...ref, number: 1, source: { bucket: BUCKET, key: 'absent' } }), 'NoSuchUpload');
    await refuses(objects.listParts(ref, { limit: 1 }), 'NoSuchUpload');
    await refuses(objects.completeUpload({ ...ref, parts: named([part as PartInfo]) }), 'NoSuchUpload');
    await refuses(objects.abortUpload(ref), 'NoSuchUpload');
  }
  await refuses(objects.getUpload({ ...refOf(upload), bucket: 'absent' }), 'NoSuchBucket');
  await refuses(createUpload(objects, { bucket: 'absent' }), 'NoSuchBucket');
  await refuses(createUpload(objects, { key: '' }), 'InvalidArgument');
});

test('uploads in flight end with their bucket, and its name is free again', async () => {
  await using site = await wholeSite({ chunkBytes: 1000, dedupMinBytes: 1 });
  const { objects, metaStore } = site;
  const done = await createUpload(objects, { key: 'done' });
  await objects.completeUpload({ ...refOf(done), parts: named(await putAll(objects, done, [noise(10, 1)])) });
  await objects.createBucket({ bucket: `${BUCKET}2`, owner: 'owner' });
  const other = await createUpload(objects, { bucket: `${BUCKET}2` });
  const uploads = await Promise.all(Array.from({ length: 230 }, (_, i) => createUpload(objects, { key: `k${i}` })));
  const [first] = uploads as [UploadInfo];
  await putAll(
    objects,
    first,
    Array.from({ length: 120 }, (_, i) => noise(100, i + 1)),
  );
  await refuses(objects.deleteBucket(BUCKET), 'BucketNotEmpty');
  assert.equal((await objects.listParts(refOf(first), { limit: 1000 })).parts.length, 120, 'a refusal ends nothing');
  await objects.deleteObject({ bucket: BUCKET, key: 'done', owner: 'owner' });
  await objects.deleteBucket(BUCKET);
  assert.equal(await site.chunkCount(), 0);
  assert.deepEqual(await metaStore.scan({ space: 'parts', limit: 10 }), []);
  await objects.createBucket({ bucket: BUCKET, owner: 'owner' });
  await refuses(objects.getUpload(refOf(first)), 'NoSuchUpload');
  assert.deepEqual((await objects.listUploads({ bucket: BUCKET, limit: 10 })).entries, []);
  assert.equal((await objects.getUpload(refOf(other))).uploadId, other.uploadId, 'a bucket whose name begins alike');
});

test('a completion that names wrong parts changes nothing', async () => {
  await using site = await wholeSite({ partMinBytes: 100 });
  const { objects } = site;
  const upload = await createUpload(objects, { checksumAlgorithm: 'SHA256' });
  const parts = await putAll(objects, upload, [noise(100, 1), noise(99, 2), noise(5, 3)]);
  const [one, two, three] = named(parts) as [CompletedPart, CompletedPart, CompletedPart];
  const complete = (list: readonly CompletedPart[], more: object = {}) =>
    objects.completeUpload({ ...refOf(upload), parts: list, ...more });
  await refuses(complete([]), 'InvalidPart');
  await refuses(complete([two, one]), 'InvalidPartOrder');
  await refuses(complete([one, one]), 'InvalidPartOrder');
  await refuses(complete([one, { ...two, etag: one.etag }]), 'InvalidPart', { number: 2 });
  await refuses(complete([one, { number: 9, etag: 'e' }]), 'InvalidPart', { number: 9 });
  await refuses(complete([{ ...one, checksums: { SHA256: 'AAAA' } }]), 'InvalidPart');
  await refuses(complete([one, two, three]), 'EntityTooSmall', { number: 2, size: 99, minSize: 100 });
  await refuses(complete([one, three], { expectedSize: 106 }), 'InvalidArgument', { reason: 'ObjectSizeMismatch' });
  await refuses(complete([one, three], { checksum: { algorithm: 'SHA256', expected: 'AAAA-2' } }), 'ChecksumMismatch', {
    which: 'checksum',
  });
  await refuses(complete([one, three], { condition: { ifMatch: ['x'] } }), 'NoSuchKey');
  await refuses(objects.headObject({ bucket: BUCKET, key: KEY }), 'NoSuchKey');
  assert.equal((await complete([one, three], { expectedSize: 105, condition: { ifNoneMatch: ['*'] } })).size, 105);
});

test('a repeated completion answers the same, another one and a later one do not', async () => {
  await using site = await wholeSite();
  const { objects, clock } = site;
  const upload = await createUpload(objects);
  const parts = named(await putAll(objects, upload, [noise(10, 1), noise(10, 2)]));
  const [first, twin] = await Promise.all([
    objects.completeUpload({ ...refOf(upload), parts }),
    objects.completeUpload({ ...refOf(upload), parts }),
  ]);
  assert.deepEqual(first, twin);
  await objects.deleteObject({ bucket: BUCKET, key: KEY, owner: 'owner' });
  const again = await objects.completeUpload({ ...refOf(upload), parts, condition: { ifNoneMatch: ['*'] } });
  assert.deepEqual(again, first);
  await refuses(objects.headObject({ bucket: BUCKET, key: KEY }), 'NoSuchKey');
  await refuses(objects.completeUpload({ ...refOf(upload), parts: parts.slice(0, 1) }), 'NoSuchUpload');
  await refuses(objects.completeUpload({ ...refOf(upload), key: 'else', parts }), 'NoSuchUpload');
  await refuses(objects.abortUpload(refOf(upload)), 'NoSuchUpload');
  await refuses(objects.putPart({ ...refOf(upload), number: 1, body: { bytes: noise(1) } }), 'NoSuchUpload');
  assert.deepEqual((await objects.listUploads({ bucket: BUCKET, limit: 10 })).entries, []);
  clock.wallMs += 8 * 24 * 3_600_000;
  const next = await createUpload(objects);
  await objects.completeUpload({ ...refOf(next), parts: named(await putAll(objects, next, [noise(1)])) });
  await refuses(objects.completeUpload({ ...refOf(upload), parts }), 'NoSuchUpload');
});

test('parts that change while an upload is completed: either what was named, or a refusal', async () => {
  await using site = await wholeSite();
  const { objects } = site;
  for (let round = 0; round < 10; round++) {
    const upload = await createUpload(objects);
    const parts = named(await putAll(objects, upload, [noise(10, 1), noise(10, 2)]));
    const outcomes = await Promise.allSettled([
      objects.completeUpload({ ...refOf(upload), parts }),
      objects.putPart({ ...refOf(upload), number: 2, body: { bytes: noise(10, 3) } }),
      ...(round % 2 === 0 ? [objects.abortUpload(refOf(upload))] : []),
    ]);
    const [completed] = outcomes;
    if (completed?.status === 'fulfilled')
      assert.deepEqual(await readAll(objects, KEY), Buffer.concat([noise(10, 1), noise(10, 2)]));
    else assert.ok(['InvalidPart', 'NoSuchUpload'].includes(completed?.reason.code), String(completed?.reason));
    if (round % 2 === 1 && completed?.status === 'rejected') await objects.abortUpload(refOf(upload));
  }
  await objects.deleteObject({ bucket: BUCKET, key: KEY, owner: 'owner' });
  assert.equal(await site.chunkCount(), 0);
});

const composite = (algorithm: string, bodies: readonly Uint8Array[]): string => {
  const hash = (bytes: Uint8Array): Buffer => createHash(algorithm).update(bytes).digest();
  return `${hash(Buffer.concat(bodies.map(hash))).toString('base64')}-${bodies.length}`;
};

test('checksums of the whole: composite by default, of all bytes where they combine', async () => {
  await using site = await wholeSite({ chunkBytes: 1000 });
  const { objects } = site;
  const bodies = [noise(2500, 1), noise(1700, 2)];
  const whole = async (algorithm: ChecksumAlgorithm) => {
    await objects.putObject({
      bucket: BUCKET,
      key: 'plain',
      body: { bytes: Buffer.concat(bodies), checksum: { algorithm } },
      owner: 'o',
      headers: {},
      metadata: {},
      storageClass: 'STANDARD',
    });
    return (await objects.headObject({ bucket: BUCKET, key: 'plain' })).info.content.checksums;
  };
  const complete = async (more: Partial<CreateUploadInput>) => {
    const upload = await createUpload(objects, more);
    const parts = await putAll(objects, upload, bodies);
    return (await objects.completeUpload({ ...refOf(upload), parts: named(parts) })).checksums;
  };
  assert.deepEqual(await complete({ checksumAlgorithm: 'SHA256' }), [
    { algorithm: 'SHA256', type: 'COMPOSITE', value: composite('sha256', bodies) },
  ]);
  assert.deepEqual(await complete({ checksumAlgorithm: 'SHA1' }), [
    { algorithm: 'SHA1', type: 'COMPOSITE', value: composite('sha1', bodies) },
  ]);
  assert.deepEqual(await complete({ checksumAlgorithm: 'CRC64NVME' }), await whole('CRC64NVME'));
  for (const algorithm of ['CRC32', 'CRC32C'] as const) {
    assert.deepEqual(
      await complete({ checksumAlgorithm: algorithm, checksumType: 'FULL_OBJECT' }),
      await whole(algorithm),
    );
    assert.match((await complete({ checksumAlgorithm: algorithm }))[0]?.value ?? '', /-2$/);
  }
  assert.deepEqual(await complete({}), []);
  await refuses(createUpload(objects, { checksumAlgorithm: 'SHA256', checksumType: 'FULL_OBJECT' }), 'InvalidArgument');
  await refuses(
    createUpload(objects, { checksumAlgorithm: 'CRC64NVME', checksumType: 'COMPOSITE' }),
    'InvalidArgument',
  );
  await refuses(createUpload(objects, { checksumType: 'COMPOSITE' }), 'InvalidArgument');
});

test('a part with another checksum than the upload has is refused, and a wrong one too', async () => {
  await using site = await wholeSite();
  const { objects } = site;
  const upload = await createUpload(objects, { checksumAlgorithm: 'CRC32' });
  const put = (checksum: { algorithm: ChecksumAlgorithm; expected?: string }) =>
    objects.putPart({ ...refOf(upload), number: 1, body: { bytes: noise(10), checksum } });
  await refuses(put({ algorithm: 'SHA1' }), 'InvalidArgument', { reason: 'ChecksumTypeMismatch' });
  await refuses(put({ algorithm: 'CRC32', expected: 'AAAAAA==' }), 'ChecksumMismatch');
  for (const number of [0, 10_001, 1.5])
    await refuses(objects.putPart({ ...refOf(upload), number, body: { bytes: noise(1) } }), 'InvalidArgument');
  await refuses(
    objects.putPart({ ...refOf(upload), number: 1, body: { bytes: noise(1), size: 6 * 1024 ** 3 } }),
    'EntityTooLarge',
  );
  assert.equal(await site.chunkCount(), 0);
});
