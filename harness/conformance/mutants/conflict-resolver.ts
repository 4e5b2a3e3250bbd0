/** Conflict resolvers that are broken in one way each. The kit must fail every one of them. */
import {
  SkerryError,
  type ConflictCandidate,
  type ConflictResolver,
  type Resolution,
  type Stamp,
} from '../../../core/contracts/index.ts';

export interface ConflictResolverMutant {
  /** Completes "one that ...". */
  readonly name: string;
  readonly create: () => ConflictResolver;
}

type Candidates = readonly ConflictCandidate[];

function lifecycle(): Pick<ConflictResolver, 'open' | 'close'> & { requireOpen(): void } {
  let open = false;
  return {
    open: async () => {
      open = true;
    },
    close: async () => {
      open = false;
    },
    requireOpen: () => {
      if (!open) throw new SkerryError('Closed', 'not open');
    },
  };
}

function broken(name: string, resolve: (candidates: Candidates, calls: number) => Resolution): ConflictResolverMutant {
  return {
    name,
    create: () => {
      const { open, close, requireOpen } = lifecycle();
      let calls = 0;
      return {
        open,
        close,
        resolve: (candidates) => {
          requireOpen();
          calls += 1;
          return resolve(candidates, calls);
        },
      };
    },
  };
}

const conflict = (winner: Stamp | undefined): Resolution => ({ winner: winner ?? '', losers: 'conflict' });
const ascending = (candidates: Candidates): readonly Stamp[] =>
  [...new Set(candidates.map(({ stamp }) => stamp))].sort();
const greatest = (candidates: Candidates): Stamp | undefined => ascending(candidates).at(-1);
const by = (candidates: Candidates, score: (candidate: ConflictCandidate) => number): ConflictCandidate | undefined => {
  return candidates.reduce<ConflictCandidate | undefined>(
    (best, candidate) => (best === undefined || score(candidate) > score(best) ? candidate : best),
    undefined,
  );
};
const clock = ({ stamp }: ConflictCandidate): number => Number.parseInt(stamp.slice(0, 12), 16);

export const conflictResolverMutants: readonly ConflictResolverMutant[] = [
  broken('takes whichever came first', ([first]) => conflict(first?.stamp)),
  broken('takes whichever came last', (candidates) => conflict(candidates.at(-1)?.stamp)),
  broken('drops the tie-break on equal clocks', (candidates) => conflict(by(candidates, clock)?.stamp)),
  broken('orders by modification time alone', (candidates) => {
    return conflict(by(candidates, ({ body }) => (body.type === 'version.put' ? body.modifiedAtMs % 3 : 0))?.stamp);
  }),
  broken('lets the majority decide', (candidates) => {
    const sorted = [...candidates].sort((a, b) => (a.stamp < b.stamp ? -1 : 1));
    return conflict(by(sorted, ({ stamp }) => candidates.filter((other) => other.stamp === stamp).length)?.stamp);
  }),
  broken('takes the middle', (candidates) => {
    const stamps = ascending(candidates);
    return conflict(stamps[Math.floor(stamps.length / 2)]);
  }),
  broken('decides by the number of candidates', (candidates) => {
    const stamps = ascending(candidates);
    return conflict(stamps.length % 2 === 0 ? stamps.at(-1) : stamps[0]);
  }),
  broken('mints a stamp of its own', (candidates) => conflict(`${greatest(candidates)?.slice(0, -1)}f`)),
  broken('changes its mind', (candidates, calls) =>
    conflict(calls % 2 === 0 ? greatest(candidates) : ascending(candidates)[0]),
  ),
  broken('cannot handle removals', (candidates) => {
    if (candidates.some(({ body }) => body.type === 'version.remove'))
      throw new SkerryError('NotSupported', 'a removal');
    return conflict(greatest(candidates));
  }),
  broken('forgets removals', (candidates) =>
    conflict(greatest(candidates.filter(({ body }) => body.type === 'version.put'))),
  ),
  broken('sorts what it was given', (candidates) => {
    return conflict((candidates as ConflictCandidate[]).sort((a, b) => (a.stamp < b.stamp ? 1 : -1))[0]?.stamp);
  }),
  broken('makes siblings that it did not declare', (candidates) => ({
    winner: greatest(candidates) ?? '',
    losers: 'sibling',
  })),
  {
    name: 'answers after close',
    create: () => ({
      open: async () => undefined,
      close: async () => undefined,
      resolve: (candidates) => conflict(greatest(candidates)),
    }),
  },
];
