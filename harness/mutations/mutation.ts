import type { WorldName } from '../sim/run-many.ts';

/** A planted bug: one place in the source that is made wrong, to see how soon the harness notices. */
export interface Mutation {
  readonly name: string;
  /** The promise that it breaks. */
  readonly rule: string;
  /** The world whose runs should find it. */
  readonly world: WorldName;
  /** From the root of the repository. */
  readonly file: string;
  /** Occurs exactly once in the file. */
  readonly find: string;
  readonly replace: string;
}

type Plant = (name: string, rule: string, file: string, find: string, replace: string) => Mutation;

/** For the planted bugs of one world; the files that they are given are in `folder`. */
export const plantedIn =
  (world: WorldName, folder: string): Plant =>
  (name, rule, file, find, replace) => ({ name, rule, world, file: `${folder}/${file}`, find, replace });
