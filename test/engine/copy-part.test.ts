import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { SkerryError, type ChecksumAlgorithm, type PartInfo } from '../../core/contracts/index.ts';
import { createUpload, KEY, md5, named, refOf, refuses } from './upload-helpers.ts';
import { BUCKET, noise, readAll, wholeSite, type WholeSite } from './whole-site.ts';

async function sourceOf({ objects }: WholeSite, key: string, bytes: Uint8Array): Promise<void> {
  await objects.putObject({
    bucket: BUCKET,
    key,
    body: { bytes },
    owner: 'owner',
    headers: {},
    metadata: {},
    storageClass: 'STANDARD',
  });
}

test('any ranges of any objects become the parts of another', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          size: fc.integer({ min: 1, max: 6000 }),
          from: fc.double({ min: 0, max: 0.999 }),
          to: fc.double({ min: 0, max: 0.999 }),
          whole: fc.boolean(),
        }),
        { minLength: 1, maxLength: 5 },
      ),
      fc.constantFrom(undefined, 'CRC32', 'SHA256'),
      async (sources, checksumAlgorithm) => {
        await using site = await wholeSite({ chunkBytes: 1000, dedupMinBytes: 500 });
        const { objects } = site;
        const upload = await createUpload(
          objects,
          checksumAlgorithm === undefined ? {} : { checksumAlgorithm: checksumAlgorithm as ChecksumAlgorithm },
        );
        const expected: Buffer[] = [];
        const parts: PartInfo[] = [];
        for (const [i, { size, from, to, whole }] of sources.entries()) {
          const bytes = noise(size, i + 1);
          const source = { bucket: BUCKET, key: `source-${i}` };
          await sourceOf(site, source.key, bytes);
          const [start, end] = [Math.floor(Math.min(from, to) * size), Math.floor(Math.max(from, to) * size)];
          const part = await objects.copyPart({
            ...refOf(upload),
            number: i + 1,
            source,
            ...(whole ? {} : { range: { start, end } }),
          });
          const copied = whole ? bytes : bytes.subarray(start, end + 1);
          assert.equal(part.etag, md5(copied).toString('hex'));
          if (checksumAlgorithm === 'SHA256')
            assert.equal(part.checksums[0]?.value, createHash('sha256').update(copied).digest('base64'));
          expected.push(copied);
          parts.push(part);
          await objects.deleteObject({ ...source, owner: 'owner' });
        }
        await site.engine.garbage.run();
        await objects.completeUpload({ ...refOf(upload), parts: named(parts) });
        assert.ok((await readAll(objects, KEY)).equals(Buffer.concat(expected)));
        await objects.deleteObject({ bucket: BUCKET, key: KEY, owner: 'owner' });
        assert.equal(await site.chunkCount(), 0);
      },
    ),
    { seed: 31, numRuns: 40 },
  );
});

test('whole chunks are copied by reference, only cut ones are stored again', async () => {
  await using site = await wholeSite({ chunkBytes: 1000 });
  const { objects } = site;
  await sourceOf(site, 'source', noise(100_000, 5));
  const before = await site.chunkCount();
  const upload = await createUpload(objects);
  await objects.copyPart({
    ...refOf(upload),
    number: 1,
    source: { bucket: BUCKET, key: 'source' },
    range: { start: 500, end: 89_499 },
  });
  // two edges, and the node that the part lists its chunks in
  assert.equal((await site.chunkCount()) - before, 3);
});

test('copies of what is not there, or not all there, are refused', async () => {
  await using site = await wholeSite();
  const { objects } = site;
  await sourceOf(site, 'source', noise(100));
  const upload = await createUpload(objects);
  const copy = (key: string, range?: { start: number; end: number }) =>
    objects.copyPart({ ...refOf(upload), number: 1, source: { bucket: BUCKET, key }, ...(range ? { range } : {}) });
  await refuses(copy('absent'), 'NoSuchKey');
  for (const [start, end] of [
    [0, 100],
    [-1, 5],
    [50, 49],
    [100, 100],
  ] as const)
    await refuses(copy('source', { start, end }), 'RangeNotSatisfiable');
  const sourceCheck = (): never => {
    throw new SkerryError('PreconditionFailed', 'no');
  };
  await refuses(
    objects.copyPart({ ...refOf(upload), number: 1, source: { bucket: BUCKET, key: 'source' }, sourceCheck }),
    'PreconditionFailed',
  );
});
