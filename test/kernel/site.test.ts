/** A site's life: what opens, what closes, in which order, and what is left when something fails. */
import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { SkerryError, type GatewayServices, type ObjectService } from '../../core/contracts/index.ts';
import type { Site } from '../../core/index.ts';
import { makeSite, withDirectory, type SiteSetup } from './fixtures/site.ts';

const OPENED = ['metaStore', 'chunkStore', 'conflictResolver', 'auth', 'gateway'];

/** A started site in a directory of its own, stopped at the end. */
async function withSite<T>(
  setup: Omit<SiteSetup, 'dataDir'>,
  use: (site: Site, dataDir: string) => Promise<T>,
): Promise<T> {
  return withDirectory(async (dataDir) => {
    const site = await makeSite({ ...setup, dataDir });
    await site.start();
    try {
      return await use(site, dataDir);
    } finally {
      await site.stop();
    }
  });
}

async function put(objects: ObjectService, bucket: string, key: string, text: string): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  await objects.putObject({
    bucket,
    key,
    body: { bytes },
    owner: 'me',
    headers: {},
    metadata: {},
    storageClass: 'STANDARD',
  });
}

describe('order', () => {
  test('stores before auth before gateways, and back after draining', async () => {
    const events: string[] = [];
    await withSite({ events }, async (site) => {
      assert.deepEqual(
        events,
        OPENED.map((part) => `open ${part}`),
      );
      assert.deepEqual(site.addresses(), ['test://here']);
      await site.stop({ graceMs: 7 });
      assert.deepEqual(events.slice(OPENED.length), ['drain 7', ...OPENED.toReversed().map((part) => `close ${part}`)]);
    });
  });

  for (const [index, part] of OPENED.entries()) {
    test(`${part} that cannot open closes those before it and frees the directory`, async () => {
      await withDirectory(async (dataDir) => {
        const events: string[] = [];
        const error = new SkerryError('OutOfSpace', 'no room', { details: { at: part } });
        const site = await makeSite({ dataDir, events, failing: { part, error } });
        await assert.rejects(site.start(), { code: 'OutOfSpace', message: /did not open: no room/ });
        const before = OPENED.slice(0, index);
        assert.deepEqual(events, [
          ...[...before, part].map((name) => `open ${name}`),
          ...before.toReversed().map((name) => `close ${name}`),
        ]);
        assert.deepEqual(site.health.ready(), { ready: false, reason: 'the site could not start' });
        const next = await makeSite({ dataDir });
        await next.start();
        await next.stop();
      });
    });
  }
});

describe('stopping', () => {
  test('is idempotent, shared, and takes its grace from the configuration', async () => {
    const events: string[] = [];
    await withSite({ events, env: { SKERRY__shutdown__graceMs: '1234' } }, async (site) => {
      await Promise.all([site.stop(), site.stop({ graceMs: 1 }), site.whenStopped()]);
      assert.deepEqual(
        events.filter((event) => event.startsWith('drain')),
        ['drain 1234'],
      );
    });
  });

  test('reports a failing drain and closes everything all the same', async () => {
    await withDirectory(async (dataDir) => {
      const events: string[] = [];
      const onDrain = async (): Promise<void> => {
        throw new SkerryError('Timeout', 'a request would not end');
      };
      const site = await makeSite({ dataDir, events, onDrain });
      await site.start();
      await assert.rejects(site.stop(), { code: 'Timeout' });
      await assert.rejects(site.whenStopped(), { code: 'Timeout' });
      assert.ok(events.includes('close metaStore'));
      const next = await makeSite({ dataDir });
      await next.start();
      await next.stop();
    });
  });

  test('the admin service begins it', async () => {
    await withSite({}, async (site) => {
      await site.services().admin.stop();
      await site.whenStopped();
      assert.equal(site.health.live(), false);
    });
  });

  test('health and services follow', async () => {
    await withDirectory(async (dataDir) => {
      let duringDrain: unknown;
      const site: Site = await makeSite({
        dataDir,
        onDrain: async () => {
          duringDrain = { live: site.health.live(), ready: site.health.ready().ready };
        },
      });
      assert.throws(() => site.services(), { code: 'Closed' });
      assert.equal(site.health.live(), false);
      await site.start();
      assert.deepEqual([site.health.live(), site.health.ready()], [true, { ready: true }]);
      await assert.rejects(site.start(), { code: 'Closed' });
      await site.stop();
      assert.deepEqual(duringDrain, { live: true, ready: false });
      assert.throws(() => site.services(), { code: 'Closed' });
    });
  });

  test('before the start, too', async () => {
    await withDirectory(async (dataDir) => {
      const site = await makeSite({ dataDir });
      await site.stop();
      await assert.rejects(site.start(), { code: 'Closed' });
    });
  });
});

describe('several sites', () => {
  test('one process holds two, each with its own data, identity and hooks', async () => {
    await withSite({ env: { SKERRY_SITE_ID: 'one' } }, async (one) =>
      withSite({ env: { SKERRY_SITE_ID: 'two', SKERRY_BUCKETS: 'only-in-two' } }, async (two) => {
        const [first, second] = [await one.status(), await two.status()];
        assert.deepEqual([first.site, second.site], ['one', 'two']);
        assert.notEqual(first.origin, second.origin);
        assert.deepEqual(await one.services().admin.listBuckets(), []);
        assert.equal((await two.services().admin.listBuckets())[0]?.name, 'only-in-two');
      }),
    );
  });

  test('not two on one directory', async () => {
    await withSite({}, async (_site, dataDir) => {
      const second = await makeSite({ dataDir });
      await assert.rejects(second.start(), {
        code: 'Locked',
        message: new RegExp(`in use by process ${process.pid}$`),
      });
    });
  });
});

describe('first start', () => {
  test('makes root credentials for the owner alone, and the next start finds them', async () => {
    await withDirectory(async (dataDir) => {
      const file = join(dataDir, 'root-credentials');
      const first = await makeSite({ dataDir });
      await first.start();
      const root = first.rootCredentials();
      assert.deepEqual(root, {
        accessKeyId: root?.accessKeyId,
        file,
        created: true,
      });
      const identity = first.services().identities.find(root?.accessKeyId ?? '');
      assert.equal(
        await readFile(file, 'utf8'),
        `[default]\naws_access_key_id = ${identity?.accessKeyId}\naws_secret_access_key = ${identity?.secretKey}\n`,
      );
      const { site } = await first.services().admin.status();
      assert.deepEqual([identity?.policy, identity?.displayName], ['admin', `root of ${site}`]);
      assert.equal((await stat(root?.file ?? '')).mode & 0o777, 0o600);
      await first.stop();
      // The memory store has forgotten the identity, as after a crash between file and commit: the file's is made again.
      const second = await makeSite({ dataDir });
      await second.start();
      assert.equal(second.rootCredentials()?.accessKeyId, root?.accessKeyId);
      assert.equal(second.services().identities.find(root?.accessKeyId ?? '')?.secretKey, identity?.secretKey);
      await second.stop();
    });
  });

  test('takes the root of the environment instead, keeps it out of the store, and makes the buckets', async () => {
    const env = {
      SKERRY_ROOT_ACCESS_KEY: 'ROOTKEY',
      SKERRY_ROOT_SECRET_KEY: 'rootsecret',
      SKERRY_BUCKETS: 'one-bucket,two-bucket',
    };
    await withSite({ env }, async (site) => {
      const { admin, identities } = site.services();
      assert.equal(site.rootCredentials(), undefined);
      const keys = await admin.listKeys();
      assert.deepEqual(
        keys.map(({ accessKeyId, fromConfig, policy }) => [accessKeyId, fromConfig, policy]),
        [['ROOTKEY', true, 'admin']],
      );
      const owner = identities.find('ROOTKEY')?.userId;
      const buckets = await admin.listBuckets();
      assert.deepEqual(
        buckets.map((bucket) => [bucket.name, bucket.owner]),
        [
          ['one-bucket', owner],
          ['two-bucket', owner],
        ],
      );
      await assert.rejects(admin.removeKey('ROOTKEY'), { code: 'InvalidArgument' });
    });
  });

  test('a bucket name that S3 refuses is a fault of the configuration', async () => {
    await withDirectory(async (dataDir) => {
      const site = await makeSite({ dataDir, env: { SKERRY_BUCKETS: 'good-one,Bad_One' } });
      await assert.rejects(site.start(), {
        code: 'InvalidConfig',
        message: /SKERRY_BUCKETS: seed\.buckets\.1: Bad_One is not a bucket name/,
      });
    });
  });
});

describe('administration', () => {
  test('keys are made, listed without secrets, changed and removed', async () => {
    await withSite({}, async (site) => {
      const { admin, identities } = site.services();
      const made = await admin.createKey({ displayName: 'Ann', policy: 'rw' });
      assert.ok(made.accessKeyId.length === 20 && made.secretKey.length === 40);
      assert.ok(!JSON.stringify(await admin.listKeys()).includes(made.secretKey));
      assert.equal((await admin.setKeyEnabled(made.accessKeyId, false)).enabled, false);
      assert.equal((await admin.setKeyPolicy(made.accessKeyId, 'ro')).policy, 'ro');
      await assert.rejects(admin.createKey({ accessKeyId: made.accessKeyId, policy: 'rw' }), { code: 'AlreadyExists' });
      await admin.removeKey(made.accessKeyId);
      assert.equal(identities.find(made.accessKeyId), undefined);
      await assert.rejects(admin.removeKey(made.accessKeyId), { code: 'NotFound' });
    });
  });

  test('buckets are made, set, refused while full, and removed by force with all versions and uploads', async () => {
    await withSite({}, async (site) => {
      const { admin, objects } = site.services();
      assert.equal((await admin.createBucket('versions', { versioning: true })).versioning, 'Enabled');
      await put(objects, 'versions', 'a', 'one');
      await put(objects, 'versions', 'a', 'two');
      await objects.deleteObject({ bucket: 'versions', key: 'a', owner: 'me' });
      await objects.createUpload({
        bucket: 'versions',
        key: 'u',
        owner: 'me',
        initiator: 'me',
        headers: {},
        metadata: {},
        storageClass: 'STANDARD',
      });
      assert.equal((await site.status()).counters.uploads, 1);
      await assert.rejects(admin.removeBucket('versions'), { code: 'BucketNotEmpty' });
      await admin.removeBucket('versions', { force: true });
      assert.deepEqual(await admin.listBuckets(), []);
      await assert.rejects(admin.createBucket('No_Such_Name'), { code: 'InvalidBucketName' });
      await assert.rejects(admin.createBucket('fine', { owner: 'nobody' }), { code: 'NotFound' });
    });
  });

  test('settings by name', async () => {
    await withSite({ env: { SKERRY_BUCKETS: 'settings' } }, async (site) => {
      const { admin } = site.services();
      assert.equal(await admin.getBucketSetting('settings', 'tagging'), null);
      await admin.setBucketSetting('settings', 'tagging', { a: 'b' });
      assert.deepEqual(await admin.getBucketSetting('settings', 'tagging'), { a: 'b' });
      await assert.rejects(admin.getBucketSetting('settings', 'colour'), {
        code: 'InvalidArgument',
        message: /colour is not a bucket setting/,
      });
    });
  });

  test('status says who, where, since when and how much', async () => {
    await withSite({ env: { SKERRY_SITE_ID: 'waw', SKERRY_BUCKETS: 'data-bucket' } }, async (site, dataDir) => {
      await put(site.services().objects, 'data-bucket', 'k', 'hello');
      const status = await site.status();
      assert.equal(status.site, 'waw');
      assert.match(status.origin, /^waw\.[0-9a-f]{16}$/);
      assert.match(status.version, /^\d+\.\d+\.\d+/);
      assert.deepEqual([status.pid, status.dataDir, status.ready], [process.pid, dataDir, true]);
      assert.deepEqual(status.counters, { buckets: 1, objects: 1, objectBytes: 5, uploads: 0 });
      assert.equal(status.plugins['gateways.0'], 'gateway-test');
      assert.ok(status.memoryBytes > 0 && status.storage.liveBytes > 0 && Object.values(status.vector)[0]);
    });
  });

  test('without gateways the stores are open and nobody listens', async () => {
    const events: string[] = [];
    await withSite({ events, options: { gateways: false } }, async (site) => {
      assert.ok(!events.includes('open gateway'));
      assert.deepEqual(site.addresses(), []);
      await site.services().admin.createBucket('made-offline');
    });
  });
});

describe('hooks of a site', () => {
  test('a veto stops a write and a fact tells of one', async () => {
    await withDirectory(async (dataDir) => {
      const site = await makeSite({ dataDir, env: { SKERRY_BUCKETS: 'hooked' } });
      const told: string[] = [];
      site.hooks.onVeto('beforeWrite', 'no-secrets', async ({ key }) => {
        if (key === 'secret') throw new SkerryError('AccessDenied', 'no secrets here');
      });
      site.hooks.onFact('committed', 'teller', ({ ops }) => told.push(...ops.map(({ body }) => body.type)));
      await site.start();
      try {
        const { objects } = site.services();
        await put(objects, 'hooked', 'open', 'x');
        await assert.rejects(put(objects, 'hooked', 'secret', 'x'), { code: 'AccessDenied' });
        assert.deepEqual(
          told.filter((type) => type.startsWith('version')),
          ['version.put'],
        );
        assert.throws(() => site.hooks.onFact('committed', 'late', () => {}), { code: 'Closed' });
      } finally {
        await site.stop();
      }
    });
  });

  test('a gateway gets the services of its own site', async () => {
    let services: GatewayServices | undefined;
    await withSite({ onServices: (given) => (services = given) }, async (site) => {
      assert.equal(services?.objects, site.services().objects);
      assert.equal(services?.admin, site.services().admin);
      assert.equal(services?.health, site.health);
    });
  });
});
