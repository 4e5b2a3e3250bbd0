/** `?versionId=null` while the null version moves: which one it is the key's head tells, where it is another row. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MetaReader } from '../../core/contracts/index.ts';
import { findObject } from '../../core/engine/versions.ts';
import { BUCKET, noise, wholeSite, type WholeSite } from './whole-site.ts';

const KEY = 'key';
const NULL = { bucket: BUCKET, key: KEY, versionId: 'null' };

/** Meanwhile `change` happens once, behind the first read. */
function interrupted(reader: MetaReader, change: () => Promise<unknown>): MetaReader {
  let isDue = true;
  return {
    scan: (range) => reader.scan(range),
    async get(keys) {
      const rows = await reader.get(keys);
      if (isDue) {
        isDue = false;
        await change();
      }
      return rows;
    },
  };
}

const put = (site: WholeSite, bytes: Buffer) =>
  site.objects.putObject({
    bucket: BUCKET,
    key: KEY,
    owner: 'owner',
    body: { bytes },
    headers: {},
    metadata: {},
    storageClass: 'STANDARD',
  });

/** The null version lies behind a numbered one. */
async function nullBehind(site: WholeSite): Promise<string> {
  await put(site, noise(10, 1));
  await site.objects.putBucketSetting(BUCKET, 'versioning', 'Enabled');
  const { versionId } = await put(site, noise(20, 2));
  assert.ok(versionId);
  return versionId;
}

test('a null version that becomes the current one between two reads is found', async () => {
  await using site = await wholeSite();
  const versionId = await nullBehind(site);
  const reader = interrupted(site.metaStore, () =>
    site.objects.deleteObject({ bucket: BUCKET, key: KEY, versionId, owner: 'owner' }),
  );
  const { info } = await findObject(reader, NULL);
  assert.deepEqual([info.versionId, info.content.size, info.isLatest], ['null', 10, true]);
});

test('a null version that is removed between two reads is not', async () => {
  await using site = await wholeSite();
  await nullBehind(site);
  const reader = interrupted(site.metaStore, () => site.objects.deleteObject({ ...NULL, owner: 'owner' }));
  await assert.rejects(findObject(reader, NULL), { code: 'NoSuchVersion' });
});
