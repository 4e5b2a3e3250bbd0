/** All faults healed, every site comes to have everything. */
import type { Checker } from './checker.ts';
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
    },
  };
}
