/** `npm run sim -- --seeds 200 --start 1 --world relay`: runs seeds, or one of them with its trace or its plan. */
import { parseArgs } from 'node:util';
import { adapters } from './adapters.ts';
import { generatePlan } from './plan.ts';
import { runSeed, type RunResult } from './run.ts';
import { runMany, type WorldName } from './run-many.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' },
    start: { type: 'string', default: '1' },
    workers: { type: 'string', default: '2' },
    world: { type: 'string', default: 'relay' },
    /** Run this seed alone and print what happened. */
    trace: { type: 'string' },
    /** Print the plan of this seed as JSON. */
    plan: { type: 'string' },
    mutation: { type: 'string' },
  },
});

const PROGRESS_EVERY = 500;

const world = worldNamed(values.world);
if (values.plan !== undefined) {
  console.log(JSON.stringify(generatePlan(whole('plan', values.plan), adapters[world]), undefined, 2));
} else if (values.trace !== undefined) {
  const result = await runSeed(whole('trace', values.trace), { adapter: adapters[world], keepTrace: true });
  for (const line of result.trace) console.log(line);
  printFailure(result);
} else {
  await runAll();
}

async function runAll(): Promise<void> {
  const start = whole('start', values.start);
  const count = whole('seeds', values.seeds);
  const range = `seeds ${start} to ${start + count - 1}, world ${world}`;
  console.log(range);
  const began = performance.now();
  const result = await runMany({
    seeds: Array.from({ length: count }, (_, i) => start + i),
    world,
    workers: whole('workers', values.workers),
    onRun(run, ran) {
      printFailure(run);
      if (ran % PROGRESS_EVERY === 0) console.log(`${ran} of ${count} runs`);
    },
    ...(values.mutation === undefined ? {} : { mutation: values.mutation }),
  });
  const seconds = (performance.now() - began) / 1000;
  for (const seed of result.unstable) console.log(`seed ${seed} ran differently the second time`);
  for (const [mark, runs] of Object.entries(result.marks)) console.log(`  ${mark}: in ${runs} runs`);
  const hours = (result.simulatedMs / 3_600_000).toFixed(2);
  console.log(`${result.ran} runs, ${hours} simulated hours, ${result.events} events in ${seconds.toFixed(1)} s`);
  const bad = result.failed.length + result.unstable.length;
  console.log(`${range}: ${bad === 0 ? 'no promise was broken' : `${bad} FAILED`}`);
  if (bad > 0) process.exitCode = 1;
}

function printFailure({ seed, failures }: RunResult): void {
  if (failures.length === 0) return;
  console.log(`seed ${seed} FAILED (again: npm run sim -- --world ${world} --trace ${seed})`);
  for (const { checker, message, atMs } of failures.slice(0, 5)) console.log(`  at ${atMs} ms, ${checker}: ${message}`);
}

function worldNamed(name: string): WorldName {
  if (Object.hasOwn(adapters, name)) return name as WorldName;
  throw new RangeError(`--world is one of ${Object.keys(adapters).join(', ')}, not ${name}`);
}

function whole(option: string, text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  throw new RangeError(`--${option} is a whole number, not ${text}`);
}
