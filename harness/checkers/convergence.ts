/** All faults healed, every site comes to have everything, the bytes included. */
import type { MetaReader, Stamp } from '../../core/contracts/index.ts';
import { decodeRecord, type ConflictRecord, type HeadRecord } from '../../core/engine/records.ts';
import type { Checker, SiteView } from './checker.ts';
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
      for (const [name, stamps] of await outstanding(view.sites, view.hasLostDisks()))
        view.fail('convergence', `${name} still waits for the bytes of ${stamps.join(' ')}`);
    },
  };
}

/** Versions that wait for bytes which some site has, by the site at which they wait. `hasLostDisks`: some may be nowhere. */
export async function outstanding(
  sites: readonly Pick<SiteView, 'name' | 'meta'>[],
  hasLostDisks: boolean,
): Promise<readonly (readonly [string, readonly Stamp[]])[]> {
  const pending = await Promise.all(sites.map(async ({ name, meta }) => [name, await pendingIn(meta.reader)] as const));
  const isNowhere = (stamp: Stamp): boolean => hasLostDisks && pending.every(([, stamps]) => stamps.includes(stamp));
  return pending
    .map(([name, stamps]) => [name, stamps.filter((stamp) => !isNowhere(stamp))] as const)
    .filter(([, stamps]) => stamps.length > 0);
}

async function pendingIn(reader: MetaReader): Promise<readonly Stamp[]> {
  const [heads, versions, conflicts] = await Promise.all(
    (['heads', 'versions', 'conflicts'] as const).map((space) => scanAll(reader, space)),
  );
  const live = [...(heads ?? []), ...(versions ?? [])].map(({ value }) => decodeRecord<HeadRecord>(value));
  const losers = (conflicts ?? []).map(({ value }) => decodeRecord<ConflictRecord>(value).loser);
  const all = [...live, ...losers].filter((version) => version?.local?.pending === true);
  return all.map((version) => version?.stamp ?? '');
}
