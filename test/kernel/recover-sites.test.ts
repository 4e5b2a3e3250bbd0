/**
 * Sites that cannot go on by themselves, end to end (rules 12 and 14): real files, real HTTP, the real command. What they say, what they refuse,
 * and that the way out which docs/operations.md gives works and loses nothing that was acknowledged and shipped.
 */
import assert from 'node:assert/strict';
import { cp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, test } from 'node:test';

import { createSite, loadConfig, type Site } from '../../core/index.ts';
import { nodeFiles } from '../../core/kernel/runtime/files.ts';
import { skerry, skerryFails, skerryJson } from '../cli/command.ts';
import { BUCKET, freePort, get, keysOf, put, restoreInPlace, until } from './fixtures/real-sites.ts';
import { withDirectory } from './fixtures/site.ts';

interface Spec {
  readonly id: string;
  readonly dataDir: string;
  /** It answers here. */
  readonly port: number;
  readonly peers: Readonly<Record<string, number>>;
}

/** Each forgets operations as soon as it may. */
const FORGETFUL = { keepOps: 0, purgeIntervalMs: 100, tombstoneGraceMs: 0, leaseTtlMs: 1000 };

async function started({ id, dataDir, port, peers }: Spec): Promise<Site> {
  const loaded = await loadConfig({
    values: {
      site: { id },
      plugins: {
        transport: { use: 'http', listen: `127.0.0.1:${port}` },
        gateways: [{ use: 's3', listen: '127.0.0.1:0' }],
      },
      replication: {
        clusterKey: 'a key that is long enough to be one',
        peers: Object.entries(peers).map(([site, at]) => ({ site, url: `http://127.0.0.1:${at}` })),
        backoffMinMs: 20,
        backoffMaxMs: 200,
        longPollMs: 200,
        ...FORGETFUL,
      },
      log: { level: 'silent' },
    },
    env: {},
    flags: { dataDir },
    cwd: tmpdir(),
    files: nodeFiles,
  });
  const site = createSite(loaded);
  await site.start();
  return site;
}

const stop = (site: Site): Promise<void> => site.stop({ graceMs: 0 });
const status = (site: Site) => site.services().admin.replicationStatus();

interface Pair {
  readonly waw: Spec;
  readonly ber: Spec;
  readonly directory: string;
  /** Whatever runs in the end is stopped. */
  readonly start: (spec: Spec) => Promise<Site>;
}

/** waw dials ber. */
async function withPair(use: (pair: Pair) => Promise<void>): Promise<void> {
  await withDirectory(async (directory) => {
    const ports = { waw: await freePort(), ber: await freePort() };
    const spec = (id: 'waw' | 'ber', peers: Spec['peers']): Spec => ({
      id,
      dataDir: join(directory, id),
      port: ports[id],
      peers,
    });
    const sites: Site[] = [];
    const start = async (given: Spec): Promise<Site> => {
      const site = await started(given);
      sites.push(site);
      return site;
    };
    try {
      await use({ waw: spec('waw', { ber: ports.ber }), ber: spec('ber', {}), directory, start });
    } finally {
      await Promise.all(sites.map(stop));
    }
  });
}

/** Ops that the site can still give to others. */
function opsKept({ dataDir }: Spec): number {
  const db = new DatabaseSync(join(dataDir, 'meta-sqlite', 'meta.sqlite'), { readOnly: true });
  try {
    return Number(db.prepare('SELECT count(*) AS count FROM oplog').get()?.['count']);
  } finally {
    db.close();
  }
}

const has = (site: Site, keys: readonly string[]): Promise<void> =>
  until(`${keys.join()} are there`, async () => {
    const buckets = await site.services().admin.listBuckets();
    return buckets.length > 0 && (await keysOf(site)).join() === [...keys].sort().join();
  });

/** What a load balancer is told. */
async function health(site: Site): Promise<string> {
  const [url] = site.addresses();
  const answer = await fetch(`${url}/-/health/ready`);
  return `${answer.status} ${await answer.text()}`;
}

describe('a restored site that no peer can prove to be unchanged', () => {
  test('stands still and says so; repl-recover lets it go on, with all that it had acknowledged', async () => {
    await withPair(async ({ waw, ber, directory, start }) => {
      const backup = join(directory, 'backup');
      const peer = await start(ber);
      let site = await start(waw);
      await site.services().objects.createBucket({ bucket: BUCKET, owner: 'owner' });
      for (const key of ['k1', 'k2']) await put(site, key);
      await has(peer, ['k1', 'k2']);
      await stop(site);
      await cp(waw.dataDir, backup, { recursive: true });
      site = await start(waw);
      for (const key of ['k3', 'k4']) await put(site, key);
      await has(peer, ['k1', 'k2', 'k3', 'k4']);
      const { origin: was, vector } = await site.status();
      await until('ber has forgotten every op', async () => opsKept(ber) === 0);
      await stop(site);
      await restoreInPlace(backup, waw.dataDir);

      site = await start(waw);
      const cli = ['repl-recover', '--data-dir', waw.dataDir];
      const where = { cwd: directory };
      await until('ber proves nothing', async () => (await status(site)).fenced?.unproven?.join() === 'ber');
      await assert.rejects(put(site, 'k5'), { code: 'Unavailable', message: /it was restored from a backup/ });
      assert.match(await health(site), /^200 ready to read; writes are refused: .*restored from a backup/);
      assert.deepEqual(await keysOf(site), ['k1', 'k2'], 'reads go on');
      assert.match(
        (await skerry(['repl-status', '--data-dir', waw.dataDir], where)).stdout,
        /ber cannot prove that nothing was written here since: see skerry repl-recover --help/,
      );
      const unsaid = await skerryFails(cli, where, 2);
      assert.match(`${unsaid.message} ${unsaid.hint ?? ''}`, /would be lost.*--nothing-written/);
      assert.equal((await site.status()).origin, was, 'nothing was decided');

      assert.deepEqual(await skerryJson([...cli, '--nothing-written'], where), { recovering: true });
      await until('a write is accepted', () =>
        put(site, 'k5').then(
          () => true,
          (error: { readonly code: string }) => assert.equal(error.code, 'Unavailable') === null,
        ),
      );
      assert.deepEqual(await keysOf(site), ['k1', 'k2', 'k3', 'k4', 'k5'], 'not before all is back');
      assert.notEqual((await site.status()).origin, was);
      assert.equal((await site.status()).vector[was], vector[was]);
      for (const key of ['k1', 'k2', 'k3', 'k4']) assert.equal(String(await get(site, key)), key);
      await has(peer, ['k1', 'k2', 'k3', 'k4', 'k5']);
      assert.equal((await status(site)).fenced, undefined);
      assert.equal((await skerryFails([...cli, '--nothing-written'], where)).code, 'Conflict');
    });
  });
});

describe('a removed site that has what no other has', () => {
  test('stands still over restarts, repl-recover does not touch it; copied out and started empty it loses nothing', async () => {
    await withPair(async ({ waw, ber, directory, start }) => {
      let peer = await start(ber);
      let site = await start(waw);
      await site.services().objects.createBucket({ bucket: BUCKET, owner: 'owner' });
      await put(site, 'shipped');
      await has(peer, ['shipped']);
      const { origin: was } = await site.status();
      await stop(peer);
      for (const key of ['own1', 'own2']) await put(site, key);
      await stop(site);
      peer = await start(ber);
      await peer.services().admin.removeMember('waw');
      await put(peer, 'later');

      const where = { cwd: directory };
      for (let run = 0; run < 2; run++) {
        site = await start(waw);
        await assert.rejects(put(site, 'own3'), { code: 'Unavailable', message: /removed from the cluster/ });
        await until('it says what is at stake', async () => /lacks its last 2 ops: copy out/.test(await health(site)));
        const { evicted, peers } = await status(site);
        assert.deepEqual([evicted?.by, (evicted?.ownSeq ?? 0) - (evicted?.knownSeq ?? 0)], ['ber', 2]);
        assert.deepEqual([peers[0]?.state, (await site.status()).origin], ['evicted', was]);
        assert.match(
          (await skerry(['repl-status', '--data-dir', waw.dataDir], where)).stdout,
          /STANDS STILL: removed from the cluster; its last 2 ops are nowhere else/,
        );
        const recover = ['repl-recover', '--nothing-written', '--data-dir', waw.dataDir];
        assert.equal((await skerryFails(recover, where)).code, 'Conflict');
        assert.deepEqual(await keysOf(site), ['own1', 'own2', 'shipped'], 'reads go on');
        assert.deepEqual(await keysOf(peer), ['later', 'shipped'], 'nothing of it gets out');
        if (run === 0) await stop(site);
      }
      const copies = await Promise.all(
        ['own1', 'own2'].map(async (key) => [key, String(await get(site, key))] as const),
      );
      await stop(site);
      await rm(waw.dataDir, { recursive: true });
      site = await start(waw);
      assert.deepEqual(await keysOf(site), ['later', 'shipped'], 'it is ready with what the others have');
      for (const [key, text] of copies) await put(site, key, text);
      const all = ['later', 'own1', 'own2', 'shipped'];
      for (const each of [site, peer]) {
        await has(each, all);
        for (const key of all) assert.equal(String(await get(each, key)), key);
      }
      assert.notEqual((await site.status()).origin, was);
      assert.equal((await status(site)).evicted, undefined);
    });
  });
});
