/**
 * The one door: local writes and replicated ops change state here and nowhere else. Pure over a transaction: state is a
 * function of the set of ops applied (rule 2), the current version is the one with the largest stamp (rule 5), null
 * versions and settings are registers (rule 7).
 */
import type { Op, OpBody, VersionPut, VersionRemove, VersionSetting } from '../contracts/index.ts';
import { applyBucketOp } from './apply-bucket.ts';
import type { ApplyContext, ApplyLocal } from './apply-context.ts';
import { dropVersion, holdChunks } from './chunk-refs.ts';
import { headKey, registerKey, tombstoneKey, versionKey, versionPrefix, tupleRange } from './keys.ts';
import type { HeadRecord, Register, TombstoneRecord, VersionLocal, VersionRecord } from './records.ts';
import { addVersions, setHead } from './heads.ts';
import { decodeRecord } from './records.ts';
import type { Txn } from './txn.ts';

export function applyOp(context: ApplyContext, op: Op, local: ApplyLocal = {}): void {
  switch (op.body.type) {
    case 'version.put':
      return putVersion(context, op as Op<VersionPut>, local);
    case 'version.remove':
      return removeVersion(context, op as Op<VersionRemove>);
    case 'version.setting':
      return setVersionSetting(context, op as Op<VersionSetting>);
    case 'bucket.create':
    case 'bucket.remove':
    case 'bucket.setting':
      return applyBucketOp(context, op);
    default:
      return setRegister(context.txn, op);
  }
}

function putVersion(context: ApplyContext, op: Op<VersionPut>, local: ApplyLocal): void {
  const { txn } = context;
  const { bucket, key, nullVersion } = op.body;
  const record = versionRecord(op, local.version);
  holdChunks(context, record, local.placements ?? []);
  if (!context.newest && isRemoved(txn, op)) return dropVersion(context, record);
  const head = txn.record<HeadRecord>(headKey(bucket, key));
  const rival = nullVersion ? findNull(txn, bucket, key, head) : undefined;
  if (rival && rival.stamp > op.stamp) return dropVersion(context, record);
  addVersions(txn, bucket, 1, record.content?.size ?? 0);
  if (rival && rival.stamp === head?.stamp) return replaceHead(context, op, head, record);
  const rest = rival ? takeOut(context, bucket, key, head, rival) : head;
  if (!rest || op.stamp > rest.stamp) {
    if (rest) txn.put(versionKey(bucket, key, rest.stamp), bare(rest));
    const nullStamp = nullVersion ? undefined : rest?.nullVersion ? rest.stamp : rest?.nullStamp;
    return setHead(txn, bucket, key, head, nullStamp === undefined ? record : { ...record, nullStamp });
  }
  txn.put(versionKey(bucket, key, record.stamp), record);
  setHead(txn, bucket, key, head, nullVersion ? { ...rest, nullStamp: record.stamp } : rest);
}

/** A null version takes the place of a current null version: nothing else of the key moves. */
function replaceHead(context: ApplyContext, op: Op<VersionPut>, head: HeadRecord, record: VersionRecord): void {
  const { bucket, key } = op.body;
  dropVersion(context, head);
  addVersions(context.txn, bucket, -1, -(head.content?.size ?? 0));
  setHead(context.txn, bucket, key, head, record);
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

/** A version record without what only a head carries. */
function bare(head: HeadRecord): VersionRecord {
  const { nullStamp: _, ...record } = head;
  return record;
}

function isRemoved(txn: Txn, op: Op<VersionPut>): boolean {
  const { bucket, key, nullVersion } = op.body;
  const tombstone = txn.record<TombstoneRecord>(tombstoneKey(bucket, key, nullVersion ? null : op.stamp));
  return tombstone !== undefined && (!nullVersion || tombstone.stamp > op.stamp);
}

/** The key's null version, wherever it is. */
export function findNull(
  txn: Txn,
  bucket: string,
  key: string,
  head: HeadRecord | undefined,
): VersionRecord | undefined {
  if (!head) return undefined;
  if (head.nullVersion) return head;
  return head.nullStamp === undefined ? undefined : txn.record<VersionRecord>(versionKey(bucket, key, head.nullStamp));
}

/** One version of a key by stamp, wherever it is. */
export function findVersion(
  txn: Txn,
  bucket: string,
  key: string,
  head: HeadRecord | undefined,
  stamp: string,
): VersionRecord | undefined {
  if (!head) return undefined;
  return head.stamp === stamp ? head : txn.record<VersionRecord>(versionKey(bucket, key, stamp));
}

/**
 * Removes one version's record and lets go of its bytes. Answers the head of what is left, which the caller has to store;
 * when the head itself is taken out the next version is no longer in `versions`.
 */
function takeOut(
  context: ApplyContext,
  bucket: string,
  key: string,
  head: HeadRecord | undefined,
  version: VersionRecord,
): HeadRecord | undefined {
  const { txn } = context;
  dropVersion(context, version);
  addVersions(txn, bucket, -1, -(version.content?.size ?? 0));
  if (head?.stamp === version.stamp) return promote(txn, bucket, key, head);
  txn.remove(versionKey(bucket, key, version.stamp));
  if (head?.nullStamp !== version.stamp) return head;
  return bare(head);
}

/** The newest superseded version, taken out of `versions` to be the head. */
function promote(txn: Txn, bucket: string, key: string, head: HeadRecord): HeadRecord | undefined {
  const [row] = txn.scan({ space: 'versions', ...tupleRange(versionPrefix(bucket, key)), limit: 1 });
  if (!row) return undefined;
  const next = decodeRecord<VersionRecord>(row.value);
  txn.remove({ space: 'versions', key: row.key });
  return next.nullVersion || head.nullStamp === undefined ? next : { ...next, nullStamp: head.nullStamp };
}

function removeVersion(context: ApplyContext, op: Op<VersionRemove>): void {
  const { txn } = context;
  const { bucket, key, target } = op.body;
  recordTombstone(txn, op);
  const head = txn.record<HeadRecord>(headKey(bucket, key));
  const version = target === null ? findNull(txn, bucket, key, head) : findVersion(txn, bucket, key, head, target);
  // A null version is a register: only a removal of the register touches it, whatever a peer may send.
  if (!version || version.stamp > op.stamp || (target !== null && version.nullVersion)) return;
  setHead(txn, bucket, key, head, takeOut(context, bucket, key, head, version));
}

function recordTombstone(txn: Txn, op: Op<VersionRemove>): void {
  const { bucket, key, target } = op.body;
  const row = tombstoneKey(bucket, key, target);
  const known = txn.record<TombstoneRecord>(row);
  if (!known || known.stamp < op.stamp) txn.put(row, { stamp: op.stamp, deps: op.deps } satisfies TombstoneRecord);
}

function setVersionSetting(context: ApplyContext, op: Op<VersionSetting>): void {
  const { txn } = context;
  const { bucket, key, target, name, value } = op.body;
  const head = txn.record<HeadRecord>(headKey(bucket, key));
  const version = findVersion(txn, bucket, key, head, target);
  if (!version) return;
  const known = version.settings?.[name];
  if (known && known.stamp > op.stamp) return;
  const changed = { ...version, settings: { ...version.settings, [name]: { value, stamp: op.stamp } } };
  if (head?.stamp === target) setHead(txn, bucket, key, head, changed);
  else txn.put(versionKey(bucket, key, target), changed);
}

type RegisterBody = Extract<OpBody, { readonly id: string }>;

/** Principals, policies and members: last writer wins by stamp; a removal is the value `null`, kept as its own tombstone. */
function setRegister(txn: Txn, op: Op): void {
  const body = op.body as RegisterBody;
  const [kind, verb] = body.type.split('.') as [string, string];
  const row = registerKey(kind, body.id);
  const known = txn.record<Register>(row);
  if (known && known.stamp > op.stamp) return;
  txn.put(row, { value: verb === 'put' && 'value' in body ? body.value : null, stamp: op.stamp } satisfies Register);
}
