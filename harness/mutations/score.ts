/** `npm run sim:score`: how many seeds it takes to notice each planted bug. Exits with 1 when one is not noticed. */
import { parseArgs } from 'node:util';
import { runMany } from '../sim/run-many.ts';
import { mutations, type Mutation } from './index.ts';

export interface Score {
  readonly mutation: Mutation;
  /** Seeds until the first that broke a promise, itself included; `undefined`: none did. */
  readonly seeds: number | undefined;
  /** Which checker noticed, and what it said. */
  readonly noticed: string;
}

export interface ScoreOptions {
  readonly start?: number;
  /** Seeds to try at most; default 200. */
  readonly seedsMax?: number;
  readonly workers?: number;
}

export async function scoreMutation(mutation: Mutation, options: ScoreOptions = {}): Promise<Score> {
  const { start = 1, seedsMax = 200, workers = 2 } = options;
  const { failed, ran } = await runMany({
    seeds: Array.from({ length: seedsMax }, (_, i) => start + i),
    world: mutation.world,
    mutation: mutation.name,
    workers,
    repeatEvery: 0,
    failuresMax: 1,
  });
  const [first] = failed;
  if (first === undefined) return { mutation, seeds: undefined, noticed: `not in ${ran} seeds` };
  const [failure] = first.failures;
  return { mutation, seeds: first.seed - start + 1, noticed: `${failure?.checker}: ${failure?.message ?? ''}` };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      seeds: { type: 'string', default: '200' },
      start: { type: 'string', default: '1' },
    },
  });
  const chosen = mutations.filter(({ name }) => values.only === undefined || name === values.only);
  const start = Number(values.start);
  console.log(`${chosen.length} planted bugs, at most ${values.seeds} seeds each from ${start} on`);
  let survivors = 0;
  for (const mutation of chosen) {
    const { seeds, noticed } = await scoreMutation(mutation, { start, seedsMax: Number(values.seeds) });
    if (seeds === undefined) survivors++;
    const count = seeds === undefined ? 'SURVIVES' : `${seeds} seeds`;
    console.log(`${mutation.name.padEnd(28)} ${count.padEnd(10)} ${noticed.slice(0, 110).replaceAll('\n', ' ')}`);
  }
  console.log(`${chosen.length - survivors} of ${chosen.length} noticed`);
  if (survivors > 0) process.exitCode = 1;
}

if (import.meta.main) await main();
