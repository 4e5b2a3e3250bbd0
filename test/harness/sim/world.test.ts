/**
 * The simulated world: the same seed gives the same run, and sites without planted bugs keep every promise. The batch has 2,000
 * seeds that no run had before: they follow from one run seed, which is printed first and last. SKERRY_SIM_SEED repeats a run,
 * SKERRY_SIM_SEEDS sets how many seeds it has.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { describe, test } from 'node:test';
import { generatePlan } from '../../../harness/sim/plan.ts';
import { adapters } from '../../../harness/sim/adapters.ts';
import { runPlan, runSeed } from '../../../harness/sim/run.ts';
import { runMany, type ManyResult, type WorldName } from '../../../harness/sim/run-many.ts';

const RUN_SEED = Number(process.env['SKERRY_SIM_SEED'] ?? randomInt(1_000_000_000));
const SEEDS = Number(process.env['SKERRY_SIM_SEEDS'] ?? 2000);
/** Of all seeds; seeds of one engine are the cheapest. */
const SHARES: Readonly<Record<WorldName, number>> = { engine: 0.4, relay: 0.2, replication: 0.4 };

/** What must come up in a batch of the whole size, or the workload and the faults do not bite. */
const MARKS: Readonly<Record<WorldName, readonly string[]>> = {
  engine: [
    'call lost',
    'crash at append-done',
    'crash at sync-begins',
    'crash at meta-commit-begins',
    'crash at meta-commit-done',
    'fault clockJump',
    'fault disk',
    'hlc counter used',
    'meta-sqlite reopened',
    'done multipart',
    'done deleteBucket',
    'done lock',
    'done key',
    'refused ObjectLocked',
    'refused PreconditionFailed',
    'refused OutOfSpace',
    'refused Io',
  ],
  relay: [
    'conflict kept',
    'equal vectors on two sites',
    'equal hlc',
    'fault cut',
    'fault link',
    'fault crash',
    'meta-sqlite reopened',
  ],
  replication: [
    'a lock voided a removal',
    'a snapshot of a peer was taken',
    'causal read',
    'conflict kept',
    'equal hlc',
    'equal vectors on two sites',
    'fault rot',
    'fault wipe',
    'meta-sqlite reopened',
    'oplog and tombstones drained',
    'op trimmed',
    'replication: must-bootstrap',
    'replication: quarantined',
    'replication: released',
    'rot healed by a reader',
    'rot repaired by an audit',
    'rotten bytes refused',
    'snapshot removed an entry',
    'tombstone purged',
    'watermark taken in',
  ],
};

/** The first broken promise of each seed with what repeats it, as an assertion message. */
function assertKept(world: WorldName, { failed, unstable }: ManyResult): void {
  const told = failed.map(
    ({ seed, failures }) =>
      `npm run sim -- --world ${world} --trace ${seed}: ${failures[0]?.checker}: ${failures[0]?.message}`,
  );
  assert.deepEqual(told, []);
  assert.deepEqual(unstable, [], `seeds of ${world} whose second run left another trace`);
}

describe('the simulated world', () => {
  test('one seed, one trace', async () => {
    for (const [world, seed] of [
      ['relay', 1],
      ['replication', 2],
      ['replication', 8],
      // meta-sqlite and bit rot
      ['replication', 41],
    ] as const) {
      const options = { adapter: adapters[world], keepTrace: true };
      const [first, second] = [await runSeed(seed, options), await runSeed(seed, options)];
      assert.deepEqual(second.trace, first.trace);
      assert.equal(second.traceHash, first.traceHash);
      assert.ok(first.events > 100, 'something happened');
    }
    assert.notEqual((await runSeed(1)).traceHash, (await runSeed(2)).traceHash);
  });

  test('a plan is data: printed and read back it is the same run', async () => {
    const adapter = adapters.replication;
    const plan = generatePlan(7, adapter);
    const again = JSON.parse(JSON.stringify(plan)) as typeof plan;
    const [first, second] = [await runPlan(plan, { adapter }), await runPlan(again, { adapter })];
    assert.equal(second.traceHash, first.traceHash);
  });
});

describe(`${SEEDS} fresh seeds, SKERRY_SIM_SEED=${RUN_SEED}`, () => {
  for (const world of ['engine', 'relay', 'replication'] as const) {
    const count = Math.round(SEEDS * SHARES[world]);
    test(`${count} seeds, world ${world}: no promise is broken, and the rare things happen`, async (context) => {
      context.diagnostic(`SKERRY_SIM_SEED=${RUN_SEED}`);
      const result = await runMany({ seeds: Array.from({ length: count }, (_, i) => RUN_SEED + i), world });
      const { ran, events, simulatedMs } = result;
      context.diagnostic(`${ran} runs, ${events} events, ${(simulatedMs / 3_600_000).toFixed(2)} simulated hours`);
      assertKept(world, result);
      const never = MARKS[world].filter((mark) => result.marks[mark] === undefined);
      if (SEEDS >= 2000) assert.deepEqual(never, [], 'these never happened');
      const aside = result.marks['put aside: a newcomer was turned away'] ?? 0;
      assert.ok(aside <= ran / 100, `${aside} of ${ran} runs were put aside`);
      context.diagnostic(`SKERRY_SIM_SEED=${RUN_SEED}`);
    });
  }
});
