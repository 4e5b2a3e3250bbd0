/** Rule 7: tags, ACL, locks and each setting of a bucket are registers of their own; none brings old bytes back. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import type { Json, VersionSettingName } from '../../core/contracts/index.ts';
import { put } from '../engine/exchange.ts';
import { BUCKET, type WholeSite } from '../engine/whole-site.ts';
import { meet, pass, pull, read, setBucket, settingsOf, sites } from './support.ts';

const set = (site: WholeSite, name: VersionSettingName, value: Json, versionId?: string): Promise<unknown> =>
  site.objects.putVersionSetting({ bucket: BUCKET, key: 'k', ...(versionId ? { versionId } : {}) }, name, value);

describe('rule 7: settings are registers of their own', () => {
  test('tag vs ACL: a tag set at one site and an ACL set at another both hold', async () => {
    await using world = await sites();
    const { a, b } = world;
    await put(a, 'k', 'x');
    await meet(a, b);
    await set(a, 'tags', { colour: 'red' });
    await set(b, 'acl', 'public-read');
    await meet(a, b);
    assert.deepEqual(await settingsOf(a, 'k'), { tags: { colour: 'red' }, acl: 'public-read' });
  });

  test('two tags: the larger stamp holds, in both orders of arrival', async () => {
    await using world = await sites();
    const { a, b } = world;
    await put(a, 'k', 'x');
    await meet(a, b);
    await set(a, 'tags', 'older');
    pass(1000, b);
    await set(b, 'tags', 'newer');
    await pull(a, b);
    assert.deepEqual(await settingsOf(b, 'k'), { tags: 'newer' });
    await meet(a, b);
    assert.deepEqual(await settingsOf(a, 'k'), { tags: 'newer' });
  });

  test('a tag on a version that was overwritten meanwhile brings nothing back, and stays with its version', async () => {
    await using world = await sites();
    const { a, b } = world;
    await setBucket(a, 'versioning', 'Enabled');
    const { versionId } = await put(a, 'k', 'old');
    await meet(a, b);
    await put(b, 'k', 'new');
    pass(1000, a);
    await set(a, 'tags', 't');
    await meet(a, b);
    for (const site of [a, b]) {
      assert.equal(await read(site, 'k'), 'new');
      assert.deepEqual([await settingsOf(site, 'k'), await settingsOf(site, 'k', versionId)], [{}, { tags: 't' }]);
    }
  });

  test('settings of a bucket: each is one, and the larger stamp of each holds', async () => {
    await using world = await sites();
    const { a, b } = world;
    await setBucket(a, 'cors', 'older');
    await setBucket(a, 'tagging', 'of a');
    pass(1000, b);
    await setBucket(b, 'cors', 'newer');
    await setBucket(b, 'policy', 'of b');
    await pull(a, b);
    await meet(a, b);
    for (const { objects } of [a, b])
      assert.deepEqual((await objects.getBucket(BUCKET)).settings, { cors: 'newer', tagging: 'of a', policy: 'of b' });
  });

  test('API keys: one made at one site works at the other, and a removal reaches it', async () => {
    await using world = await sites();
    const { a, b } = world;
    const { accessKeyId } = await a.engine.identities.create({ policy: 'rw' });
    await meet(a, b);
    assert.deepEqual(await accessKeysOf(b), [accessKeyId]);
    await b.engine.identities.remove(accessKeyId);
    await meet(a, b);
    assert.deepEqual(await accessKeysOf(a), []);
  });
});

async function accessKeysOf({ engine }: WholeSite): Promise<readonly string[]> {
  await engine.identities.open();
  return engine.identities.list().map(({ accessKeyId }) => accessKeyId);
}
