/**
 * What an entity of another site's snapshot does here, and what its absence does. Both sites' states are functions of the ops
 * that their vectors cover, so presence tells all: what one lacks although its vector covers it was ended there (Bieniusa
 * et al., "An Optimized Conflict-free Replicated Set", 2012). Nothing depends on the order of arrival.
 */
import type { Stamp } from '../contracts/index.ts';
import { releaseStable, removalsOf } from './apply-removal.ts';
import { forgetBucket, knownBucket, mergedBucket, saveBucket } from './bucket-state.ts';
import type { CutEntity, RegisterEntity, TombstoneEntity, VersionEntity } from './cut-entities.ts';
import { KeyState, bareVersion } from './key-state.ts';
import { tombstoneKey } from './keys.ts';
import { covers, type MergeContext } from './merge-context.ts';
import { endVersion, mergeRemoved, mergeWithRemoved, newVersion, withSettings } from './merge-removed.ts';
import type { BucketRecord, TombstoneRecord, VersionRecord } from './records.ts';
import { registerIn, saveRegister } from './registers.ts';

const keyState = ({ txn, effects }: MergeContext, { bucket, key }: { readonly bucket: string; readonly key: string }) =>
  new KeyState({ txn, effects, newest: false }, bucket, key);

/** The snapshot has this entity. */
export function mergeEntity(context: MergeContext, entity: CutEntity): void {
  switch (entity.kind) {
    case 'bucket':
      return mergeBucket(context, entity.bucket, entity.record);
    case 'tombstone':
      return mergeTombstone(context, entity);
    case 'version':
      return mergeVersion(context, entity);
    case 'register':
      return mergeRegister(context, entity);
  }
}

/** This site has the entity and the snapshot lacks it: it was removed there if the snapshot covers it. */
export function sweepEntity(context: MergeContext, entity: CutEntity): void {
  switch (entity.kind) {
    case 'bucket':
      return mergeBucket(context, entity.bucket, undefined);
    case 'tombstone':
      return sweepTombstone(context, entity);
    case 'version':
      return sweepVersion(context, entity);
    case 'register':
      return sweepRegister(context, entity);
  }
}

/** As it is now: it may have been written anew since it was read. */
function sweepRegister({ txn, cut }: MergeContext, { of, id }: RegisterEntity): void {
  const known = registerIn(txn, of, id);
  if (known && covers(cut, known.stamp)) saveRegister(txn, of, id, undefined);
}

function mergeRegister({ txn, own }: MergeContext, { of, id, register }: RegisterEntity): void {
  const known = registerIn(txn, of, id);
  if (known ? known.stamp < register.stamp : !covers(own, register.stamp)) saveRegister(txn, of, id, register);
}

/** `theirs` is `undefined` when the snapshot knows nothing of the bucket. */
function mergeBucket({ txn, own, cut }: MergeContext, bucket: string, theirs: BucketRecord | undefined): void {
  const mine = knownBucket(txn, bucket);
  const merged = mergedBucket(mine, own, theirs, cut);
  if (merged) return saveBucket(txn, bucket, merged);
  forgetBucket(txn, bucket);
}

function mergeTombstone(context: MergeContext, entity: TombstoneEntity): void {
  const { target } = entity;
  if (target === null) {
    mergeNullTombstone(context, entity);
  } else {
    const state = keyState(context, entity);
    mergeRemoved(context, state, { ...entity, target }, entity.tombstone);
    state.save();
  }
}

function mergeNullTombstone(context: MergeContext, entity: TombstoneEntity): void {
  const { tombstone } = entity;
  const state = keyState(context, entity);
  const known = state.tombstone();
  // One that this site covers and lacks was purged here.
  if (known ? known.stamp >= tombstone.stamp : covers(context.own, tombstone.stamp)) return;
  state.setTombstone({ ...known, ...tombstone });
  const version = state.nullVersion();
  if (version && version.stamp < tombstone.stamp) demote(state, version);
  state.save();
}

/** A live null version that lost its register; should the snapshot have ended it, its absence tells. */
function demote(state: KeyState, version: VersionRecord): void {
  state.takeOut(version);
  state.hide(version);
  if (state.head?.shadow) state.hide(state.head.shadow.record);
  state.addConflict({ stamp: version.stamp, loser: bareVersion(version) });
}

/**
 * As it is now: another removal may have come since it was read. A null version's tombstone stays while conflicts hang on it:
 * it counts them. Purging takes it later.
 */
function sweepTombstone(context: MergeContext, entity: TombstoneEntity): void {
  const { bucket, key, target } = entity;
  const row = tombstoneKey(bucket, key, target);
  const known = context.txn.record<TombstoneRecord>(row);
  if (!known || !removalsOf(known).every(({ stamp }) => covers(context.cut, stamp))) return;
  if (target === null && keyState(context, entity).conflicts().length > 0) return;
  releaseStable(context, row);
  context.txn.remove(row);
}

function sweepVersion(context: MergeContext, entity: VersionEntity): void {
  const { stamp } = entity.version;
  if (!covers(context.cut, stamp)) return;
  const state = keyState(context, entity);
  const version = state.version(stamp);
  const conflict = lostConflict(state, stamp);
  if (version) endVersion(state, version);
  else if (conflict) state.endConflict(conflict);
  state.save();
}

const lostConflict = (state: KeyState, stamp: Stamp) =>
  state.conflicts().find((conflict) => conflict.stamp === stamp && conflict.record.loser);

function mergeVersion(context: MergeContext, entity: VersionEntity): void {
  const { version, seen } = entity;
  const state = keyState(context, entity);
  const known = state.version(version.stamp);
  const lost = known ? undefined : lostConflict(state, version.stamp)?.record.loser;
  if (known) {
    state.update(withSettings(known, version));
    if (seen) state.markVersionSeen(version.stamp);
  } else if (lost) {
    state.updateLoser(withSettings(lost, version));
  } else if (!mergeWithRemoved(context, state, entity)) {
    // One that this site covers and lacks was ended here.
    if (covers(context.own, version.stamp)) return;
    add(context, state, entity);
  }
  state.save();
}

/** A version that is new here. Nothing that this site wrote has seen it, or the vector would cover it. */
function add(context: MergeContext, state: KeyState, { bucket, key, version, live, seen }: VersionEntity): void {
  const record = newVersion(context, { bucket, key }, version);
  if (!record.nullVersion) return place(state, record, seen);
  const rival = state.nullVersion();
  const newest = [rival?.stamp, state.tombstone()?.stamp]
    .filter((stamp) => stamp !== undefined)
    .toSorted()
    .at(-1);
  if (!live || (newest !== undefined && newest > record.stamp))
    return state.addConflict({ stamp: record.stamp, loser: record });
  if (rival) state.takeOut(rival);
  place(state, record, seen);
  if (rival) state.addConflict({ stamp: rival.stamp, loser: bareVersion(rival) });
}

/** Among the live versions: what is not current and was not seen is an open conflict. */
function place(state: KeyState, record: VersionRecord, seen: boolean): void {
  const { head } = state;
  state.insert(record);
  if (head && record.stamp < head.stamp) {
    if (!seen) state.addConflict({ stamp: record.stamp });
    return;
  }
  if (head && !head.seen) state.addConflict({ stamp: head.stamp });
  if (seen) state.markSeen();
}
