/** repl-conflicts and repl-promote: on the data of a stopped site and over the admin socket of a running one. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';

import type { ConflictedKey, Op, ResolvedConflict, VersionPut } from '../../core/contracts/index.ts';
import { loadConfig } from '../../core/index.ts';
import { createHealth } from '../../core/kernel/health.ts';
import { createHooks } from '../../core/kernel/hooks.ts';
import { prepareSite } from '../../core/kernel/open-site.ts';
import { nodeFiles } from '../../core/kernel/runtime/files.ts';
import { createNodeRuntime } from '../../core/kernel/runtime/index.ts';
import { nodeHost } from '../../core/kernel/runtime/lock.ts';
import { silentLogger } from '../support/plugin-deps.ts';
import { Author } from '../engine/support.ts';
import { scratch, serve, skerry, skerryFails, skerryJson } from './command.ts';
import { env, putPhotos, rootClient } from './photos.ts';

/** A put of a site that has seen nothing of this one, long ago by its clock. */
function unseenPut(
  author: Author,
  key: string,
  text: string,
): { readonly op: Op<VersionPut>; readonly body: Uint8Array } {
  const body = Buffer.from(text);
  const hash = `sha256:${createHash('sha256').update(body).digest('hex')}`;
  const op = author.write<VersionPut>(
    {
      type: 'version.put',
      bucket: 'photos',
      key,
      nullVersion: true,
      marker: false,
      owner: 'somebody',
      modifiedAtMs: 1_700_000_000_000,
      content: {
        size: body.length,
        etag: createHash('md5').update(body).digest('hex'),
        manifest: [{ hash, length: body.length }],
        headers: {},
        metadata: {},
        storageClass: 'STANDARD',
      },
    },
    1_700_000_000_000,
  );
  return { op, body };
}

/** Lets another site's ops into the data of a stopped site, by the door that replication uses. */
async function receive(
  dataDir: string,
  batch: readonly { readonly op: Op; readonly body: Uint8Array }[],
): Promise<void> {
  const { runtime, close } = createNodeRuntime(silentLogger);
  const loaded = await loadConfig({ values: {}, env: {}, flags: { dataDir }, cwd: dataDir, files: nodeFiles });
  const site = await prepareSite({
    loaded,
    runtime,
    host: nodeHost,
    hooks: createHooks(silentLogger),
    health: createHealth(),
    status: () => Promise.reject(new Error('nobody asks')),
    requestStop: () => undefined,
    withGateways: false,
  });
  await site.open();
  const { outcomes } = await site.graph.engine.replica.apply(batch);
  assert.deepEqual(
    outcomes,
    batch.map(() => 'applied'),
  );
  await site.close();
  await close();
}

describe('repl-conflicts', () => {
  const { path: cwd, remove } = scratch();
  const keys = ['cat', 'dog', 'emu'];

  before(async () => {
    await putPhotos(cwd, Object.fromEntries(keys.map((key) => [key, `${key} of waw`])));
    const ber = new Author('ber');
    await receive(
      join(cwd, 'data'),
      keys.map((key) => unseenPut(ber, key, `${key} of ber`)),
    );
  });
  after(remove);

  test('list and show name both sides; nothing is listed twice or beyond the limit', async () => {
    const listed = await skerryJson<readonly ConflictedKey[]>(['repl-conflicts', 'list'], { cwd });
    assert.deepEqual(
      listed.map(({ bucket, key }) => `${bucket}/${key}`),
      ['photos/cat', 'photos/dog', 'photos/emu'],
    );
    const { stdout } = await skerry(['repl-conflicts', 'list', 'photos', '--limit', '2'], { cwd });
    assert.match(
      stdout,
      /^BUCKET +KEY +CURRENT +LOST\nphotos +cat +waw \S+ \S+ +ber 2023-11-14 \S+\nphotos +dog .*\nmore than 2/,
    );
    assert.equal((await skerryJson<unknown[]>(['repl-conflicts', 'list', '--prefix', 'd'], { cwd })).length, 1);
    assert.equal((await skerry(['repl-conflicts', 'list', '--prefix', 'x'], { cwd })).stdout, 'no conflicts\n');
    const shown = await skerry(['repl-conflicts', 'show', 'photos', 'cat'], { cwd });
    assert.match(
      shown.stdout,
      /^ROLE .*\ncurrent +\S+\.waw\.\S+ +waw .* object +10 B .*\nconflict +\S+\.ber\.\S+ +ber .*/,
    );
  });

  test('what cannot be is refused with its code', async () => {
    assert.equal((await skerryFails(['repl-conflicts', 'show', 'photos', 'absent'], { cwd })).code, 'NotFound');
    assert.equal((await skerryFails(['repl-conflicts', 'list', 'absent'], { cwd })).code, 'NoSuchBucket');
    const wrongSide = ['repl-conflicts', 'resolve', 'photos', 'cat', '--choose', 'waw'];
    assert.equal((await skerryFails(wrongSide, { cwd })).code, 'NotFound');
    await skerryFails(['repl-conflicts', 'resolve', 'photos', 'cat'], { cwd }, 2);
    assert.equal((await skerryFails(['repl-promote'], { cwd })).code, 'NotSupported');
  });

  test('resolve: choose a side on the stopped site, keep all on the running one', async () => {
    const { losers } = await skerryJson<ConflictedKey>(['repl-conflicts', 'show', 'photos', 'cat'], { cwd });
    const chosen = await skerry(
      ['repl-conflicts', 'resolve', 'photos', 'cat', '--choose', losers[0]?.versionId ?? ''],
      { cwd },
    );
    assert.equal(chosen.stdout, 'resolved: 1 version no longer in conflict\n');
    const site = await serve({ cwd, env });
    const s3 = rootClient(site.url);
    const read = async (Key: string) =>
      (await s3.send(new GetObjectCommand({ Bucket: 'photos', Key }))).Body?.transformToString();
    assert.equal(await read('cat'), 'cat of ber');
    const kept = await skerryJson<ResolvedConflict>(['repl-conflicts', 'resolve', 'photos', 'dog', '--choose', 'all'], {
      cwd,
    });
    assert.equal(await read('dog'), 'dog of waw');
    assert.equal(await read(kept.kept[0]?.key ?? ''), 'dog of ber');
    const left = await skerryJson<readonly ConflictedKey[]>(['repl-conflicts', 'list'], { cwd });
    assert.deepEqual(
      left.map(({ key }) => key),
      ['emu'],
    );
    s3.destroy();
    assert.equal(await site.end(), 0);
  });
});

describe('repl-promote', () => {
  const { path: cwd, remove } = scratch();
  after(remove);

  test('a replica refuses writes and serves, and takes them once it is promoted', async () => {
    const site = await serve({
      cwd,
      env: { ...env, SKERRY__plugins__conflictResolver: '{ "use": "primary", "role": "replica", "primary": "ber" }' },
    });
    const s3 = rootClient(site.url);
    const refused = await fetch(`${site.url}/photos`);
    assert.equal(refused.status, 404);
    assert.equal((await skerryFails(['bucket', 'create', 'new'], { cwd })).code, 'AccessDenied');
    const promoted = await skerry(['repl-promote'], { cwd });
    assert.equal(promoted.stdout, 'waw is the primary, epoch 1\n');
    await skerryJson(['bucket', 'create', 'new'], { cwd });
    await s3.send(new PutObjectCommand({ Bucket: 'new', Key: 'k', Body: 'x' }));
    s3.destroy();
    assert.equal(await site.end(), 0);
  });
});
