/** The greatest stamp wins, as everywhere; what loses is shown beside it. A maximum is commutative, associative and idempotent by itself. */
import {
  SkerryError,
  type ConflictCandidate,
  type ConflictResolver,
  type Resolution,
} from '../../core/contracts/index.ts';

type State = 'new' | 'open' | 'closed';

export function createKeepBothResolver(): ConflictResolver {
  let state: State = 'new';
  return {
    async open() {
      if (state !== 'new') throw new SkerryError('Closed', 'resolver-keep-both opens once');
      state = 'open';
    },
    async close() {
      state = 'closed';
    },
    resolve(candidates) {
      if (state !== 'open') throw new SkerryError('Closed', 'resolver-keep-both is not open');
      return keepBoth(candidates);
    },
  };
}

function keepBoth([first, ...rest]: readonly ConflictCandidate[]): Resolution {
  if (first === undefined)
    throw new SkerryError('InvalidArgument', 'nothing to resolve: at least one candidate is needed');
  const winner = rest.reduce((greatest, { stamp }) => (stamp > greatest ? stamp : greatest), first.stamp);
  return { winner, losers: 'sibling' };
}
