/** A disk that fills up, in the middle of one large write and by many small ones: a tmpfs of a few megabytes. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';

import { BadInputRig, until } from './support.ts';

const MIB = 1024 * 1024;
const DISK_BYTES = 56 * MIB;
const mountPoint = mkdtempSync(join(tmpdir(), 'skerry-disk-full-'));
const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'skerry-test', mountPoint], {
  encoding: 'utf8',
});
const skip =
  mounted.status === 0 ? false : `no small disk: mounting a tmpfs needs root (${(mounted.stderr ?? '').trim()})`;
after(() => {
  if (mounted.status === 0) spawnSync('umount', ['--lazy', mountPoint]);
  rmSync(mountPoint, { recursive: true, force: true });
});

/** The rest is for the meta-store. */
const start = (): Promise<BadInputRig> =>
  BadInputRig.start({ dataDir: join(mountPoint, 'data'), chunkStore: { minFreeBytes: 12 * MIB } });
const freeBytes = async (rig: BadInputRig): Promise<number> => (await rig.site.status()).storage.freeBytes ?? 0;

describe('a full disk', { skip }, () => {
  const kept = randomBytes(3 * MIB);

  test('in the middle of a PUT is 507; the old object stays, and the space comes back', async () => {
    await using rig = await start();
    assert.equal((await rig.put('kept', kept)).status, 200);
    const before = { free: await freeBytes(rig), live: await rig.liveBytes() };
    const tooMuch = randomBytes(DISK_BYTES + 8 * MIB);
    const answer = await rig.put('kept', tooMuch);
    assert.deepEqual([answer.status, answer.code], [507, 'InsufficientStorage']);
    assert.deepEqual((await rig.get('kept')).body, kept);
    await until(async () => (await rig.liveBytes()) <= before.live + MIB);
    await until(async () => (await freeBytes(rig)) >= before.free - 9 * MIB);
    const again = randomBytes(20 * MIB);
    assert.equal((await rig.put('large', again)).status, 200);
    assert.deepEqual((await rig.get('large')).body, again);
    assert.equal((await rig.call({ method: 'DELETE', path: '/photos/large' })).status, 204);
    assert.equal((await rig.call({ method: 'GET', path: '/-/health/live' })).status, 200);
  });

  test('of a part is 507, and the upload goes on once there is space', async () => {
    await using rig = await start();
    const path = '/photos/parts';
    const started = await rig.call({ method: 'POST', path, query: { uploads: '' } });
    const uploadId = /<UploadId>([^<]+)/.exec(started.body.toString())?.[1] ?? '';
    const part = (number: number, bytes: number) => {
      const query = { uploadId, partNumber: String(number) };
      return rig.call({ method: 'PUT', path, query, body: randomBytes(bytes) });
    };
    assert.equal((await part(1, 6 * MIB)).status, 200);
    const refused = await part(2, DISK_BYTES);
    assert.deepEqual([refused.status, refused.code], [507, 'InsufficientStorage']);
    assert.equal((await part(2, 6 * MIB)).status, 200);
    assert.equal((await rig.call({ method: 'DELETE', path, query: { uploadId } })).status, 204);
  });

  test('by many small objects: what was acknowledged is there, over a restart too, and deleting makes room', async () => {
    const body = (at: number): Buffer => Buffer.alloc(60_000, `small ${at} `);
    let count = 0;
    {
      await using rig = await start();
      for (let full = false; !full;) {
        const answer = await rig.put(`small/${count}`, body(count));
        full = answer.status !== 200;
        if (full) assert.deepEqual([answer.status, answer.code], [507, 'InsufficientStorage']);
        else count++;
        assert.ok(count < 2000, 'the disk must fill up');
      }
      for (let at = 0; at < count; at++) assert.deepEqual((await rig.get(`small/${at}`)).body, body(at));
    }
    await using rig = await start();
    assert.deepEqual((await rig.get('kept')).body, kept);
    for (let at = 0; at < count; at++) assert.deepEqual((await rig.get(`small/${at}`)).body, body(at));
    for (let at = 0; at < count; at++) {
      const answer = await rig.call({ method: 'DELETE', path: `/photos/small/${at}` });
      assert.equal(answer.status, 204, answer.code);
    }
    await until(async () => (await freeBytes(rig)) > 20 * MIB);
    assert.equal((await rig.put('after', body(0))).status, 200);
    assert.deepEqual((await rig.get('after')).body, body(0));
  });
});
