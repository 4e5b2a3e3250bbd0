/**
 * `npm run bench`: signed requests from a process of its own against a durable site. Prints medians over the rounds.
 *
 *   npm run bench -- [--only PUT] [--scale 0.2] [--rounds 3] [--json out.json] [--compare before.json] [--node-flags='--cpu-prof --cpu-prof-dir=p']
 *   npm run bench -- million [--objects 1000000]
 *   npm run bench -- replication [--scale 0.2] [--rounds 3]
 */
import { readFile, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { BUCKET, startGenerator, type Generator } from './generator-process.ts';
import { benchMillion } from './million.ts';
import { benchReplication } from './replication.ts';
import { median, table, type Row, type Run } from './report.ts';
import { scenarios, warmUpOf, type RoundResult, type Scenario } from './scenarios.ts';
import { startServer, type BenchServer } from './server.ts';

interface Settings {
  readonly only: string | undefined;
  readonly scale: number;
  readonly rounds: number;
  /** For the server's process, separated by spaces. */
  readonly nodeFlags: string;
}

async function measure(server: BenchServer, generator: Generator, scenario: Scenario, rounds: number): Promise<Row> {
  const results: { readonly round: RoundResult; readonly cpu: number }[] = [];
  const run = async (what: Scenario, name: string): Promise<void> => {
    const prefix = `${scenario.name.replaceAll(/[^A-Za-z0-9]+/g, '-')}-${name}/`;
    if (what.preload > 0) await generator.tell({ kind: 'preload', scenario: what, prefix });
    const before = await server.cpuSeconds();
    const round = (await generator.tell({ kind: 'round', scenario: what, prefix })) as RoundResult;
    results.push({ round, cpu: (await server.cpuSeconds()) - before });
  };
  // A round that does not count: what is compiled at first use, and pages touched for the first time, are no steady state.
  await run(warmUpOf(scenario), 'warm-up');
  results.length = 0;
  await server.peakBytes();
  for (let i = 0; i < rounds; i++) await run(scenario, String(i));
  const pick = (value: (result: (typeof results)[number]) => number): number => median(results.map(value));
  const gb = ({ round }: (typeof results)[number]): number => (round.operations * scenario.sizeBytes) / 1e9;
  return {
    scenario,
    opsPerSecond: pick(({ round }) => round.operations / round.seconds),
    mbPerSecond: scenario.verb === 'LIST' ? Number.NaN : pick((result) => (gb(result) * 1000) / result.round.seconds),
    p50Ms: pick(({ round }) => round.p50Ms),
    p99Ms: pick(({ round }) => round.p99Ms),
    cpuUsPerOp: pick(({ round, cpu }) => (cpu * 1e6) / round.operations),
    cpuSecondsPerGb: pick((result) => result.cpu / gb(result)),
    peakMiB: (await server.peakBytes()) / 1024 / 1024,
    errors: results.reduce((sum, { round }) => sum + round.errors, 0),
  };
}

async function benchAll({ only, scale, rounds, nodeFlags }: Settings): Promise<Run> {
  const server = await startServer(BUCKET, nodeFlags.split(' ').filter(Boolean));
  const generator = await startGenerator(server);
  const rows: Row[] = [];
  try {
    for (const scenario of scenarios(scale)) {
      if (only !== undefined && !scenario.name.includes(only)) continue;
      process.stderr.write(`${scenario.name} ...\n`);
      rows.push(await measure(server, generator, scenario, rounds));
    }
  } finally {
    generator.stop();
    await server.stop();
  }
  return { rows, node: process.version, rounds };
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string' },
    scale: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '3' },
    objects: { type: 'string', default: '1000000' },
    json: { type: 'string' },
    compare: { type: 'string' },
    'node-flags': { type: 'string', default: '' },
  },
});

if (positionals[0] === 'million') {
  process.stdout.write(`${await benchMillion(Number(values.objects))}\n`);
} else if (positionals[0] === 'replication') {
  const { rounds, scale } = values;
  process.stdout.write(`${await benchReplication({ rounds: Number(rounds), scale: Number(scale) })}\n`);
} else {
  const before = values.compare === undefined ? undefined : (JSON.parse(await readFile(values.compare, 'utf8')) as Run);
  const { only, 'node-flags': nodeFlags } = values;
  const run = await benchAll({ only, nodeFlags, scale: Number(values.scale), rounds: Number(values.rounds) });
  process.stdout.write(`${table(run, before)}\n`);
  if (values.json !== undefined) await writeFile(values.json, JSON.stringify(run, undefined, 2));
}
