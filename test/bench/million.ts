/** PUT and LIST in a bucket of a million objects against the same in an empty one: cost must not grow with the bucket. */
import { BUCKET, startGenerator } from './generator-process.ts';
import { median } from './report.ts';
import type { RoundResult, Scenario, Verb } from './scenarios.ts';
import { startServer } from './server.ts';

const ROUNDS = 5;

export async function benchMillion(objects: number): Promise<string> {
  const server = await startServer(BUCKET);
  const generator = await startGenerator(server);
  const scenario = (verb: Verb, operations: number): Scenario => ({
    name: verb,
    verb,
    sizeBytes: 1024,
    concurrency: 64,
    operations,
    preload: 1000,
  });
  let serial = 0;
  const cpuUs = async (verb: Verb, prefix: (round: number) => string): Promise<number> => {
    const costs: number[] = [];
    for (let i = 0; i < ROUNDS; i++) {
      const before = await server.cpuSeconds();
      const round = (await generator.tell({
        kind: 'round',
        scenario: scenario(verb, verb === 'PUT' ? 5000 : 500),
        prefix: prefix(serial++),
      })) as RoundResult;
      if (round.errors > 0) throw new Error(`${round.errors} of ${verb} failed`);
      costs.push((((await server.cpuSeconds()) - before) * 1e6) / round.operations);
    }
    return median(costs);
  };
  // Spread over the key space, so that rows land everywhere in the tree.
  const spread = (round: number): string => `${((round * 2654435761) % 1000).toString(36)}/r${round}-`;
  try {
    await generator.tell({ kind: 'preload', scenario: scenario('LIST', 1), prefix: 'page/' });
    const empty = { put: await cpuUs('PUT', spread), list: await cpuUs('LIST', () => 'page/') };
    for (let stored = 0; stored < objects; stored += 10_000) {
      await generator.tell({ kind: 'round', scenario: scenario('PUT', 10_000), prefix: spread(serial++) });
      if (stored % 100_000 === 0) process.stderr.write(`${stored} objects\n`);
    }
    const full = { put: await cpuUs('PUT', spread), list: await cpuUs('LIST', () => 'page/') };
    const line = (name: string, before: number, after: number): string =>
      `${name}: ${before.toFixed(0)} us CPU in an almost empty bucket, ${after.toFixed(0)} us among ${objects}: ratio ${(after / before).toFixed(2)}`;
    const peak = (await server.peakBytes()) / 1024 / 1024;
    return [
      line('PUT 1 KiB', empty.put, full.put),
      line('LIST 1000 keys', empty.list, full.list),
      `peak memory ${peak.toFixed(0)} MiB`,
    ].join('\n');
  } finally {
    generator.stop();
    await server.stop();
  }
}
