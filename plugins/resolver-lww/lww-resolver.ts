/** Last writer wins: the maximum of a total order is commutative, associative and idempotent by itself. */
import { SkerryError, type ConflictResolver, type Stamp } from '../../core/contracts/index.ts';

type State = 'new' | 'open' | 'closed';

export function createLwwResolver(): ConflictResolver {
  let state: State = 'new';
  return {
    async open() {
      if (state !== 'new') throw new SkerryError('Closed', 'resolver-lww opens once');
      state = 'open';
    },
    async close() {
      state = 'closed';
    },
    resolve(candidates) {
      if (state !== 'open') throw new SkerryError('Closed', 'resolver-lww is not open');
      return { winner: greatest(candidates.map(({ stamp }) => stamp)), losers: 'conflict' };
    },
  };
}

/** Stamps are made so that comparing their code units compares time, then site, incarnation and sequence number. */
function greatest(stamps: readonly Stamp[]): Stamp {
  const [first, ...rest] = stamps;
  if (first === undefined)
    throw new SkerryError('InvalidArgument', 'nothing to resolve: at least one candidate is needed');
  return rest.reduce((winner, stamp) => (stamp > winner ? stamp : winner), first);
}
