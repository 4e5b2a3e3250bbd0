/** Rule 12: restored and cloned data directories are fenced; two live sites with one id refuse each other. */
import assert from 'node:assert/strict';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import type { Site } from '../../core/index.ts';
import {
  BUCKET,
  freePort,
  keysOf,
  put,
  putOnceAccepted,
  restoreInPlace,
  started,
  stop,
  until,
  type SiteSpec,
} from '../kernel/fixtures/real-sites.ts';
import { withDirectory } from '../kernel/fixtures/site.ts';
import { Cluster } from '../replication/fixtures/cluster.ts';

interface Lost {
  readonly waw: SiteSpec;
  readonly peer: Site;
  readonly backup: string;
  /** The origin that wrote. */
  readonly was: string;
}

/** A site wrote k1, was backed up, wrote k2, which its peer has, and stopped. */
async function afterBackup(use: (lost: Lost) => Promise<void>): Promise<void> {
  await withDirectory(async (directory) => {
    const port = await freePort();
    const waw = { id: 'waw', dataDir: join(directory, 'waw'), peers: { ber: port } };
    const backup = join(directory, 'backup');
    const peer = await started({ id: 'ber', dataDir: join(directory, 'ber'), port, peers: {} });
    let site = await started(waw);
    await site.services().objects.createBucket({ bucket: BUCKET, owner: 'owner' });
    await put(site, 'k1');
    await stop(site);
    await cp(waw.dataDir, backup, { recursive: true });
    site = await started(waw);
    await put(site, 'k2');
    const { origin: was, vector } = await site.status();
    await until('the peer has it', async () => (await peer.status()).vector[was] === vector[was]);
    await stop(site);
    try {
      await use({ waw, peer, backup, was });
    } finally {
      await stop(peer);
    }
  });
}

describe('rule 12: a past that was taken away is noticed', () => {
  test('restored backup: the site has what it had acknowledged, as another origin, before it accepts a write', () =>
    afterBackup(async ({ waw, peer, backup, was }) => {
      await restoreInPlace(backup, waw.dataDir);
      const site = await started(waw);
      try {
        await putOnceAccepted(site, 'k3');
        assert.deepEqual(await keysOf(site), ['k1', 'k2', 'k3']);
        const { origin } = await site.status();
        assert.notEqual(origin, was);
        await until('the peer has it', async () => ((await peer.status()).vector[origin] ?? 0) > 0);
        assert.deepEqual(await keysOf(peer), ['k1', 'k2', 'k3']);
      } finally {
        await stop(site);
      }
    }));

  test('cloned site: a copy of the data directory is another origin from its first moment', () =>
    afterBackup(async ({ waw, backup, was }) => {
      const site = await started({ ...waw, dataDir: backup });
      try {
        assert.notEqual((await site.status()).origin, was);
      } finally {
        await stop(site);
      }
    }));

  test('a handshake is enough: who knows more of us stops us, whichever side calls, and nothing of a second history gets out', async () => {
    for (const calls of ['restored', 'peer'] as const) {
      const cluster = new Cluster();
      const waw = cluster.model('waw');
      const ops = ['k0', 'k1', 'k2'].map((key) => waw.put(key, []));
      const ber = await cluster.join({
        site: 'ber',
        replica: cluster.model('ber'),
        peers: calls === 'peer' ? ['waw'] : [],
      });
      await ber.replica.apply(ops.map((op) => ({ op })));
      const old = cluster.model('waw');
      await old.apply(ops.slice(0, 2).map((op) => ({ op })));
      const again = await cluster.join({ site: 'waw', replica: old, peers: calls === 'restored' ? ['ber'] : [] });
      await cluster.time.run(60_000);
      assert.deepEqual(
        again.facts.map(({ kind }) => kind),
        ['fenced'],
      );
      old.put('other', []);
      await cluster.time.run(60_000);
      assert.equal(ber.replica.state()['other'], undefined);
      await cluster.stop();
    }
  });

  test('a second history as long as the first is found by the stamp of the last op that the peer knows', async () => {
    const cluster = new Cluster();
    const waw = cluster.model('waw');
    const ops = ['k0', 'k1'].map((key) => waw.put(key, []));
    const ber = await cluster.join({ site: 'ber', replica: cluster.model('ber'), peers: [] });
    await ber.replica.apply(ops.map((op) => ({ op })));
    const old = cluster.model('waw');
    await old.apply(ops.slice(0, 1).map((op) => ({ op })));
    await cluster.time.run(10);
    for (const key of ['other', 'another']) old.put(key, []);
    const again = await cluster.join({ site: 'waw', replica: old, peers: ['ber'] });
    await cluster.time.run(60_000);
    assert.deepEqual(
      again.facts.map((fact) => fact.kind === 'fenced' && fact.diverged),
      [true],
    );
    assert.deepEqual(Object.keys(ber.replica.state()), ['k0', 'k1']);
    await cluster.stop();
  });

  test('two sites with one id refuse each other, loudly, on both sides', async () => {
    const cluster = new Cluster();
    const replica = cluster.model('waw', { incarnation: 'fedcba9876543210' });
    const waw = await cluster.join({ site: 'waw', replica: cluster.model('waw'), peers: [] });
    const impostor = await cluster.join({ site: 'waw', replica, peers: ['waw'], hidden: true });
    replica.put('k', []);
    await cluster.time.run(60_000);
    for (const { facts } of [waw, impostor])
      assert.deepEqual(
        facts.map(({ kind }) => kind),
        ['duplicate-site'],
      );
    assert.deepEqual(waw.replica.state(), {});
    assert.equal((await impostor.replication.status()).peers[0]?.state, 'duplicate-site');
    await cluster.stop();
  });
});
