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
  readonly start?: number | undefined;
  /** Seeds to try at most; default 200. */
  readonly seedsMax?: number | undefined;
  readonly workers?: number | undefined;
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
      /** Names, or worlds, with commas between; default all. */
      only: { type: 'string' },
      seeds: { type: 'string', default: '200' },
      start: { type: 'string', default: '1' },
      workers: { type: 'string', default: '2' },
      /** Print a table in Markdown at the end. */
      table: { type: 'boolean', default: false },
    },
  });
  const only = values.only?.split(',');
  const chosen = mutations.filter(({ name, world }) => only?.some((one) => one === name || one === world) ?? true);
  const [start, seedsMax, workers] = [values.start, values.seeds, values.workers].map(Number);
  console.log(`${chosen.length} planted bugs, at most ${values.seeds} seeds each from ${values.start} on`);
  const scores: Score[] = [];
  for (const mutation of chosen) {
    const score = await scoreMutation(mutation, { start, seedsMax, workers });
    scores.push(score);
    console.log(`${mutation.name.padEnd(28)} ${countOf(score).padEnd(10)} ${noticedIn(score, 110)}`);
  }
  if (values.table) printTable(scores);
  const survivors = scores.filter(({ seeds }) => seeds === undefined);
  console.log(`${scores.length - survivors.length} of ${scores.length} noticed`);
  if (survivors.length > 0) process.exitCode = 1;
}

const countOf = ({ seeds }: Score): string => (seeds === undefined ? 'SURVIVES' : `${seeds} seeds`);
const noticedIn = ({ noticed }: Score, length: number): string => noticed.slice(0, length).replaceAll('\n', ' ');

function printTable(scores: readonly Score[]): void {
  console.log('| planted bug | rule that it breaks | world | seeds | noticed by |');
  console.log('| --- | --- | --- | --- | --- |');
  for (const { mutation, seeds, noticed } of scores) {
    const by = seeds === undefined ? '' : noticed.slice(0, noticed.indexOf(':'));
    console.log(`| \`${mutation.name}\` | ${mutation.rule} | ${mutation.world} | ${seeds ?? 'survives'} | ${by} |`);
  }
}

if (import.meta.main) await main();
