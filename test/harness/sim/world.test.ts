/** The simulated world: the same seed gives the same run, and sites without planted bugs keep every promise. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { generatePlan } from '../../../harness/sim/plan.ts';
import { relayAdapter } from '../../../harness/sim/relay-adapter.ts';
import { runPlan, runSeed } from '../../../harness/sim/run.ts';
import { runMany, type ManyResult } from '../../../harness/sim/run-many.ts';

const seedsFrom = (start: number, count: number): readonly number[] =>
  Array.from({ length: count }, (_, i) => start + i);

/** The first broken promise of each seed, as an assertion message. */
function assertKept({ failed, unstable }: ManyResult): void {
  const told = failed.map(({ seed, failures }) => `seed ${seed}: ${failures[0]?.checker}: ${failures[0]?.message}`);
  assert.deepEqual(told, []);
  assert.deepEqual(unstable, []);
}

describe('the simulated world', () => {
  test('one seed, one trace', async () => {
    for (const seed of [1, 2, 3]) {
      const options = { adapter: relayAdapter, keepTrace: true };
      const [first, second] = [await runSeed(seed, options), await runSeed(seed, options)];
      assert.deepEqual(second.trace, first.trace);
      assert.equal(second.traceHash, first.traceHash);
      assert.ok(first.events > 100, 'something happened');
    }
    assert.notEqual((await runSeed(1)).traceHash, (await runSeed(2)).traceHash);
  });

  test('a plan is data: printed and read back it is the same run', async () => {
    const plan = generatePlan(7, relayAdapter);
    const again = JSON.parse(JSON.stringify(plan)) as typeof plan;
    const [first, second] = [
      await runPlan(plan, { adapter: relayAdapter }),
      await runPlan(again, { adapter: relayAdapter }),
    ];
    assert.equal(second.traceHash, first.traceHash);
  });

  test('200 seeds of one engine: no promise is broken, and the rare things happen', async () => {
    const result = await runMany({ seeds: seedsFrom(1, 200), world: 'engine' });
    assertKept(result);
    for (const mark of [
      'call lost',
      'crash at sync-begins',
      'crash at meta-commit-begins',
      'crash at meta-commit-done',
      'fault clockJump',
      'fault disk',
      'hlc counter used',
      'done multipart',
      'done deleteBucket',
      'refused PreconditionFailed',
      'refused OutOfSpace',
      'refused Io',
    ]) {
      assert.ok((result.marks[mark] ?? 0) > 0, `${mark} never happened`);
    }
  });

  test('80 seeds of two to five sites that exchange ops: no promise is broken, and they collide', async () => {
    const result = await runMany({ seeds: seedsFrom(1, 80), world: 'relay' });
    assertKept(result);
    for (const mark of ['conflict kept', 'equal vectors on two sites', 'fault cut', 'fault link', 'fault crash']) {
      assert.ok((result.marks[mark] ?? 0) > 0, `${mark} never happened`);
    }
  });
});
