import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startSite, type SiteProcess } from './site-process.ts';
import { Workload, seededRandom } from './workload.ts';

const KILLS = 24;
const CLIENTS = 8;
const BUCKET = 'crash';

describe('crash', () => {
  test(`${KILLS} SIGKILLs under concurrent PUT, multipart and DELETE lose nothing acknowledged and show nothing half-written`, async (t) => {
    const seed = Number(process.env['SKERRY_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
    t.diagnostic(`seed ${seed} (SKERRY_SEED=${seed} repeats the workload)`);
    const random = seededRandom(seed);
    const dir = await mkdtemp(join(tmpdir(), 'skerry-crash-'));
    const workload = new Workload(random, BUCKET);
    let site: SiteProcess | undefined;
    try {
      for (let kill = 0; kill < KILLS; kill++) {
        site = await startSite(join(dir, 'data'), BUCKET);
        assert.deepEqual(await workload.verify(site.port), [], `after kill ${kill}, seed ${seed}`);
        const wanted = workload.acknowledgedCalls + 2 * CLIENTS;
        const clients = workload.runUntilBroken(site.port, CLIENTS);
        await sleep(30 + random() * 500);
        // a busy machine gets there later; a site that is broken does not, and its clients end by themselves
        const broken = clients.then(() => true);
        while (workload.acknowledgedCalls < wanted && !(await Promise.race([broken, sleep(10, false)])));
        await site.kill();
        await clients;
      }
      site = await startSite(join(dir, 'data'), BUCKET);
      assert.deepEqual(await workload.verify(site.port), [], `after the last kill, seed ${seed}`);
      assert.deepEqual(workload.unexpected, []);
      assert.equal(await site.stop(), 0);
      t.diagnostic(`${workload.acknowledgedCalls} acknowledged calls`);
      assert.ok(workload.acknowledgedCalls > KILLS * CLIENTS, 'the workload must have bitten');
    } finally {
      await site?.kill();
      await rm(dir, { recursive: true, force: true });
    }
  });
});
