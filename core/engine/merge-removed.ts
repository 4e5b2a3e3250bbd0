/**
 * Removed versions in snapshots (rule 10). A version is live, or a tombstone keeps it while a lock may bring it back, or its
 * removal is final. A removal of which one site knows and another does not count was voided there, for ever; one that a site
 * has not heard of is voided by the locks which that site knows, since none of them can have seen it.
 */
import type { Stamp, VersionSettingName, VersionVector } from '../contracts/index.ts';
import { bringBack, hideRemoved, isVoid, removalsOf, tombstoneOf } from './apply-removal.ts';
import { holdChunks } from './chunk-refs.ts';
import type { CutTombstone, CutVersion, VersionEntity } from './cut-entities.ts';
import { bareVersion, type KeyState } from './key-state.ts';
import { fetchKey, tombstoneKey } from './keys.ts';
import { addLock, mergeSetting } from './locks.ts';
import { covers, type MergeContext } from './merge-context.ts';
import {
  pendingLocal,
  type LockMark,
  type Register,
  type Removal,
  type TombstoneRecord,
  type VersionRecord,
} from './records.ts';

/** A version that may live, as one site knows it: it does if there are no removals. */
interface Known<V extends CutVersion> {
  readonly version: V;
  readonly removals: readonly Removal[];
}

interface Target {
  readonly bucket: string;
  readonly key: string;
  readonly target: Stamp;
}

/** The snapshot has the tombstone of a version. */
export function mergeRemoved(context: MergeContext, state: KeyState, at: Target, tombstone: CutTombstone): void {
  const { txn, own } = context;
  const row = tombstoneKey(at.bucket, at.key, at.target);
  const known = txn.record<TombstoneRecord>(row);
  const { kept } = tombstone;
  if (!kept) return mergeFinal(context, state, at, tombstone);
  if (known && !known.kept) return;
  const theirs = { version: kept, removals: removalsOf(tombstone) };
  const mine = knownHere(state, at.target, known);
  if (mine) return join(context, state, at, mine, theirs);
  // One that this site covers and lacks was given up here.
  if (covers(own, at.target)) return;
  txn.put(row, tombstoneOf(newVersion(context, at, kept), theirs.removals));
}

/** The snapshot has a live version that is none here: true when that is because it was removed here. */
export function mergeWithRemoved(
  context: MergeContext,
  state: KeyState,
  { bucket, key, version }: VersionEntity,
): boolean {
  // A null version is a register: only a removal of the register touches it.
  if (version.nullVersion) return false;
  const at = { bucket, key, target: version.stamp };
  const known = context.txn.record<TombstoneRecord>(tombstoneKey(bucket, key, at.target));
  const mine = known?.kept && knownHere(state, at.target, known);
  if (mine) join(context, state, at, mine, { version, removals: [] });
  return known !== undefined;
}

function mergeFinal({ txn, own }: MergeContext, state: KeyState, at: Target, removal: CutTombstone): void {
  const row = tombstoneKey(at.bucket, at.key, at.target);
  const known = txn.record<TombstoneRecord>(row);
  // One that this site covers and lacks was purged here.
  if (known && !known.kept ? known.stamp >= removal.stamp : covers(own, removal.stamp)) return;
  txn.put(row, removal);
  if (known?.kept) return state.letGo(known.kept);
  const version = state.version(at.target);
  if (version && !version.nullVersion) endVersion(state, version);
  else state.endLoser(at.target);
}

/** A live version goes for good. */
export function endVersion(state: KeyState, version: VersionRecord): void {
  state.takeOut(version);
  state.hide(version);
  state.letGo(version);
}

function knownHere(
  state: KeyState,
  target: Stamp,
  known: TombstoneRecord | undefined,
): Known<VersionRecord> | undefined {
  if (known?.kept) return { version: known.kept, removals: removalsOf(known) };
  const version = state.version(target);
  return version && !version.nullVersion ? { version, removals: [] } : undefined;
}

function join(
  context: MergeContext,
  state: KeyState,
  at: Target,
  mine: Known<VersionRecord>,
  theirs: Known<CutVersion>,
): void {
  const version = withSettings(mine.version, theirs.version);
  const removals = new Map(
    [...standing(mine.removals, theirs, context.cut), ...standing(theirs.removals, mine, context.own)].map(
      (removal) => [removal.stamp, removal] as const,
    ),
  );
  const isLive = mine.removals.length === 0;
  if (removals.size > 0) {
    if (isLive) hideRemoved(state, mine.version);
    const row = tombstoneKey(at.bucket, at.key, at.target);
    context.txn.put(row, tombstoneOf(bareVersion(version), [...removals.values()]));
  } else if (isLive) {
    state.update(version);
    // by a removal that came to nothing
    state.markVersionSeen(at.target);
  } else {
    bringBack(context, state, at, version);
  }
}

/** Of the removals that one site counts, those that another, which covers `vector`, leaves standing. */
const standing = (removals: readonly Removal[], other: Known<CutVersion>, vector: VersionVector): readonly Removal[] =>
  removals.filter((removal) =>
    covers(vector, removal.stamp)
      ? other.removals.some(({ stamp }) => stamp === removal.stamp)
      : !isVoid(removal, other.version),
  );

/** A version that is new here: its chunks are held, and asked for. */
export function newVersion(
  context: MergeContext,
  { bucket, key }: Pick<Target, 'bucket' | 'key'>,
  version: CutVersion,
): VersionRecord {
  const isPending = [...(version.content?.manifest ?? []), ...(version.content?.partsManifest ?? [])].length > 0;
  const record: VersionRecord = isPending ? { ...version, local: pendingLocal(context.visibility) } : version;
  if (isPending) context.txn.put(fetchKey(record.stamp), { bucket, key });
  holdChunks(context, record, []);
  return record;
}

/** What two sites know of one version: its settings, and what has locked it. */
export function withSettings<V extends VersionRecord>(mine: V, theirs: CutVersion): V {
  const settings: Partial<Record<VersionSettingName, Register>> = { ...mine.settings };
  for (const [name, register] of Object.entries(theirs.settings ?? {}) as [VersionSettingName, Register][])
    settings[name] = mergeSetting(name, settings[name], register);
  const locks = (theirs.locks ?? []).reduce<readonly LockMark[]>(addLock, mine.locks ?? []);
  return {
    ...mine,
    ...(Object.keys(settings).length > 0 ? { settings } : {}),
    ...(locks.length > 0 ? { locks } : {}),
  };
}
