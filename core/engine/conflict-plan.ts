/**
 * Which writes end a conflict and keep what was chosen. Pure. Ordinary ops only, so that every site ends it alike: a put that has seen
 * everything ends what lives among the versions of the key, and a null version that lost its register is ended by the next op
 * of the register (apply-version.ts).
 */
import { SkerryError, type ResolveConflictInput, type Versioning } from '../contracts/index.ts';
import type { ConflictState, Loser } from './conflicts.ts';
import type { VersionRecord } from './records.ts';
import { versionIdOf } from './stamp.ts';

/** A version to write anew. */
export interface PutStep {
  readonly do: 'put';
  readonly key: string;
  readonly nullVersion: boolean;
  readonly source: VersionRecord;
  /** Absent: the time of the resolution. */
  readonly modifiedAtMs?: number;
  /** This write keeps a loser, and does not decide what is current. */
  readonly keeps?: true;
}

export type Step =
  | PutStep
  | { readonly do: 'marker'; readonly key: string }
  /** Removes the null version, as a delete does while versioning is off. */
  | { readonly do: 'remove-null'; readonly key: string };

export interface PlanInput extends Pick<ResolveConflictInput, 'key' | 'choose'> {
  readonly state: ConflictState;
  /** The live null version of the key. */
  readonly nullVersion: VersionRecord | undefined;
  readonly versioning: Versioning;
}

/** In the order in which they must be written: what is to be current last. */
export function planResolution(input: PlanInput): readonly Step[] {
  const { state, choose } = input;
  const chosen = chosenSide(state, choose);
  const lost = state.losers.filter(({ live }) => !live);
  const kept = choose === 'all' ? lost.filter(({ record }) => !record.marker).toReversed() : [];
  const isPlain = input.versioning === 'Off' && !state.losers.some(({ live }) => live);
  return isPlain ? planPlain(input, chosen, kept) : planVersioned(input, { chosen, kept, lost });
}

/** `undefined`: the winner is a removal, and stays. */
function chosenSide({ head, tombstone, losers }: ConflictState, choose: string): VersionRecord | undefined {
  if (choose === 'current' || choose === 'all') return head;
  if (head ? versionIdOf(head.stamp) === choose : tombstone && versionIdOf(tombstone.stamp) === choose) return head;
  const loser = losers.find(({ record }) => versionIdOf(record.stamp) === choose);
  if (loser) return loser.record;
  throw new SkerryError('NotFound', 'no side of this conflict has that version id', { details: { versionId: choose } });
}

/** Where the losers of a key without versions are kept. */
export const siblingKey = (key: string, { stamp }: VersionRecord): string => `${key}~conflict~${versionIdOf(stamp)}`;

/** Versioning is off: a key has one version, and whatever is to be kept beside it needs a key of its own. */
function planPlain(
  { key, state: { head } }: PlanInput,
  chosen: VersionRecord | undefined,
  kept: readonly Loser[],
): readonly Step[] {
  const siblings = kept.map(({ record }): Step => keeping(siblingKey(key, record), record, true));
  if (!chosen || chosen.marker) return [...siblings, { do: 'remove-null', key }];
  const isHead = chosen.stamp === head?.stamp;
  return [...siblings, isHead ? unchanged(key, chosen, true) : { do: 'put', key, nullVersion: true, source: chosen }];
}

interface Sides {
  readonly chosen: VersionRecord | undefined;
  readonly kept: readonly Loser[];
  /** Losers that live in the conflict alone. */
  readonly lost: readonly Loser[];
}

/** Losers that are versions stay versions; null versions that lost become such when they are to be kept. */
function planVersioned({ key, state, nullVersion }: PlanInput, { chosen, kept, lost }: Sides): readonly Step[] {
  const versions = kept.map(({ record }): Step => keeping(key, record, false));
  if (!chosen)
    return [...versions, { do: 'remove-null', key }, ...(kept.length > 0 ? [{ do: 'marker', key } as const] : [])];
  const isHead = chosen.stamp === state.head?.stamp;
  const asNull = isHead && chosen.nullVersion === true;
  const touchesRegister = lost.length > 0 && !asNull;
  const register: readonly Step[] = !touchesRegister
    ? []
    : [nullVersion ? unchanged(key, nullVersion, true) : { do: 'remove-null', key }];
  const final: PutStep = isHead
    ? unchanged(key, chosen, asNull)
    : { do: 'put', key, nullVersion: false, source: chosen };
  return [...versions, ...register, final];
}

const unchanged = (key: string, source: VersionRecord, nullVersion: boolean): PutStep => ({
  do: 'put',
  key,
  nullVersion,
  source,
  modifiedAtMs: source.modifiedAtMs,
});
const keeping = (key: string, source: VersionRecord, nullVersion: boolean): PutStep => ({
  ...unchanged(key, source, nullVersion),
  keeps: true,
});
