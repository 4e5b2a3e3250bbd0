/** Rule 11: a site whose wall clock jumped forward writes again once a peer's clock agrees, or an operator vouches for it. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import type { Site } from '../../core/index.ts';
import { createNodeRuntime } from '../../core/kernel/runtime/index.ts';
import { memoryLogger } from './fixtures/logger.ts';
import { BUCKET, freePort, put, started, stop, until } from './fixtures/real-sites.ts';
import { withDirectory } from './fixtures/site.ts';

const JUMP_MS = 120_000;

/** hub has the right time; waw, which dials it, is `behindMs` behind until its clock is moved. */
async function withClock(behindMs: number, use: (waw: Site, move: (offsetMs: number) => void) => Promise<void>) {
  await withDirectory(async (directory) => {
    const port = await freePort();
    const { runtime, close } = createNodeRuntime(memoryLogger().logger);
    let offsetMs = -behindMs;
    const clock = { ...runtime.clock, wallMs: () => runtime.clock.wallMs() + offsetMs };
    const hub = await started({ id: 'hub', dataDir: join(directory, 'hub'), port, peers: {} });
    const replication = { longPollMs: 200 };
    const spec = { id: 'waw', dataDir: join(directory, 'waw'), peers: { hub: port }, replication };
    const waw = await started(spec, { runtime: { ...runtime, clock } });
    try {
      await waw.services().objects.createBucket({ bucket: BUCKET, owner: 'owner' });
      await use(waw, (ms) => (offsetMs = ms));
    } finally {
      await stop(waw);
      await stop(hub);
      await close();
    }
  });
}

const refused = (site: Site): string | undefined => site.health.ready().writesRefused;

describe('a clock that jumped forward', () => {
  test('to the right time: a peer vouches for it', async () => {
    await withClock(JUMP_MS, async (waw, move) => {
      assert.equal(refused(waw), undefined);
      move(0);
      assert.match(refused(waw) ?? '', /wall clock jumped forward/);
      await until('the peer agreed', async () => refused(waw) === undefined);
      await put(waw, 'k');
    });
  });

  test('to the wrong time: no peer vouches, an operator may', async () => {
    await withClock(0, async (waw, move) => {
      move(JUMP_MS);
      const { admin } = waw.services();
      const contact = async () => (await admin.replicationStatus()).peers[0]?.lastContactMs ?? 0;
      for (let hands = 0; hands < 3; hands++) {
        const before = await contact();
        await until('hands were shaken again', async () => (await contact()) > before);
        assert.match(refused(waw) ?? '', /wall clock jumped forward/);
      }
      await assert.rejects(put(waw, 'k'), { code: 'ClockUntrusted' });
      assert.match((await waw.status()).writesRefused ?? '', /jumped/);
      await admin.trustClock();
      await put(waw, 'k');
    });
  });
});
