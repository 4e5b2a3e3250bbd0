/** Garbage collection and crashes: what a kill leaves comes back, and a kill in the middle of collecting loses nothing. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { GcPlan, GcReport } from '../../core/contracts/index.ts';
import { Signer } from '../bench/signer.ts';
import { skerry, skerryJson } from '../cli/command.ts';
import { CREDENTIALS, startSite, type SiteProcess } from './site-process.ts';
import { Workload, seededRandom } from './workload.ts';

const MIB = 1024 * 1024;
const BUCKET = 'crash';
const KILLS = 5;
const CLIENTS = 4;

async function withDirectory(use: (dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'skerry-gc-'));
  try {
    await use(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Bytes of all segment files. */
async function segmentBytes(dataDir: string): Promise<number> {
  const folder = join(dataDir, 'chunks-fs');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.skc'));
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Sends part of a body and never the rest; settles when the site is gone. */
async function beginPut(port: number, key: string, bytes: Buffer, size: number): Promise<void> {
  const path = `/${BUCKET}/${key}`;
  const headers = new Signer(CREDENTIALS, `127.0.0.1:${port}`).headers('PUT', path, '', 'UNSIGNED-PAYLOAD');
  const socket = connect({ port, host: '127.0.0.1' });
  const { promise: gone, resolve } = Promise.withResolvers<void>();
  socket.on('error', () => resolve());
  socket.on('close', () => resolve());
  socket.write(`PUT ${path} HTTP/1.1\r\n${headers}content-length: ${size}\r\n\r\n`, 'latin1');
  socket.write(bytes);
  await gone;
}

describe('garbage collection and crashes', () => {
  test('what a kill between storing and committing leaves is found and given back', async () => {
    await withDirectory(async (dir) => {
      const dataDir = join(dir, 'data');
      const workload = new Workload(seededRandom(7), BUCKET);
      let site: SiteProcess | undefined = await startSite(dataDir, BUCKET);
      try {
        const clients = workload.runUntilBroken(site.port, 2);
        const before = await segmentBytes(dataDir);
        const put = beginPut(site.port, 'never', randomBytes(48 * MIB), 64 * MIB);
        while ((await segmentBytes(dataDir)) < before + 40 * MIB) await sleep(20);
        await site.kill();
        await Promise.all([clients, put]);

        const where = { cwd: dir };
        const offline = await skerryJson<GcPlan>(['gc', 'plan'], where);
        assert.ok(offline.garbage.orphans.bytes > 8 * MIB, JSON.stringify(offline.garbage));
        site = await startSite(dataDir, BUCKET);
        const online = await skerryJson<GcPlan>(['gc', 'plan'], where);
        assert.ok(online.garbage.orphans.bytes >= offline.garbage.orphans.bytes, JSON.stringify(online.garbage));
        const full = await segmentBytes(dataDir);
        const report = await skerryJson<GcReport>(['gc', 'run'], where);
        assert.equal(report.freed.orphans.bytes, online.garbage.orphans.bytes);
        assert.ok(report.after.liveBytes + report.after.deadBytes < report.before.liveBytes + report.before.deadBytes);
        assert.ok((await segmentBytes(dataDir)) < full - 30 * MIB, `${await segmentBytes(dataDir)} of ${full} bytes`);
        const after = await skerryJson<GcPlan>(['gc', 'plan'], where);
        assert.deepEqual([after.garbage.orphans.records, after.missing.count, after.damaged.count], [0, 0, 0]);
        assert.deepEqual(await workload.verify(site.port), []);
        assert.match((await skerry(['gc', 'plan'], where)).stdout, /no row names them +none\n/);
      } finally {
        await site.kill();
      }
    });
  });

  test(`${KILLS} SIGKILLs while it collects without a pause lose nothing acknowledged`, async (t) => {
    const seed = Number(process.env['SKERRY_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
    t.diagnostic(`seed ${seed} (SKERRY_SEED=${seed} repeats the workload)`);
    const random = seededRandom(seed);
    const options = [
      '--set',
      'engine.gc.intervalMs=1',
      '--set',
      'engine.gc.deadShareMin=0.1',
      '--set',
      'plugins.chunkStore.use=fs',
      '--set',
      'plugins.chunkStore.segmentMaxBytes=8388608',
    ];
    await withDirectory(async (dir) => {
      const dataDir = join(dir, 'data');
      const workload = new Workload(random, BUCKET);
      let site: SiteProcess | undefined;
      try {
        let moved = 0;
        for (let kill = 0; kill < KILLS; kill++) {
          site = await startSite(dataDir, BUCKET, options);
          assert.deepEqual(await workload.verify(site.port), [], `after kill ${kill}, seed ${seed}`);
          const clients = workload.runUntilBroken(site.port, CLIENTS);
          await sleep(500 + random() * 1500);
          const { gc } = await skerryJson<{ gc: { last?: GcReport; failure?: string } }>(['status'], { cwd: dir });
          assert.equal(gc.failure, undefined);
          moved += gc.last?.moved.records ?? 0;
          await site.kill();
          await clients;
        }
        site = await startSite(dataDir, BUCKET);
        assert.deepEqual(await workload.verify(site.port), [], `after the last kill, seed ${seed}`);
        assert.deepEqual(workload.unexpected, []);
        await skerryJson<GcReport>(['gc', 'run'], { cwd: dir });
        const plan = await skerryJson<GcPlan>(['gc', 'plan'], { cwd: dir });
        assert.deepEqual([plan.missing.count, plan.damaged.count, plan.garbage.orphans.records], [0, 0, 0]);
        assert.deepEqual(await workload.verify(site.port), [], `after collecting, seed ${seed}`);
        assert.equal(await site.stop(), 0);
        t.diagnostic(`${workload.acknowledgedCalls} acknowledged calls, at least ${moved} records moved`);
      } finally {
        await site?.kill();
      }
    });
  });
});
