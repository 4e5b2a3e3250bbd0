/**
 * Who may write, and last writer wins for what conflicts anyway. The fencing epoch is the highest-order part of a stamp, so the greatest
 * stamp is also the one of the newest epoch: a maximum is commutative, associative and idempotent by itself.
 */
import {
  SkerryError,
  type ConflictResolver,
  type SiteId,
  type Stamp,
  type WriterRule,
} from '../../core/contracts/index.ts';
import type { PrimaryOptions } from './options.ts';

type State = 'new' | 'open' | 'closed';

export function createPrimaryResolver(siteId: SiteId, options: PrimaryOptions): ConflictResolver {
  let state: State = 'new';
  return {
    writers: writerRule(siteId, options),
    async open() {
      if (state !== 'new') throw new SkerryError('Closed', 'resolver-primary opens once');
      if (options.role === 'replica' && options.primary === siteId)
        throw new SkerryError(
          'InvalidConfig',
          `site ${siteId} cannot be a replica of itself: give it the role primary`,
        );
      if (options.role === 'replica' && options.writes === 'forward' && (!options.primary || !options.primaryUrl))
        throw new SkerryError(
          'InvalidConfig',
          'a replica that forwards writes needs `primary` and `primaryUrl`: the site id and the S3 address of the primary',
        );
      state = 'open';
    },
    async close() {
      state = 'closed';
    },
    resolve(candidates) {
      if (state !== 'open') throw new SkerryError('Closed', 'resolver-primary is not open');
      return { winner: greatest(candidates.map(({ stamp }) => stamp)), losers: 'conflict' };
    },
  };
}

function writerRule(siteId: SiteId, { role, primary, primaryUrl, url, writes }: PrimaryOptions): WriterRule {
  const own = { ...(url === undefined ? {} : { url }), ...(writes === 'forward' ? { forwards: true } : {}) };
  if (role === 'primary') return { primary: siteId, ...own };
  return {
    ...own,
    ...(primary === undefined ? {} : { primary }),
    ...(primaryUrl === undefined ? {} : { primaryUrl }),
  };
}

function greatest([first, ...rest]: readonly Stamp[]): Stamp {
  if (first === undefined)
    throw new SkerryError('InvalidArgument', 'nothing to resolve: at least one candidate is needed');
  return rest.reduce((winner, stamp) => (stamp > winner ? stamp : winner), first);
}
