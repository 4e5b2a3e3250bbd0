/** What applying an op works on, what it is told, and what it lets go of. */
import type { Locator } from '../contracts/index.ts';
import type { Placement, VersionLocal } from './records.ts';
import type { Txn } from './txn.ts';

/** What only the applying site knows of an op: where it put the bytes. */
export interface ApplyLocal {
  readonly version?: VersionLocal;
  readonly placements?: readonly Placement[];
}

/** What a transaction lets go of, to be freed once it is durable. */
export interface Effects {
  readonly freed: Locator[];
  /** True when rows were added to the garbage queue. */
  garbage: boolean;
  /** A record whose bytes are known to be bad: good ones take its place. */
  readonly isDamaged: (locator: Locator) => boolean;
  mark(): number;
  reset(mark: number): void;
}

export function newEffects(isDamaged: Effects['isDamaged'] = () => false): Effects {
  const freed: Locator[] = [];
  return { freed, garbage: false, isDamaged, mark: () => freed.length, reset: (mark) => void (freed.length = mark) };
}

export interface ApplyContext {
  readonly txn: Txn;
  readonly effects: Effects;
  /** The op's clock is past everything applied here, so that nothing recorded can beat it. */
  readonly newest: boolean;
}
