/** Rule 5: the current version of a key is the live version with the largest stamp, delete markers included. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { stampHlc } from '../../core/engine/stamp.ts';
import { fetchBytes, put, pullOps, remove } from '../engine/exchange.ts';
import { BUCKET, noise, type WholeSite } from '../engine/whole-site.ts';
import { conflictsOf, meet, opsOf, pass, pull, read, setBucket, sites, type Sites } from './support.ts';

const UPLOAD = { bucket: BUCKET, key: 'k', owner: 'o', initiator: 'o', headers: {}, metadata: {}, storageClass: 'S' };

async function uploadOf(site: WholeSite): Promise<() => Promise<void>> {
  const { uploadId } = await site.objects.createUpload(UPLOAD);
  const at = { bucket: BUCKET, key: 'k', uploadId };
  const { number, etag } = await site.objects.putPart({ ...at, number: 1, body: { bytes: Buffer.from('in parts') } });
  return async () => void (await site.objects.completeUpload({ ...at, parts: [{ number, etag }] }));
}

/** What b puts later is current, at b when it sees what a did before, and at both once they have met. */
async function laterPutWins({ a, b }: Sites): Promise<void> {
  pass(1000, b);
  await put(b, 'k', 'newer');
  await pull(a, b);
  assert.equal(await read(b, 'k'), 'newer');
  await meet(a, b);
  assert.equal(await read(a, 'k'), 'newer');
}

describe('rule 5: the largest stamp is current', () => {
  test('PUT at one time at two sites: the clocks are equal, the site id decides, at both', async () => {
    await using world = await sites();
    const { a, b } = world;
    const [ofA, ofB] = [await put(a, 'k', 'from a'), await put(b, 'k', 'from b')];
    assert.equal(stampHlc(ofA.stamp), stampHlc(ofB.stamp));
    await meet(a, b);
    assert.deepEqual([await read(a, 'k'), await read(b, 'k')], ['from b', 'from b']);
  });

  test('an older PUT that arrives after a newer DELETE changes nothing visible', async () => {
    await using world = await sites();
    const { a, b } = world;
    await put(a, 'k', 'seen');
    await meet(a, b);
    await put(a, 'k', 'older');
    pass(1000, b);
    await remove(b, 'k');
    await pull(a, b);
    assert.equal(await read(b, 'k'), 'NoSuchKey');
    await meet(a, b);
    assert.equal(await read(a, 'k'), 'NoSuchKey');
    assert.equal((await conflictsOf(a))[0]?.losers.length, 1, 'and it is not lost');
  });

  test('an older DELETE that arrives after a newer PUT changes nothing visible', async () => {
    await using world = await sites();
    const { a, b } = world;
    await put(a, 'k', 'seen');
    await meet(a, b);
    await remove(a, 'k');
    await laterPutWins(world);
  });

  test('an older PUT that arrives after a newer one is not current, whichever site sees what first', async () => {
    await using world = await sites();
    await put(world.a, 'k', 'older');
    await laterPutWins(world);
  });

  test('multipart complete vs DELETE: the stamp of the completion decides, not that of the upload', async () => {
    await using world = await sites();
    const { a, b } = world;
    await put(a, 'k', 'seen');
    await meet(a, b);
    const complete = await uploadOf(a);
    pass(1000, b);
    await remove(b, 'k');
    pass(2000, a);
    await complete();
    await meet(a, b);
    assert.equal(await read(b, 'k'), 'in parts');
    const completeAgain = await uploadOf(a);
    await completeAgain();
    pass(5000, b);
    await remove(b, 'k');
    await meet(a, b);
    assert.equal(await read(a, 'k'), 'NoSuchKey');
  });

  test('with versions: markers and objects stand in stamp order, whoever came first', async () => {
    await using world = await sites();
    const { a, b } = world;
    await setBucket(a, 'versioning', 'Enabled');
    await meet(a, b);
    await put(a, 'k', 'older');
    pass(1000, b);
    await remove(b, 'k');
    pass(2000, a);
    await put(a, 'l', 'x');
    await meet(a, b);
    const { entries } = await a.objects.listVersions({ bucket: BUCKET, prefix: 'k', limit: 10 });
    assert.deepEqual(
      entries.map(({ marker, isLatest }) => [marker, isLatest]),
      [
        [true, true],
        [false, false],
      ],
    );
  });

  test('removal of a version that a peer has not fetched yet: it is gone there too, and nobody waits for its bytes', async () => {
    await using world = await sites();
    const { a, b } = world;
    await setBucket(a, 'versioning', 'Enabled');
    await put(a, 'k', 'first');
    await meet(a, b);
    const { versionId } = await put(a, 'k', noise(20_000));
    await pullOps(a, b);
    assert.equal((await b.engine.replica.pending(10)).length, 1);
    await remove(a, 'k', versionId);
    await pullOps(a, b);
    assert.deepEqual([await b.engine.replica.pending(10), await read(b, 'k')], [[], 'first']);
    await fetchBytes(a, b);
    await meet(a, b);
    assert.equal((await opsOf(b)).filter(({ body }) => body.type === 'version.remove').length, 1);
  });
});
