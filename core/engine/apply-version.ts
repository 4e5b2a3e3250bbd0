/**
 * Version ops. Of the versions of a key the one with the largest stamp is current (rule 5). Null versions are one
 * register: the largest stamp stays. A write or removal ends only what it saw (rule 6): what it did not see and beats
 * becomes a conflict, listed until a later write has seen it. Ops arrive in causal order, so nothing applied later was
 * seen by something applied before.
 */
import type { Dot, Op, VersionPut, VersionRemove, VersionSetting, VersionVector } from '../contracts/index.ts';
import type { ApplyContext, ApplyLocal } from './apply-context.ts';
import { removeOne, setOnRemoved } from './apply-removal.ts';
import { dropVersion, holdChunks } from './chunk-refs.ts';
import { tombstoneKey } from './keys.ts';
import { KeyState, bareVersion } from './key-state.ts';
import { withSetting } from './locks.ts';
import type { Register, VersionLocal, VersionRecord } from './records.ts';
import { stampDot } from './stamp.ts';
import { coversDot } from './vector.ts';

export function putVersion(context: ApplyContext, op: Op<VersionPut>, local: ApplyLocal): void {
  const { bucket, key, nullVersion } = op.body;
  const record = versionRecord(op, local.version);
  holdChunks(context, record, local.placements ?? []);
  const state = new KeyState(context, bucket, key);
  if (!context.newest && !nullVersion && context.txn.get(tombstoneKey(bucket, key, op.stamp)))
    return dropVersion(context, record);
  endSeen(state, op);
  if (nullVersion) putNull(context, state, op, record);
  else insert(state, op.deps, record);
  state.save();
}

/**
 * A put ends the open conflicts that it has seen. A null version that lost its register is another matter: only an op of
 * the register ends it, since nothing else would keep its bytes.
 */
function endSeen(state: KeyState, { deps, body }: Op<VersionPut>): void {
  for (const conflict of state.conflicts()) {
    if (sees(deps, conflict.record) && (body.nullVersion || !conflict.record.loser)) state.endConflict(conflict);
  }
  if (state.head && sees(deps, state.head)) state.markSeen();
}

const sees = (deps: VersionVector, { stamp }: Pick<VersionRecord, 'stamp'>): boolean =>
  coversDot(deps, stampDot(stamp) satisfies Dot);

/** A new live version; with the current one it is in conflict unless it has seen it. */
function insert(state: KeyState, deps: VersionVector, record: VersionRecord): void {
  const head = state.head;
  state.insert(record);
  if (!head) return;
  if (record.stamp < head.stamp) return state.addConflict({ stamp: record.stamp });
  if (!head.seen && !sees(deps, head)) state.addConflict({ stamp: head.stamp });
}

function putNull(context: ApplyContext, state: KeyState, op: Op<VersionPut>, record: VersionRecord): void {
  const rival = state.nullVersion();
  const removal = context.newest ? undefined : state.tombstone();
  if ((rival && rival.stamp > op.stamp) || (removal && removal.stamp > op.stamp))
    return state.addConflict({ stamp: op.stamp, loser: record });
  if (!rival) return insert(state, op.deps, record);
  const seen = sees(op.deps, rival);
  if (seen && rival.stamp === state.head?.stamp) return state.replaceHead(record);
  state.takeOut(rival);
  if (seen) state.letGo(rival);
  insert(state, op.deps, record);
  if (!seen) state.addConflict({ stamp: rival.stamp, loser: bareVersion(rival) });
}

export function removeVersion(context: ApplyContext, op: Op<VersionRemove>): void {
  const { bucket, key, target } = op.body;
  const state = new KeyState(context, bucket, key);
  if (target === null) removeNull(context, state, op);
  else removeOne(context, state, op, target);
  state.save();
}

/** Removal of the null-version register: what it saw goes, what it did not see and beats is a conflict. */
function removeNull(context: ApplyContext, state: KeyState, op: Op<VersionRemove>): void {
  const known = state.tombstone();
  if (!known || known.stamp < op.stamp) state.setTombstone({ ...known, stamp: op.stamp, deps: op.deps });
  for (const conflict of state.conflicts())
    if (conflict.record.loser && sees(op.deps, conflict.record)) state.endConflict(conflict);
  // readers that still see an older one, because the newest's bytes are missing, see it removed
  const shown = state.head?.shadow?.record;
  if (shown?.nullVersion && shown.stamp < op.stamp) state.hide(shown);
  const version = state.nullVersion();
  if (!version || version.stamp > op.stamp) return;
  const seen = sees(op.deps, version);
  state.takeOut(version);
  state.hide(version);
  if (state.head?.shadow) state.hide(state.head.shadow.record);
  if (seen) state.letGo(version);
  else state.addConflict({ stamp: version.stamp, loser: bareVersion(version) });
}

export function setVersionSetting(context: ApplyContext, op: Op<VersionSetting>): void {
  const { bucket, key, target, name, value } = op.body;
  const state = new KeyState(context, bucket, key);
  const lost = state.conflicts().find(({ stamp, record }) => stamp === target && record.loser)?.record.loser;
  const version = state.version(target);
  const set: Register = { value, stamp: op.stamp };
  if (version) state.update(withSetting(version, name, set));
  else if (lost) state.updateLoser(withSetting(lost, name, set));
  else setOnRemoved(context, state, op);
  state.save();
}

function versionRecord(op: Op<VersionPut>, local: VersionLocal | undefined): VersionRecord {
  const { body, stamp, deps } = op;
  const settings = Object.entries(body.settings ?? {}).map(([name, value]) => [name, { value, stamp }]);
  return {
    stamp,
    deps,
    ...(body.nullVersion ? { nullVersion: true as const } : {}),
    ...(body.marker ? { marker: true as const } : {}),
    owner: body.owner,
    modifiedAtMs: body.modifiedAtMs,
    ...(body.content ? { content: body.content } : {}),
    ...(settings.length > 0 ? { settings: Object.fromEntries(settings) } : {}),
    ...(local ? { local } : {}),
  };
}
