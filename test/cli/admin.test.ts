/** bucket, key and status: the same over the admin socket of a running site and directly on the data of a stopped one. */
import assert from 'node:assert/strict';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';

import { scratch, serve, skerry, skerryFails, skerryJson, type Serving } from './command.ts';

interface Key {
  readonly accessKeyId: string;
  readonly secretKey?: string;
  readonly policy: unknown;
  readonly enabled: boolean;
}

const READ_ONLY_STATEMENT = { Effect: 'Allow', Action: ['s3:GetObject'], Resource: ['arn:aws:s3:::photos/*'] };
const POLICY = { Version: '2012-10-17', Statement: [READ_ONLY_STATEMENT] };
const PUBLIC = { Version: '2012-10-17', Statement: [{ ...READ_ONLY_STATEMENT, Principal: '*' }] };

describe('administration of a running site', () => {
  const { path: cwd, remove } = scratch();
  let site: Serving | undefined;

  before(async () => {
    site = await serve({ cwd });
  });
  after(async () => {
    await site?.end();
    remove();
  });

  test('status', async () => {
    const status = await skerryJson<Record<string, unknown>>(['status'], { cwd });
    assert.deepEqual([status['running'], status['pid'], status['ready']], [true, site?.pid, true]);
    assert.equal(status['dataDir'], join(cwd, 'data'));
    assert.match((await skerry(['status'], { cwd })).stdout, /running \(process \d+\), ready/);
  });

  test('buckets: create, list, info, versioning, policy, delete', async () => {
    const made = await skerryJson<{ name: string; versioning: string }>(['bucket', 'create', 'photos'], { cwd });
    assert.deepEqual([made.name, made.versioning], ['photos', 'Off']);
    await skerryJson(['bucket', 'create', 'kept', '--versioning'], { cwd });
    const listed = await skerryJson<readonly { name: string; versioning: string }[]>(['bucket', 'list'], { cwd });
    assert.deepEqual(
      listed.map(({ name, versioning }) => [name, versioning]),
      [
        ['kept', 'Enabled'],
        ['photos', 'Off'],
      ],
    );
    const { stdout } = await skerry(['bucket', 'list'], { cwd });
    assert.match(stdout, /^NAME +OWNER +VERSIONING +CREATED\nkept +\S+ +Enabled +20\d\d-/);

    await skerryJson(['bucket', 'versioning', 'photos', 'enabled'], { cwd });
    assert.equal((await skerry(['bucket', 'versioning', 'photos'], { cwd })).stdout, 'Enabled\n');

    writeFileSync(join(cwd, 'public.json'), JSON.stringify(PUBLIC));
    await skerryJson(['bucket', 'policy', 'photos', 'public.json'], { cwd });
    const info = await skerryJson<{ settings: object }>(['bucket', 'info', 'photos'], { cwd });
    assert.deepEqual(info.settings, { policy: PUBLIC });
    await skerryJson(['bucket', 'policy', 'photos', '--clear'], { cwd });
    assert.equal((await skerry(['bucket', 'policy', 'photos'], { cwd })).stdout, 'no policy\n');

    for (const name of ['kept', 'photos']) await skerryJson(['bucket', 'delete', name], { cwd });
    assert.equal((await skerry(['bucket', 'list'], { cwd })).stdout, 'no buckets\n');
  });

  test('keys: create, list, info, disable, enable, policy, delete', async () => {
    const made = await skerryJson<Key>(['key', 'create', '--policy', 'ro', '--access-key', 'READER'], { cwd });
    assert.deepEqual([made.accessKeyId, made.policy, made.enabled], ['READER', 'ro', true]);
    assert.ok((made.secretKey ?? '').length >= 40);
    const list = await skerry(['key', 'list', '--json'], { cwd });
    assert.equal(list.stdout.includes('secretKey'), false);
    assert.ok((JSON.parse(list.stdout) as readonly Key[]).some(({ accessKeyId }) => accessKeyId === 'READER'));

    assert.equal((await skerryJson<Key>(['key', 'disable', 'READER'], { cwd })).enabled, false);
    assert.match((await skerry(['key', 'info', 'READER'], { cwd })).stdout, /state +disabled/);
    assert.equal((await skerryJson<Key>(['key', 'enable', 'READER'], { cwd })).enabled, true);
    writeFileSync(join(cwd, 'policy.json'), JSON.stringify(POLICY));
    const changed = await skerryJson<Key>(['key', 'policy', 'READER', 'policy.json'], { cwd });
    assert.deepEqual(changed.policy, POLICY);
    await skerryJson(['key', 'delete', 'READER'], { cwd });
    assert.equal((await skerryFails(['key', 'info', 'READER'], { cwd })).code, 'NotFound');
  });

  test('a secret of one`s own comes from a file, and is shown this once', async () => {
    writeFileSync(join(cwd, 'secret'), 'my own secret key\n');
    const { stdout } = await skerry(['key', 'create', '--access-key', 'MINE', '--secret-key-file', 'secret'], {
      cwd,
    });
    assert.match(stdout, /secret key +my own secret key\n/);
  });

  test('refusals keep their code and say what to do', async () => {
    await skerryJson(['bucket', 'create', 'taken'], { cwd });
    writeFileSync(join(cwd, 'no-policy.json'), '{"Statement":[{"Effect":"Maybe"}]}');
    const table: readonly (readonly [args: readonly string[], code: string])[] = [
      [['bucket', 'create', 'taken'], 'BucketAlreadyOwnedByYou'],
      [['bucket', 'create', 'Not_A_Name'], 'InvalidBucketName'],
      [['bucket', 'create', 'other', '--owner', 'nobody'], 'NotFound'],
      [['bucket', 'policy', 'taken', 'no-policy.json'], 'InvalidArgument'],
      [['bucket', 'info', 'missing'], 'NoSuchBucket'],
      [['bucket', 'delete', 'missing'], 'NoSuchBucket'],
      [['bucket', 'versioning', 'missing', 'enabled'], 'NoSuchBucket'],
      [['key', 'create', '--access-key', 'a b'], 'InvalidArgument'],
      [['key', 'enable', 'NOBODY'], 'NotFound'],
      [['key', 'delete', 'NOBODY'], 'NotFound'],
    ];
    const errors = await Promise.all(table.map(async ([args]) => skerryFails(args, { cwd })));
    assert.deepEqual(
      errors.map((error, at) => [table[at]?.[0], error.code]),
      table,
    );
    const { stderr } = await skerry(['bucket', 'info', 'missing'], { cwd });
    assert.equal(stderr, 'skerry: there is no bucket missing\nhint: skerry bucket list shows them all\n');
  });

  test('replication without a transport says what is missing', async () => {
    const { code, message, hint } = await skerryFails(['repl-status'], { cwd });
    assert.equal(code, 'Unavailable');
    assert.equal(message, 'nothing replicates here: there is no plugins.transport');
    assert.match(hint ?? '', /plugins\.transport and replication\.peers/);
  });

  test('a port that is taken names the way to another', async () => {
    const listen = new URL(site?.url ?? '').host;
    const { code, hint } = await skerryFails(['serve', '--data-dir', 'second', '--listen', listen], { cwd });
    assert.deepEqual([code, /--listen/.test(hint ?? '')], ['Unavailable', true]);
  });
});

describe('administration of a stopped site', () => {
  const { path: cwd, remove } = scratch();
  after(remove);

  test('works on its data, and leaves it to the next start', async () => {
    await (await serve({ cwd })).end();
    const status = await skerryJson<Record<string, unknown>>(['status'], { cwd });
    assert.deepEqual([status['running'], status['dataDir']], [false, join(cwd, 'data')]);
    await skerryJson(['bucket', 'create', 'photos', '--versioning'], { cwd });
    const [bucket] = await skerryJson<readonly { name: string; versioning: string }[]>(['bucket', 'list'], { cwd });
    assert.deepEqual([bucket?.name, bucket?.versioning], ['photos', 'Enabled']);
    assert.equal((await skerryFails(['bucket', 'create', 'photos'], { cwd })).code, 'BucketAlreadyOwnedByYou');
    const made = await skerryJson<Key>(['key', 'create', '--access-key', 'READER', '--policy', 'ro'], { cwd });
    assert.ok((made.secretKey ?? '').length >= 40);
    assert.equal((await skerryJson<Key>(['key', 'disable', 'READER'], { cwd })).enabled, false);
    await skerryJson(['key', 'delete', 'READER'], { cwd });
    await skerryJson(['bucket', 'delete', 'photos'], { cwd });
    const { stdout, stderr } = await skerry(['status'], { cwd });
    assert.match(stdout, /state +not running/);
    assert.equal(stderr, '', 'no logs of a site that does not serve');
  });
});

describe('what one side makes the other uses', () => {
  const { path: cwd, remove } = scratch();
  let site: Serving | undefined;
  after(async () => {
    await site?.end();
    remove();
  });

  test('a key made while the site is stopped signs requests once it runs; disabled, it does not', async () => {
    await (await serve({ cwd })).end();
    const key = await skerryJson<Key>(['key', 'create', '--policy', 'rw'], { cwd });
    await skerryJson(['bucket', 'create', 'shared', '--owner', key.accessKeyId], { cwd });
    site = await serve({ cwd });
    const credentials = { accessKeyId: key.accessKeyId, secretAccessKey: key.secretKey ?? '' };
    const s3 = new S3Client({ endpoint: site.url, region: 'us-east-1', forcePathStyle: true, credentials });
    await s3.send(new PutObjectCommand({ Bucket: 'shared', Key: 'k', Body: 'v' }));
    await skerryJson(['key', 'disable', key.accessKeyId], { cwd });
    await assert.rejects(s3.send(new GetObjectCommand({ Bucket: 'shared', Key: 'k' })), { name: 'InvalidAccessKeyId' });
  });

  test('a bucket with objects is removed only with --force', async () => {
    const error = await skerryFails(['bucket', 'delete', 'shared'], { cwd });
    assert.deepEqual([error.code, /--force/.test(error.hint ?? '')], ['BucketNotEmpty', true]);
    await skerryJson(['bucket', 'delete', 'shared', '--force'], { cwd });
  });

  test('a running site that cannot be reached is not worked around', async () => {
    rmSync(join(cwd, 'data/admin.sock'));
    const error = await skerryFails(['bucket', 'list'], { cwd });
    assert.equal(error.code, 'Locked');
    assert.match(error.message, new RegExp(`process ${site?.pid}\\b`));
    assert.match(error.hint ?? '', /admin\.enabled/);
  });
});

test('a mistyped place makes no site', async () => {
  const { path: cwd, remove } = scratch();
  try {
    const error = await skerryFails(['key', 'list', '--data-dir', 'dta'], { cwd });
    assert.deepEqual([error.code, /--data-dir/.test(error.hint ?? '')], ['NotFound', true]);
    assert.deepEqual(readdirSync(cwd), []);
  } finally {
    remove();
  }
});

test('keys of the configuration are shown as such and cannot be changed', async () => {
  const { path: cwd, remove } = scratch();
  const site = await serve({ cwd, env: { SKERRY_ROOT_ACCESS_KEY: 'ROOT', SKERRY_ROOT_SECRET_KEY: 'root-secret' } });
  try {
    assert.doesNotMatch(site.stdout(), /First start/);
    const { stdout } = await skerry(['key', 'list'], { cwd });
    assert.match(stdout, /ROOT +root +admin +enabled +configuration/);
    assert.equal((await skerryFails(['key', 'disable', 'ROOT'], { cwd })).code, 'InvalidArgument');
  } finally {
    await site.end();
    remove();
  }
});
