/** Real sites over HTTP, default stores: bytes that rot on the disk, rows that are lost, versions shown before their bytes. */
import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, test } from 'node:test';

import type { ValidateInput, ValidationReport } from '../../core/contracts/index.ts';
import type { Site } from '../../core/index.ts';
import { noise } from '../engine/whole-site.ts';
import { BUCKET, CLUSTER_KEY, put, stop } from '../kernel/fixtures/real-sites.ts';
import { withDirectory } from '../kernel/fixtures/site.ts';
import { configuredSite } from '../support/configured-site.ts';
import { turn } from '../support/turn.ts';

const SMALL = noise(20_000, 1);
const LARGE = noise(9_000_000, 2);

interface Peer {
  readonly site: string;
  readonly url: string;
}

interface Options {
  readonly peers?: readonly Peer[];
  readonly visibility?: 'complete' | 'eager';
  readonly validateIntervalMs?: number;
}

async function startSite(directory: string, id: string, { peers = [], ...options }: Options = {}): Promise<Site> {
  const site = await configuredSite(join(directory, id), {
    site: { id },
    plugins: {
      transport: { use: 'http', ...(peers.length === 0 ? { listen: '127.0.0.1:0' } : {}) },
      gateways: [{ use: 's3', listen: '127.0.0.1:0' }],
      auth: { use: 'anonymous' },
    },
    replication: { clusterKey: CLUSTER_KEY, peers, longPollMs: 1000, ...options },
  });
  await site.start();
  return site;
}

interface Pair {
  readonly hub: Site;
  readonly edge: Site;
  readonly directory: string;
}

/** A hub that listens, and an edge that dials it. */
async function withPair(options: Options, use: (pair: Pair) => Promise<void>): Promise<void> {
  await withDirectory(async (directory) => {
    const hub = await startSite(directory, 'hub');
    const [url = ''] = (await hub.services().admin.replicationStatus()).addresses;
    const edge = await startSite(directory, 'edge', { ...options, peers: [{ site: 'hub', url }] });
    try {
      await hub.services().objects.createBucket({ bucket: BUCKET, owner: 'owner' });
      await use({ hub, edge, directory });
    } finally {
      await stop(edge);
      await stop(hub);
    }
  });
}

async function pullAll(edge: Site): Promise<void> {
  const { pendingVersions } = await edge.services().admin.pullFrom('hub');
  assert.equal(pendingVersions, 0);
}

const urlOf = (site: Site, key: string): string => `${site.addresses()[0] ?? ''}/${BUCKET}/${key}`;

async function get(site: Site, key: string, range?: string): Promise<Buffer> {
  const response = await fetch(urlOf(site, key), range === undefined ? {} : { headers: { range } });
  assert.ok(response.ok, `${response.status}`);
  return Buffer.from(await response.arrayBuffer());
}

/** Flips one byte of everything that holds this piece of content on the disk. How often it did. */
async function rot(directory: string, content: Buffer): Promise<number> {
  let flipped = 0;
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.parentPath.includes('meta')) continue;
    const path = join(entry.parentPath, entry.name);
    const bytes = await readFile(path);
    const before = flipped;
    for (let at = bytes.indexOf(content); at >= 0; at = bytes.indexOf(content, at + 1)) {
      bytes[at] = (bytes[at] ?? 0) ^ 0x01;
      flipped++;
    }
    if (flipped > before) await writeFile(path, bytes);
  }
  return flipped;
}

async function validate(site: Site, input: ValidateInput): Promise<ValidationReport> {
  const { admin } = site.services();
  await admin.startValidation(input);
  for (let state = await admin.validation(); ; state = await admin.validation()) {
    if (state.error) assert.fail(state.error.message);
    if (!state.running && state.report) return state.report;
    await turn();
  }
}

describe('two sites over HTTP', () => {
  test('a GET of bytes that rotted on the disk is answered right, from the peer; so is the next one, without it', async () => {
    await withPair({}, async ({ hub, edge, directory }) => {
      await put(hub, 'small', SMALL);
      await put(hub, 'large', LARGE);
      await pullAll(edge);
      assert.ok((await rot(join(directory, 'edge'), SMALL.subarray(100, 200))) > 0);
      assert.ok((await rot(join(directory, 'edge'), LARGE.subarray(5_000_000, 5_000_100))) > 0);
      assert.deepEqual(await get(edge, 'small'), SMALL);
      assert.deepEqual(await get(edge, 'large', 'bytes=4999990-5000009'), LARGE.subarray(4_999_990, 5_000_010));
      assert.deepEqual(await get(edge, 'large'), LARGE);
      const { integrity } = await edge.services().admin.replicationStatus();
      assert.deepEqual([integrity.damagedChunks, integrity.repairedChunks], [2, 2]);
      await stop(hub);
      assert.deepEqual(await get(edge, 'small'), SMALL);
      assert.deepEqual(await get(edge, 'large'), LARGE);
    });
  });

  test('bytes that no site within reach has: 503 with Retry-After before the first byte, else a broken connection', async () => {
    await withPair({}, async ({ hub, edge, directory }) => {
      await put(hub, 'small', SMALL);
      await put(hub, 'large', LARGE);
      await pullAll(edge);
      await rot(join(directory, 'edge'), SMALL.subarray(0, 100));
      await rot(join(directory, 'edge'), LARGE.subarray(8_000_000, 8_000_100));
      await stop(hub);
      for (let state = 'connected'; state === 'connected';)
        state = (await edge.services().admin.replicationStatus()).peers[0]?.state ?? '';
      const refused = await fetch(urlOf(edge, 'small'));
      assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '5']);
      assert.match(await refused.text(), /<Code>ServiceUnavailable<\/Code>/);
      const begun = await fetch(urlOf(edge, 'large'));
      assert.equal(begun.status, 200);
      await assert.rejects(begun.arrayBuffer());
    });
  });

  test('repl-validate --deep --repair finds what rotted and puts it right', async () => {
    await withPair({}, async ({ hub, edge, directory }) => {
      for (let i = 0; i < 20; i++) await put(hub, `k${i}`, noise(5000 + i, 100 + i));
      await put(hub, 'large', LARGE);
      await pullAll(edge);
      assert.equal((await validate(edge, { deep: true })).isSound, true);
      await rot(join(directory, 'edge'), noise(5003, 103).subarray(10, 60));
      await rot(join(directory, 'edge'), LARGE.subarray(100, 200));
      const found = await validate(edge, { deep: true });
      assert.deepEqual([found.isSound, found.bytes?.badCount, found.bytes?.repairedCount], [false, 2, 0]);
      assert.deepEqual(found.bytes?.bad.map(({ key, what }) => [key, what]).toSorted(), [
        ['k3', 'damaged'],
        ['large', 'damaged'],
      ]);
      const repaired = await validate(edge, { deep: true, repair: true });
      assert.deepEqual([repaired.isSound, repaired.bytes?.repairedCount], [true, 2]);
      assert.equal((await validate(edge, { deep: true })).isSound, true);
      assert.deepEqual(await get(edge, 'large'), LARGE);
    });
  });

  test('a row that was lost while the site was down is found by counting, and put back by a repair', async () => {
    await withDirectory(async (directory) => {
      const hub = await startSite(directory, 'hub');
      const [url = ''] = (await hub.services().admin.replicationStatus()).addresses;
      const options = { peers: [{ site: 'hub', url }], validateIntervalMs: 20 };
      let edge = await startSite(directory, 'edge', options);
      try {
        await hub.services().objects.createBucket({ bucket: BUCKET, owner: 'owner' });
        await put(hub, 'lost', SMALL);
        await pullAll(edge);
        await stop(edge);
        loseRow(join(directory, 'edge'), `${BUCKET}\0lost`);
        edge = await startSite(directory, 'edge', options);
        const { admin } = edge.services();
        const check = async (outcome: string): Promise<void> => {
          while ((await admin.replicationStatus()).integrity.peers['hub']?.outcome !== outcome) await turn();
        };
        // its digest is as it was before the row went: only counting the rows tells
        await check('equal');
        const local = await validate(edge, { peers: [] });
        assert.deepEqual([local.isSound, local.local.damagedDigestLeaves], [false, 1]);
        const report = await validate(edge, { repair: true });
        assert.deepEqual(
          report.peers[0]?.differences.map(({ entity, has, repaired }) => [entity.kind, has, repaired]),
          [['version', 'theirs', true]],
        );
        while ((await admin.replicationStatus()).pending.versions > 0) await turn();
        assert.deepEqual(await get(edge, 'lost'), SMALL);
        assert.equal((await validate(edge, {})).isSound, true);
      } finally {
        await stop(edge);
        await stop(hub);
      }
    });
  });

  test('eager: HEAD and a range GET at once, a client that goes away stops nothing', async () => {
    await withPair({ visibility: 'eager' }, async ({ hub, edge }) => {
      const seen = new Promise<void>((resolve) => {
        const poll = async (): Promise<void> => {
          const response = await fetch(urlOf(edge, 'large'), { method: 'HEAD' });
          if (response.ok) resolve();
          else setImmediate(() => void poll());
        };
        void poll();
      });
      await put(hub, 'large', LARGE);
      await seen;
      const gone = new AbortController();
      const begun = await fetch(urlOf(edge, 'large'), { signal: gone.signal });
      gone.abort();
      await assert.rejects(begun.arrayBuffer());
      assert.deepEqual(await get(edge, 'large', 'bytes=8000000-8000099'), LARGE.subarray(8_000_000, 8_000_100));
      assert.deepEqual(await get(edge, 'large'), LARGE);
      while ((await edge.services().admin.replicationStatus()).pending.versions > 0) await turn();
      assert.equal((await validate(edge, { deep: true })).isSound, true);
    });
  });
});

/** As a disk that lies loses it: the database itself is whole. */
function loseRow(dataDir: string, key: string): void {
  const database = new DatabaseSync(join(dataDir, 'meta-sqlite', 'meta.sqlite'));
  const { changes } = database.prepare('DELETE FROM heads WHERE k = ?').run(Buffer.from(key));
  database.close();
  assert.equal(changes, 1);
}
