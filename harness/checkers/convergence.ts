/** All faults healed, every site comes to have everything, the bytes included. */
import type { MetaReader } from '../../core/contracts/index.ts';
import type { Checker } from './checker.ts';
import { scanAll } from './dump.ts';
import { vectorName } from './vectors.ts';

export function convergenceChecker(): Checker {
  return {
    name: 'convergence',
    async atEnd(view) {
      if (!view.replicates) return;
      const [first, ...others] = view.sites;
      if (first === undefined) return;
      const wanted = vectorName(first.record.vector);
      for (const { name, record } of others) {
        const is = vectorName(record.vector);
        if (is !== wanted) view.fail('convergence', `${name} has [${is}], ${first.name} [${wanted}]`);
      }
      if (!view.movesBytes) return;
      for (const { name, meta } of view.sites) {
        const pending = await countPending(meta.reader);
        if (pending > 0) view.fail('convergence', `${name} still waits for the bytes of ${pending} versions`);
      }
    },
  };
}

const PENDING = Buffer.from('"pending":true');

/** Versions whose bytes are not all here. */
export async function countPending(reader: MetaReader): Promise<number> {
  const spaces = await Promise.all(
    (['heads', 'versions', 'conflicts'] as const).map((space) => scanAll(reader, space)),
  );
  return spaces.flat().filter(({ value }) => Buffer.from(value).includes(PENDING)).length;
}
