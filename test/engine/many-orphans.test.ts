/** More orphans than one survey names: each is given back and counted once, although a reader holds up the giving back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { put } from './exchange.ts';
import { BUCKET, noise, wholeSite } from './whole-site.ts';

const ORPHANS = 100_500;
const PAGE = 5000;

test('orphans of several surveys are counted once, also while somebody reads', async () => {
  await using site = await wholeSite();
  await put(site, 'k', noise(100, 1));
  const data = [noise(1, 1)];
  for (let at = 0; at < ORPHANS; at += PAGE) {
    const count = Math.min(PAGE, ORPHANS - at);
    await site.chunkStore.append(
      Array.from({ length: count }, () => ({ kind: 'data' as const, hash: 'sha256:x', data })),
    );
  }
  const reading = await site.objects.openObject({ bucket: BUCKET, key: 'k' });
  const collected = site.engine.space.gcRun();
  // long enough for several surveys
  for (let turn = 0; turn < 500; turn++) await new Promise((resolve) => setImmediate(resolve));
  reading.close();
  const { freed } = await collected;
  assert.deepEqual(freed.orphans, { records: ORPHANS, bytes: ORPHANS });
});
