/** `skerry gc` on a running site and on one that is not. */
import assert from 'node:assert/strict';
import { appendFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { GcPlan, GcReport } from '../../core/contracts/index.ts';
import { scratch, serve, skerry, skerryFails, skerryJson } from './command.ts';

describe('gc', () => {
  const { path: cwd, remove } = scratch();
  after(remove);
  const where = { cwd };

  test('plans and runs over the socket of a running site, and says in its status what the last pass did', async () => {
    const site = await serve(where);
    try {
      await skerryJson(['bucket', 'create', 'photos'], where);
      const plan = await skerryJson<GcPlan>(['gc', 'plan'], where);
      assert.deepEqual([plan.garbage.orphans.records, plan.missing.count, plan.damaged.count], [0, 0, 0]);
      const before = await skerryJson<{ gc: { intervalMs: number; last?: GcReport } }>(['status'], where);
      assert.deepEqual([before.gc.intervalMs, before.gc.last], [86_400_000, undefined]);
      const report = await skerryJson<GcReport>(['gc', 'run'], where);
      assert.deepEqual(report.freed.orphans, { records: 0, bytes: 0 });
      const status = await skerryJson<{ gc: { last?: GcReport } }>(['status'], where);
      assert.deepEqual(status.gc.last, report);
    } finally {
      assert.equal(await site.end(), 0);
    }
  });

  test('does the same on the data of a stopped site, in words', async () => {
    // a running site gathers ops for up to a second before they are in the log next to the data
    const { ops } = await skerryJson<GcPlan>(['gc', 'plan'], where);
    assert.ok(ops.records > 0, 'the log of ops is counted');
    const plan = await skerry(['gc', 'plan'], where);
    assert.deepEqual([plan.code, plan.stderr], [0, '']);
    assert.match(plan.stdout, /^stored +[\d.]+ .*\nlive +0 records, 0 B\n/);
    assert.match(plan.stdout, /WOULD GO\nno row names them +none\n/);
    const { code, stdout } = await skerry(['gc', 'run'], where);
    assert.equal(code, 0);
    assert.match(stdout, /^before .*\nafter .*\nno row named them +0 records, 0 B\n/);
  });

  test('names damage that no row names', async () => {
    const folder = join(cwd, 'data', 'chunks-fs');
    const [segment = ''] = readdirSync(folder).filter((name) => name.endsWith('.skc'));
    // a second file that says nothing credible about itself: it may have held ops
    appendFileSync(join(folder, segment.replace(/[0-9a-f]{12}/, '00000000ffff')), Buffer.alloc(4096, 1));
    const plan = await skerryJson<GcPlan>(['gc', 'plan'], where);
    assert.equal(plan.strays.length, 1);
    const { stdout } = await skerry(['gc', 'run'], where);
    assert.match(stdout, /DAMAGED, and no row names it: /);
  });

  test('refuses what it does not know, and a place without a site', async () => {
    assert.equal((await skerryFails(['gc', 'shake'], where, 2)).code, 'Usage');
    assert.equal((await skerryFails(['gc', 'plan', '--data-dir', 'elsewhere'], where)).code, 'NotFound');
    assert.match(
      (await skerryFails(['config', 'check', '--set', 'engine.gc.deadShareMin=2'], where, 2)).message,
      /deadShareMin/,
    );
  });
});
