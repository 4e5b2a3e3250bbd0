/** Many seeds over worker threads. The first failing seeds come back whole; the rest is summed. */
import { Worker } from 'node:worker_threads';
import type { PlanOptions } from './plan.ts';
import type { RunResult } from './run.ts';

/** What is judged, by name: an adapter is code and cannot be sent to a worker. */
export type WorldName = 'engine' | 'relay' | 'replication';

export interface ManyOptions {
  readonly seeds: readonly number[];
  readonly world: WorldName;
  /** Default 2. */
  readonly workers?: number;
  readonly plan?: PlanOptions;
  /** A planted bug to run with, see harness/mutations. */
  readonly mutation?: string;
  /** Every so many seeds run twice and must leave the same trace; default 50, 0 for never. */
  readonly repeatEvery?: number;
  /** No new seed begins after this many failures; default 10. */
  readonly failuresMax?: number;
  /** Told of each run as it ends, and how many have. */
  readonly onRun?: (result: RunResult, ran: number) => void;
}

export interface ManyResult {
  readonly ran: number;
  readonly failed: readonly RunResult[];
  /** Seeds whose second run left another trace. */
  readonly unstable: readonly number[];
  /** In how many runs each mark came up. */
  readonly marks: Readonly<Record<string, number>>;
  readonly events: number;
  readonly simulatedMs: number;
}

/** What a worker is started with. */
export type WorkerTask = Pick<ManyOptions, 'world' | 'plan' | 'mutation'>;
/** What it is asked for and answers. */
export interface SeedRequest {
  readonly seed: number;
  readonly twice: boolean;
}
export interface SeedAnswer {
  readonly result: RunResult;
  readonly isStable: boolean;
}

interface Tally {
  ran: number;
  events: number;
  simulatedMs: number;
  readonly failed: RunResult[];
  readonly unstable: number[];
  readonly marks: Map<string, number>;
}

export async function runMany(options: ManyOptions): Promise<ManyResult> {
  const { seeds, workers = 2, repeatEvery = 50, failuresMax = 10 } = options;
  const tally: Tally = { ran: 0, events: 0, simulatedMs: 0, failed: [], unstable: [], marks: new Map() };
  let next = 0;
  const take = (): SeedRequest | undefined => {
    const seed = seeds[next];
    if (seed === undefined || tally.failed.length >= failuresMax) return undefined;
    next++;
    return { seed, twice: repeatEvery > 0 && next % repeatEvery === 0 };
  };
  const count = Math.max(1, Math.min(workers, seeds.length));
  await Promise.all(Array.from({ length: count }, () => work(options, take, tally)));
  const { ran, events, simulatedMs, failed, unstable, marks } = tally;
  return {
    ran,
    events,
    simulatedMs,
    failed: failed.toSorted((a, b) => a.seed - b.seed),
    unstable: unstable.toSorted((a, b) => a - b),
    marks: Object.fromEntries([...marks].toSorted(([a], [b]) => (a < b ? -1 : 1))),
  };
}

async function work(
  { world, plan, mutation, onRun }: ManyOptions,
  take: () => SeedRequest | undefined,
  tally: Tally,
): Promise<void> {
  const task: WorkerTask = {
    world,
    ...(plan === undefined ? {} : { plan }),
    ...(mutation === undefined ? {} : { mutation }),
  };
  const worker = new Worker(new URL('./seed-worker.ts', import.meta.url), { workerData: task });
  try {
    for (let request = take(); request !== undefined; request = take()) {
      const answer = await ask(worker, request);
      add(tally, answer);
      onRun?.(answer.result, tally.ran);
    }
  } finally {
    await worker.terminate();
  }
}

function ask(worker: Worker, request: SeedRequest): Promise<SeedAnswer> {
  return new Promise<SeedAnswer>((resolve, reject) => {
    const end = (settle: () => void): void => {
      worker.off('message', onMessage);
      worker.off('error', onError);
      worker.off('exit', onExit);
      settle();
    };
    const onMessage = (answer: SeedAnswer): void => end(() => resolve(answer));
    const onError = (error: unknown): void =>
      end(() => reject(new Error(`seed ${request.seed} broke its worker`, { cause: error })));
    const onExit = (code: number): void =>
      end(() => reject(new Error(`seed ${request.seed} ended its worker (${code})`)));
    worker.on('message', onMessage);
    worker.on('error', onError);
    worker.on('exit', onExit);
    worker.postMessage(request);
  });
}

function add(tally: Tally, { result, isStable }: SeedAnswer): void {
  tally.ran++;
  tally.events += result.events;
  tally.simulatedMs += result.simulatedMs;
  if (!result.ok) tally.failed.push(result);
  if (!isStable) tally.unstable.push(result.seed);
  for (const mark of Object.keys(result.marks)) tally.marks.set(mark, (tally.marks.get(mark) ?? 0) + 1);
}
