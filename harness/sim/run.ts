/** One seed, run and judged. */
import { engineAdapter } from './engine-adapter.ts';
import { generatePlan, type Plan, type PlanOptions } from './plan.ts';
import type { SiteAdapter } from './site.ts';
import { Trace } from './trace.ts';
import { World, type Failure } from './world.ts';

export interface RunOptions {
  /** What is judged; default one engine alone. */
  readonly adapter?: SiteAdapter;
  readonly plan?: PlanOptions;
  /** Keep the lines of the trace in the result. */
  readonly keepTrace?: boolean;
}

export interface RunResult {
  readonly seed: number;
  readonly ok: boolean;
  readonly failures: readonly Failure[];
  /** SHA-256 of everything that happened, hex; the same for the same seed on any machine. */
  readonly traceHash: string;
  /** How often rare things happened, by name. */
  readonly marks: Readonly<Record<string, number>>;
  readonly events: number;
  /** Virtual milliseconds. */
  readonly simulatedMs: number;
  readonly trace: readonly string[];
}

export function runSeed(seed: number, options: RunOptions = {}): Promise<RunResult> {
  const adapter = options.adapter ?? engineAdapter;
  return runPlan(generatePlan(seed, adapter, options.plan), { ...options, adapter });
}

export async function runPlan(plan: Plan, options: RunOptions = {}): Promise<RunResult> {
  const trace = new Trace({ keep: options.keepTrace === true });
  const world = new World(plan, options.adapter ?? engineAdapter, trace);
  const onStray = (error: unknown): void =>
    world.fail('stray rejection', error instanceof Error ? (error.stack ?? error.message) : String(error));
  process.on('unhandledRejection', onStray);
  try {
    await world.run();
  } finally {
    process.off('unhandledRejection', onStray);
    await world.close();
  }
  const { failures, marks, scheduler } = world;
  return {
    seed: plan.seed,
    ok: failures.length === 0,
    failures,
    traceHash: trace.digest(),
    marks: Object.fromEntries([...marks].toSorted(([a], [b]) => (a < b ? -1 : 1))),
    events: scheduler.count,
    simulatedMs: scheduler.nowMs,
    trace: trace.lines(),
  };
}
