/**
 * Equal vectors mean equal state, at every moment and over all sites and boots: also, nothing that replicates changes without an op.
 */
import type { VersionVector } from '../../core/contracts/index.ts';
import { coversDot } from '../../core/engine/vector.ts';
import { dumpState, firstDifference } from './dump.ts';
import type { Checker } from './checker.ts';
import { vectorName } from './vectors.ts';

export function equalStateChecker(): Checker {
  const states = new Map<string, { readonly dump: string; readonly site: string; readonly vector: VersionVector }>();
  const look: NonNullable<Checker['onLook']> = async (view) => {
    for (const site of view.sites) {
      if (site.record.isMerging) continue;
      const name = vectorName(site.record.vector);
      const dump = await dumpState(site.meta.reader, site);
      const known = states.get(name);
      if (known === undefined) {
        states.set(name, { dump, site: site.name, vector: site.record.vector });
      } else if (known.dump !== dump) {
        view.fail('equal-state', `${known.site} and ${site.name} at ${name}: ${firstDifference(known.dump, dump)}`);
      } else if (known.site !== site.name) view.mark('equal vectors on two sites');
    }
  };
  return {
    name: 'equal-state',
    onLost(ops) {
      // their dots may come to stand for something else
      for (const [name, { vector }] of states) if (ops.some(({ dot }) => coversDot(vector, dot))) states.delete(name);
    },
    onLook: look,
    atEnd: look,
  };
}
