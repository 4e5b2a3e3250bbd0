/**
 * Removal of one version by its stamp. Final, so that the version cannot come back, or (in buckets with Object Lock)
 * tentative: a lock that was set unseen by the removal voids it, for ever, in whatever order they arrive (rule 10). Until
 * every removal of a version is stable its record and bytes are kept in the tombstone. Where a final removal meets tentative
 * ones it alone counts: nothing brings the version back, and they leave no trace.
 */
import type { MetaKey, Op, Stamp, VersionRemove, VersionSetting } from '../contracts/index.ts';
import type { ApplyContext } from './apply-context.ts';
import { dropVersion } from './chunk-refs.ts';
import { bareVersion, type KeyState } from './key-state.ts';
import { fetchKey, tombstoneKey } from './keys.ts';
import { isVoidedBy, lockMark, withSetting } from './locks.ts';
import type { LockMark, Register, Removal, TombstoneRecord, VersionRecord } from './records.ts';
import { stampDot } from './stamp.ts';
import { coversDot } from './vector.ts';

export function removeOne(context: ApplyContext, state: KeyState, op: Op<VersionRemove>, target: Stamp): void {
  const { bucket, key, tentative } = op.body;
  const row = tombstoneKey(bucket, key, target);
  const known = context.txn.record<TombstoneRecord>(row);
  const version = state.version(target);
  if (tentative && known && !known.kept) return;
  const removal: Removal = { stamp: op.stamp, deps: op.deps };
  if (tentative && known?.kept) {
    if (!isVoid(removal, known.kept)) context.txn.put(row, tombstoneOf(known.kept, [...removalsOf(known), removal]));
    return;
  }
  if (tentative && version && isVoid(removal, version)) return state.markVersionSeen(target);
  const live = version && !version.nullVersion ? version : undefined;
  if (!known || known.kept || known.stamp < op.stamp)
    context.txn.put(row, tentative && live ? tombstoneOf(bareVersion(live), [removal]) : removal);
  if (known?.kept) state.letGo(known.kept);
  // A null version is a register: only a removal of the register touches it. By its stamp it is removed where it lost.
  if (!live) return state.endLoser(target);
  hideRemoved(state, live);
  if (!tentative) state.letGo(live);
}

/** A live version is live no more; its bytes stay held. */
export function hideRemoved(state: KeyState, version: VersionRecord): void {
  state.takeOut(version);
  state.hide(version);
}

/** A setting of a version that was removed: kept with it, and a lock voids the removals that have not seen it. */
export function setOnRemoved(context: ApplyContext, state: KeyState, op: Op<VersionSetting>): void {
  const { bucket, key, target, name, value } = op.body;
  const row = tombstoneKey(bucket, key, target);
  const known = context.txn.record<TombstoneRecord>(row);
  if (!known?.kept) return;
  const set: Register = { value, stamp: op.stamp };
  const kept = withSetting(known.kept, name, set);
  const mark = lockMark(name, set);
  const left = removalsOf(known).filter((removal) => !(mark && isUnseenLock(op, mark, removal)));
  if (left.length > 0) return context.txn.put(row, tombstoneOf(kept, left));
  bringBack(context, state, op.body, kept);
}

/** None of its removals counts: it is live again. */
export function bringBack(
  { txn }: Pick<ApplyContext, 'txn'>,
  state: KeyState,
  { bucket, key, target }: Pick<VersionSetting, 'bucket' | 'key' | 'target'>,
  kept: VersionRecord,
): void {
  txn.remove(tombstoneKey(bucket, key, target));
  if (kept.local?.pending) txn.put(fetchKey(target), { bucket, key });
  state.bringBack(kept);
}

/** All removals that have to be stable before what the tombstone keeps may go. */
export function removalsOf(tombstone: Pick<TombstoneRecord, 'stamp' | 'deps' | 'removals'>): readonly Removal[] {
  return tombstone.removals ?? [{ stamp: tombstone.stamp, deps: tombstone.deps }];
}

/** The removals of this tombstone are all stable: no lock can be under way, and what it keeps is given back. */
export function releaseStable(context: Pick<ApplyContext, 'txn' | 'effects'>, row: MetaKey): void {
  const tombstone = context.txn.record<TombstoneRecord>(row);
  if (!tombstone?.kept) return;
  const { kept, removals: _, ...final } = tombstone;
  dropVersion(context, kept);
  context.txn.put(row, final);
}

/** Of a removal that none of the locks has seen. */
export const isVoid = (removal: Removal, { locks }: Pick<VersionRecord, 'locks'>): boolean =>
  locks?.some((mark) => isVoidedBy(removal, mark)) === true;

/** The op was set without having seen the removal, nor the removal the op. */
const isUnseenLock = (op: Op, mark: LockMark, removal: Removal): boolean =>
  !coversDot(op.deps, stampDot(removal.stamp)) && isVoidedBy(removal, mark);

/** With the version in it that the removals, at least one, may not remove after all. */
export function tombstoneOf(kept: VersionRecord, removals: readonly Removal[]): TombstoneRecord {
  const sorted = removals.toSorted((a, b) => (a.stamp < b.stamp ? -1 : 1));
  const last = sorted.at(-1) as Removal;
  return { ...last, kept, ...(sorted.length > 1 ? { removals: sorted } : {}) };
}
