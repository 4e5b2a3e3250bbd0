/**
 * What an entity of another site's snapshot does here, and what its absence does. Both sites' states are functions of the ops
 * that their vectors cover, so presence tells all: what one lacks although its vector covers it was ended there (Bieniusa
 * et al., "An Optimized Conflict-free Replicated Set", 2012). Nothing depends on the order of arrival.
 */
import type { Stamp, VersionVector } from '../contracts/index.ts';
import type { ApplyContext } from './apply-context.ts';
import { forgetBucket, knownBucket, mergedBucket, saveBucket } from './bucket-state.ts';
import { holdChunks } from './chunk-refs.ts';
import type { CutEntity, RegisterEntity, TombstoneEntity, VersionEntity } from './cut-entities.ts';
import { KeyState, bareVersion } from './key-state.ts';
import { fetchKey, tombstoneKey } from './keys.ts';
import type { BucketRecord, Register, TombstoneRecord, VersionRecord } from './records.ts';
import { registerIn, saveRegister } from './registers.ts';
import { stampDot } from './stamp.ts';
import { coversDot } from './vector.ts';

export interface MergeContext extends Pick<ApplyContext, 'txn' | 'effects'> {
  /** What this site had applied. */
  readonly own: VersionVector;
  /** What the snapshot covers. */
  readonly cut: VersionVector;
}

const covers = (vector: VersionVector, stamp: Stamp): boolean => coversDot(vector, stampDot(stamp));

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
      if (covers(context.cut, entity.register.stamp)) saveRegister(context.txn, entity.of, entity.id, undefined);
  }
}

function mergeRegister({ txn, own }: MergeContext, { of, id, register }: RegisterEntity): void {
  const known = registerIn(txn, of, id);
  if (known ? known.stamp < register.stamp : !covers(own, register.stamp)) saveRegister(txn, of, id, register);
}

/** Registers of both, the larger stamp of each. */
function mergeRegisters<Name extends string>(
  mine: Readonly<Partial<Record<Name, Register>>>,
  theirs: Readonly<Partial<Record<Name, Register>>>,
): Partial<Record<Name, Register>> {
  const merged: Partial<Record<Name, Register>> = { ...mine };
  for (const [name, register] of Object.entries(theirs) as [Name, Register][]) {
    const known = merged[name];
    if (!known || known.stamp < register.stamp) merged[name] = register;
  }
  return merged;
}

/** `theirs` is `undefined` when the snapshot knows nothing of the bucket. */
function mergeBucket({ txn, own, cut }: MergeContext, bucket: string, theirs: BucketRecord | undefined): void {
  const mine = knownBucket(txn, bucket);
  const merged = mergedBucket(mine, own, theirs, cut);
  if (merged) return saveBucket(txn, bucket, merged);
  forgetBucket(txn, bucket);
}

function mergeTombstone(context: MergeContext, entity: TombstoneEntity): void {
  const { txn, own } = context;
  const { bucket, key, target, tombstone } = entity;
  const row = tombstoneKey(bucket, key, target);
  const known = txn.record<TombstoneRecord>(row);
  // One that this site covers and lacks was purged here.
  if (known ? known.stamp >= tombstone.stamp : covers(own, tombstone.stamp)) return;
  const state = keyState(context, entity);
  if (target === null) {
    state.setTombstone({ ...known, ...tombstone });
    const version = state.nullVersion();
    if (version && version.stamp < tombstone.stamp) demote(state, version);
  } else {
    txn.put(row, tombstone);
    const version = state.version(target);
    if (version && !version.nullVersion) end(state, version);
  }
  state.save();
}

/** A live null version that lost its register; should the snapshot have ended it, its absence tells. */
function demote(state: KeyState, version: VersionRecord): void {
  state.takeOut(version);
  state.hide(version);
  if (state.head?.shadow) state.hide(state.head.shadow.record);
  state.addConflict({ stamp: version.stamp, loser: bareVersion(version) });
}

function end(state: KeyState, version: VersionRecord): void {
  state.takeOut(version);
  state.hide(version);
  state.letGo(version);
}

/** A null version's tombstone stays while conflicts hang on it: it counts them. Purging takes it later. */
function sweepTombstone(context: MergeContext, entity: TombstoneEntity): void {
  const { bucket, key, target, tombstone } = entity;
  if (!covers(context.cut, tombstone.stamp)) return;
  if (target === null && keyState(context, entity).conflicts().length > 0) return;
  context.txn.remove(tombstoneKey(bucket, key, target));
}

function sweepVersion(context: MergeContext, entity: VersionEntity): void {
  const { stamp } = entity.version;
  if (!covers(context.cut, stamp)) return;
  const state = keyState(context, entity);
  const version = state.version(stamp);
  const conflict = lostConflict(state, stamp);
  if (version) end(state, version);
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
    if (seen) markSeen(state, version.stamp);
  } else if (lost) {
    state.updateLoser(withSettings(lost, version));
  } else {
    // One that this site covers and lacks was ended here.
    if (covers(context.own, version.stamp)) return;
    add(context, state, entity);
  }
  state.save();
}

function withSettings(mine: VersionRecord, theirs: VersionRecord): VersionRecord {
  const settings = mergeRegisters(mine.settings ?? {}, theirs.settings ?? {});
  const { settings: _, ...rest } = mine;
  return { ...rest, ...(Object.keys(settings).length > 0 ? { settings } : {}) };
}

function markSeen(state: KeyState, stamp: Stamp): void {
  if (state.head?.stamp === stamp) return state.markSeen();
  const open = state.conflicts().find((conflict) => conflict.stamp === stamp);
  if (open) state.endConflict(open);
}

/** A version that is new here. Nothing that this site wrote has seen it, or the vector would cover it. */
function add(context: MergeContext, state: KeyState, { bucket, key, version, live, seen }: VersionEntity): void {
  const isPending = [...(version.content?.manifest ?? []), ...(version.content?.partsManifest ?? [])].length > 0;
  const record: VersionRecord = isPending ? { ...version, local: { pending: true } } : version;
  if (isPending) context.txn.put(fetchKey(record.stamp), { bucket, key });
  holdChunks(context, record, []);
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
