/** Rule 17: whatever was done to a site, its meta-store can be thrown away and comes back from the chunk-store. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import {
  isSkerryError,
  type ChunkStore,
  type CompletedPart,
  type MetaStore,
  type ObjectService,
  type PartInfo,
} from '../../core/contracts/index.ts';
import { createEngine, type Engine } from '../../core/engine/engine.ts';
import { rebuildIndex } from '../../core/engine/rebuild.ts';
import { createNodeRuntime } from '../../core/kernel/runtime/index.ts';
import chunksFs from '../../plugins/chunks-fs/index.ts';
import type { Options as FsOptions } from '../../plugins/chunks-fs/options.ts';
import metaSqlite from '../../plugins/meta-sqlite/index.ts';
import type { Options as SqliteOptions } from '../../plugins/meta-sqlite/options.ts';
import { defaultOptions, pluginDeps, silentLogger, temporaryDirectory } from '../support/plugin-deps.ts';
import { dump } from './support.ts';
import { noise } from './whole-site.ts';

const BUCKETS = ['one', 'two', 'three'] as const;
const KEYS = ['a', 'b', 'dir/c', '..', 'nul\0', 'ü'] as const;
const SIZES = [0, 1, 700, 5000, 40_000, 170_000] as const;

function seeded(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

interface Stores {
  readonly metaStore: MetaStore;
  readonly chunkStore: ChunkStore;
}

async function openStores(dir: string): Promise<Stores> {
  const { options: sqlite } = metaSqlite;
  const { options: fs } = chunksFs;
  const metaStore = metaSqlite.create(
    pluginDeps(join(dir, 'meta')),
    defaultOptions<SqliteOptions>(sqlite, { synchronous: 'off' }),
  );
  const chunkStore = chunksFs.create(
    pluginDeps(join(dir, 'chunks')),
    defaultOptions<FsOptions>(fs, { segmentMaxBytes: 262_144 }),
  );
  await metaStore.open();
  await chunkStore.open();
  return { metaStore, chunkStore };
}

async function closeStores({ metaStore, chunkStore }: Stores): Promise<void> {
  await metaStore.close();
  await chunkStore.close();
}

async function openEngine(stores: Stores, incarnation = '0123456789abcdef'): Promise<Engine> {
  const deps = {
    ...createNodeRuntime(silentLogger).runtime,
    ...stores,
    siteId: 'waw',
    incarnation,
    masterKey: new Uint8Array(32),
    configIdentities: [],
    hooks: { beforeWrite: () => undefined, committed: () => {} },
    options: { ingest: { chunkBytes: 4000, dedupMinBytes: 1000 } },
    partMinBytes: 1,
  };
  const engine = createEngine(deps);
  await engine.open();
  return engine;
}

const named = ({ number, etag }: PartInfo): CompletedPart => ({ number, etag });

/** One random step; what the state forbids is refused, and that is fine. */
async function step(objects: ObjectService, { identities }: Engine, pick: (below: number) => number): Promise<void> {
  const bucket = BUCKETS[pick(BUCKETS.length)] ?? 'one';
  const key = KEYS[pick(KEYS.length)] ?? 'a';
  const bytes = noise(SIZES[pick(SIZES.length)] ?? 0, 1 + pick(4));
  const put = {
    bucket,
    key,
    body: { bytes },
    owner: 'o',
    headers: {},
    metadata: { n: `${pick(9)}` },
    storageClass: 'S',
  };
  const ref = { bucket, key };
  const steps: readonly (() => Promise<unknown>)[] = [
    () => objects.createBucket({ bucket, owner: 'o' }),
    () => objects.deleteBucket(bucket),
    () => objects.putBucketSetting(bucket, 'versioning', pick(2) === 0 ? 'Enabled' : 'Suspended'),
    () => objects.putBucketSetting(bucket, 'tagging', { n: pick(9) }),
    () => objects.putObject(put),
    () => objects.putObject(put),
    () => objects.putObject({ ...put, settings: { tags: { t: `${pick(9)}` } } }),
    () => objects.deleteObject({ ...ref, owner: 'o' }),
    async () => {
      const { entries } = await objects.listVersions({ bucket, limit: 100 });
      const version = entries[pick(Math.max(1, entries.length))];
      if (version) await objects.deleteObject({ bucket, key: version.key, versionId: version.versionId, owner: 'o' });
    },
    () => objects.putVersionSetting(ref, 'tags', { t: `${pick(9)}` }),
    () => objects.copyObject({ source: ref, bucket: 'one', key: 'copy', owner: 'o', copyTags: true }),
    () => identities.create({ accessKeyId: `KEY${pick(5)}`, policy: 'ro' }),
    async () => {
      const upload = await objects.createUpload({ ...ref, ...put, initiator: 'o' });
      const parts: CompletedPart[] = [];
      for (let number = 1; number <= 1 + pick(50); number++)
        parts.push(named(await objects.putPart({ ...upload, number, body: { bytes: noise(1 + pick(9000), number) } })));
      if (pick(3) > 0) await objects.completeUpload({ ...upload, parts });
    },
  ];
  await steps[pick(steps.length)]?.().catch((error: unknown) => {
    if (!isSkerryError(error) || !/^(NoSuch|Bucket|AlreadyExists|MethodNotAllowed)/.test(error.code)) throw error;
  });
}

/** Every version with its bytes, as clients see it. */
async function everything(objects: ObjectService): Promise<readonly string[]> {
  const seen: string[] = [];
  for (const { name: bucket } of (await objects.listBuckets({ limit: 10 })).entries) {
    for (const { key, versionId, marker } of (await objects.listVersions({ bucket, limit: 1000 })).entries) {
      if (marker) continue;
      const object = await objects.openObject({ bucket, key, versionId });
      const hash = createHash('sha256');
      for await (const piece of object.read(0, object.info.content.size)) hash.update(piece);
      seen.push([bucket, key, versionId, hash.digest('hex'), JSON.stringify(await object.parts())].join(' '));
      object.close();
    }
  }
  return seen;
}

/** A rebuilt site gives space back like any other: nothing of the old one is left behind. */
async function assertAllGoes({ objects, garbage }: Engine, { chunkStore, metaStore }: Stores): Promise<void> {
  for (const { name: bucket } of (await objects.listBuckets({ limit: 10 })).entries) {
    for (const { key, versionId } of (await objects.listVersions({ bucket, limit: 1000 })).entries)
      await objects.deleteObject({ bucket, key, versionId, owner: 'o' });
    await objects.deleteBucket(bucket);
  }
  while ((await garbage.run()) > 0);
  assert.deepEqual(await metaStore.scan({ space: 'chunks', limit: 10 }), []);
  assert.deepEqual(await metaStore.scan({ space: 'refs', limit: 10 }), []);
  // the reclaimer frees behind the commit's back; what is never freed ends at the test's own limit
  while ((await Array.fromAsync(chunkStore.scan())).flat().some(({ kind }) => kind !== 'op'))
    await new Promise((resolve) => setImmediate(resolve));
}

describe('rebuilding the index', () => {
  for (const seed of [1, 2, 3]) {
    test(`after 250 random writes, restarts and a crash (seed ${seed})`, async () => {
      const { path, remove } = await temporaryDirectory();
      try {
        const pick = seeded(seed);
        let stores = await openStores(path);
        let engine = await openEngine(stores);
        for (const bucket of BUCKETS) await engine.objects.createBucket({ bucket, owner: 'o' });
        for (let run = 0; run < 5; run++) {
          for (let i = 0; i < 50; i++) await step(engine.objects, engine, pick);
          // every second time the process is killed: the log of ops has not been closed
          if (run % 2 === 0) await engine.close();
          await closeStores(stores);
          stores = await openStores(path);
          engine = await openEngine(stores);
        }
        const before = { state: await dump(stores.metaStore), seen: await everything(engine.objects) };
        await engine.close();
        await closeStores(stores);
        assert.ok(before.seen.length > 5, 'the workload must have left something');

        await rm(join(path, 'meta'), { recursive: true });
        stores = await openStores(path);
        const report = await rebuildIndex(stores);
        assert.deepEqual([report.damage, report.gaps, report.missing], [[], [], []]);
        assert.deepEqual(await dump(stores.metaStore), before.state);
        await assert.rejects(rebuildIndex(stores), { code: 'AlreadyExists' });
        engine = await openEngine(stores, 'fedcba9876543210');
        assert.deepEqual(await everything(engine.objects), before.seen);
        await assertAllGoes(engine, stores);
        await engine.close();
        await closeStores(stores);
      } finally {
        await remove();
      }
    });
  }

  test('what is lost is named, and then nothing is given back', async () => {
    const { path, remove } = await temporaryDirectory();
    try {
      let stores = await openStores(path);
      const put = { bucket: 'one', owner: 'o', headers: {}, metadata: {}, storageClass: 'S' };
      for (const key of ['a', 'b', 'c']) {
        // a record of ops for each
        const engine = await openEngine(stores);
        if (key === 'a') await engine.objects.createBucket({ bucket: 'one', owner: 'o' });
        await engine.objects.putObject({ ...put, key, body: { bytes: noise(5000, key.charCodeAt(0)) } });
        await engine.close();
      }
      await closeStores(stores);
      await rm(join(path, 'meta'), { recursive: true });
      stores = await openStores(path);
      const records = (await Array.fromAsync(stores.chunkStore.scan())).flat();
      const opOfB = records.filter(({ kind }) => kind === 'op')[1];
      const dataOfA = records.find(({ kind }) => kind === 'data');
      const report = await rebuildIndex(hiding(stores, [opOfB?.locator, dataOfA?.locator]));
      assert.deepEqual(report.gaps, [{ origin: 'waw.0123456789abcdef', from: 4, to: 4 }]);
      assert.deepEqual([report.missing, report.ops, report.freed], [[dataOfA?.hash], 2, 0]);
      const engine = await openEngine(stores, 'fedcba9876543210');
      const { plan, freed } = await engine.space.gcRun();
      assert.match(plan.blocked ?? '', /rebuilt with losses/);
      const { orphans, unreferenced } = plan.garbage;
      assert.deepEqual([orphans.records, unreferenced.records, freed.orphans.records, freed.chunks], [1, 4, 0, 0]);
      const all = await engine.space.gcRun({ despiteLosses: true });
      assert.deepEqual([all.freed.orphans.records, all.freed.chunks], [1, 4]);
      assert.equal((await engine.space.gcPlan()).blocked, undefined);
      await engine.close();
      await closeStores(stores);
    } finally {
      await remove();
    }
  });
});

/** Stores whose scan does not show these records, as after damage. */
function hiding({ metaStore, chunkStore }: Stores, hidden: readonly (string | undefined)[]): Stores {
  async function* scan(): ReturnType<ChunkStore['scan']> {
    for await (const batch of chunkStore.scan()) yield batch.filter(({ locator }) => !hidden.includes(locator));
  }
  return { metaStore, chunkStore: { ...chunkStore, read: (locator) => chunkStore.read(locator), scan } };
}
