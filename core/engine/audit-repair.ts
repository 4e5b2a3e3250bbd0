/**
 * Putting right what differs between sites that have seen the same (rule 16; decision 28). What this site lacks is taken as a snapshot's
 * entity is, a removal that either site knows wins over presence, and nothing that only this site has is given up, unless the digest
 * that its own commits kept proves that the peer's state is what this site had.
 */
import type { MetaKey, Op, Stamp, VersionPut, VersionVector } from '../contracts/index.ts';
import type { Discrepancies } from './audit.ts';
import { forgetBucket, saveBucket } from './bucket-state.ts';
import type { CommitContext, Committer } from './committer.ts';
import { readsOf, type CutEntity, type VersionEntity } from './cut-entities.ts';
import { keyLeaf, toggleLeaf, versionDigest, type Digest } from './digest.ts';
import type { EntityPath } from './digest-tree.ts';
import { addCounts, addVersions, setHead } from './heads.ts';
import { KeyState } from './key-state.ts';
import { conflictKey, conflictPrefix, headKey, oplogKey, tupleRange, versionKey, versionPrefix } from './keys.ts';
import { mergeEntity } from './merge-entity.ts';
import { endVersion, newVersion } from './merge-removed.ts';
import { decodeRecord, type HeadRecord, type VersionRecord } from './records.ts';
import { saveRegister } from './registers.ts';
import { stampDot } from './stamp.ts';
import { EMPTY_VECTOR, coversVector } from './vector.ts';

/** Versions of one key that are looked through for its null version. */
const OLDER_MAX = 1000;
/** Nothing is known to have ended what a site lacks: only a tombstone tells. */
const UNION = { own: EMPTY_VECTOR, cut: EMPTY_VECTOR } as const;

export interface Repair {
  /** A bucket, a register, or any version of the key. */
  readonly at: EntityPath;
  /** Everything that the peer has of it. */
  readonly theirs: readonly CutEntity[];
  /** What the peer had seen then. */
  readonly vector: VersionVector;
  /** The peer has exactly what this site had committed: the digest proves it. */
  readonly isProven: boolean;
  /** What the digest of the leaf is off by, if that is to be put right first. */
  readonly discrepancy?: { readonly leaf: number; readonly digest: Digest };
}

/** `busy`: ops were applied since the peer was asked; ask again. `undecided`: versions that both have and nobody can tell apart. */
export type RepairOutcome = { readonly kind: 'busy' } | { readonly kind: 'done'; readonly undecided: readonly Stamp[] };

export interface AuditRepairer {
  repair(input: Repair): Promise<RepairOutcome>;
  /** Makes the digest and the counters agree with the rows. */
  settle(found: Discrepancies): Promise<void>;
}

export function createAuditRepairer({ committer }: { readonly committer: Committer }): AuditRepairer {
  return {
    repair: (input) =>
      committer.commit<RepairOutcome>({
        reads: { keys: input.theirs.flatMap((entity): readonly MetaKey[] => readsOf(entity)) },
        appended: [],
        decide(context) {
          if (context.clock().merging || !isSame(context.vector(), input.vector)) return { kind: 'busy' };
          const { discrepancy } = input;
          if (discrepancy) toggleLeaf(context.txn, discrepancy.leaf, discrepancy.digest);
          return { kind: 'done', undecided: repairOne(context, input) };
        },
      }),
    async settle({ leaves, counters }) {
      await committer.commit({
        reads: {},
        appended: [],
        decide({ txn }) {
          for (const [leaf, digest] of leaves) toggleLeaf(txn, leaf, digest);
          for (const [bucket, delta] of counters) addCounts(txn, bucket, delta);
        },
      });
    },
  };
}

const isSame = (a: VersionVector, b: VersionVector): boolean => coversVector(a, b) && coversVector(b, a);

function repairOne(context: CommitContext, { at, theirs, isProven }: Repair): readonly Stamp[] {
  switch (at.kind) {
    case 'bucket': {
      const bucket = theirs.find((entity) => entity.kind === 'bucket');
      if (!isProven) mergeAll(context, theirs);
      else if (bucket) saveBucket(context.txn, at.bucket, bucket.record);
      else forgetBucket(context.txn, at.bucket);
      return [];
    }
    case 'register': {
      const register = theirs.find((entity) => entity.kind === 'register');
      if (isProven) saveRegister(context.txn, at.of, at.id, register?.register);
      else mergeAll(context, theirs);
      return [];
    }
    case 'version': {
      const versions = theirs.filter((entity) => entity.kind === 'version');
      const isLost = (entity: CutEntity): boolean => entity.kind === 'version' && !entity.live;
      mend(context, at);
      mergeAll(
        context,
        theirs.filter((entity) => !isLost(entity)),
      );
      // only a key with a head knows which conflicts it has
      mend(context, at);
      mergeAll(context, theirs.filter(isLost));
      if (isProven) dropOthers(context, at, new Set(versions.map(({ version }) => version.stamp)));
      return versions.flatMap((entity) => (overwrite(context, entity, isProven) ? [] : [entity.version.stamp]));
    }
  }
}

function mergeAll({ txn, effects }: CommitContext, theirs: readonly CutEntity[]): void {
  for (const entity of theirs) mergeEntity({ txn, effects, ...UNION }, entity);
}

interface ObjectKey {
  readonly bucket: string;
  readonly key: string;
}

const keyState = ({ txn, effects }: CommitContext, { bucket, key }: ObjectKey): KeyState =>
  new KeyState({ txn, effects, newest: false }, bucket, key);

/**
 * A head that is lost is replaced by the newest version that is left, and what a head knows of its key is looked up anew. A null
 * version among the older ones is found through the head alone: it was not counted while that did not name it.
 */
function mend({ txn }: CommitContext, { bucket, key }: ObjectKey): void {
  const before = txn.record<HeadRecord>(headKey(bucket, key));
  const older = olderVersions(txn, { bucket, key });
  const [newest] = older;
  const head = before ?? newest;
  if (!head) return;
  if (!before) txn.remove(versionKey(bucket, key, head.stamp));
  const openKey = conflictKey(bucket, key, head.stamp);
  const isSeen = before ? before.seen : txn.get(openKey) === undefined;
  if (!before && !isSeen) txn.remove(openKey);
  const range = { space: 'conflicts' as const, ...tupleRange(conflictPrefix(bucket, key)), limit: OLDER_MAX };
  const open = txn.scan(range).length;
  const nulls = older.filter(({ nullVersion }) => nullVersion);
  const { stamp: nullStamp } = (!head.nullVersion && nulls.find(({ stamp }) => stamp !== head.stamp)) || {};
  const { nullStamp: known, conflicts: _, seen: __, ...rest }: HeadRecord = head;
  const next: HeadRecord = {
    ...rest,
    ...(isSeen ? { seen: true as const } : {}),
    ...(open > 0 ? { conflicts: open } : {}),
    ...(nullStamp === undefined ? {} : { nullStamp }),
  };
  setHead(txn, bucket, key, before, next);
  const found = before ? (known === nullStamp ? undefined : nullStamp) : head.nullVersion ? head.stamp : nullStamp;
  const appeared = nulls.find(({ stamp }) => stamp === found);
  if (!appeared) return;
  toggleLeaf(txn, keyLeaf(bucket, key), versionDigest(bucket, key, appeared, true));
  addVersions(txn, bucket, 1, appeared.content?.size ?? 0);
}

/** Newest first. */
function olderVersions(txn: CommitContext['txn'], { bucket, key }: ObjectKey): readonly VersionRecord[] {
  const range = { space: 'versions' as const, ...tupleRange(versionPrefix(bucket, key)), limit: OLDER_MAX };
  return txn.scan(range).map(({ value }) => decodeRecord<VersionRecord>(value));
}

/** Versions that the peer lacks and that this site never had, as its own digest proves. */
function dropOthers(context: CommitContext, at: ObjectKey, theirs: ReadonlySet<Stamp>): void {
  for (let state = keyState(context, at); ; state = keyState(context, at)) {
    const older = olderVersions(context.txn, at);
    const live = [...(state.head ? [state.head] : []), ...older].find(({ stamp }) => !theirs.has(stamp));
    const lost = state.conflicts().find(({ stamp, record }) => record.loser && !theirs.has(stamp));
    if (live) endVersion(state, live);
    else if (lost) state.endConflict(lost);
    else return;
    state.save();
  }
}

/** Makes a version that both sites have what the peer has, if that is known to be right; false when nobody can tell. */
function overwrite(context: CommitContext, entity: VersionEntity, isProven: boolean): boolean {
  const { bucket, key, version, live } = entity;
  const state = keyState(context, entity);
  const mine = state.version(version.stamp);
  const lost = state.conflicts().find(({ stamp, record }) => stamp === version.stamp && record.loser);
  const known = mine ?? lost?.record.loser;
  // Removed here: a removal wins.
  if (!known) return true;
  const isLive = mine !== undefined;
  if (isLive === live && isAlike(bucket, key, known, version, isProven)) return true;
  if (!isProven && (isLive !== live || !isTold(context, entity, known))) return false;
  if (isLive === live && sameBytes(known, version)) {
    const { local } = known;
    const replaced: VersionRecord = { ...version, ...(local ? { local } : {}) };
    if (mine) state.update({ ...headPart(mine), ...replaced });
    else state.updateLoser(replaced);
    state.save();
    return true;
  }
  return replace(context, entity);
}

/** Settings are registers, which have merged already unless the peer's are proven. */
function isAlike(bucket: string, key: string, mine: VersionRecord, theirs: VersionRecord, whole: boolean): boolean {
  const digest = (record: VersionRecord): string => {
    const { settings, ...put } = record;
    return Buffer.from(versionDigest(bucket, key, whole && settings ? { ...put, settings } : put, true)).toString(
      'hex',
    );
  };
  return digest(mine) === digest(theirs);
}

const sameBytes = (mine: VersionRecord, theirs: VersionRecord): boolean =>
  JSON.stringify(hashesOf(mine)) === JSON.stringify(hashesOf(theirs));

const hashesOf = ({ content }: VersionRecord): readonly string[] =>
  [...(content?.manifest ?? []), ...(content?.partsManifest ?? [])].map(({ hash }) => hash);

/** What a head has beside its version. */
function headPart({ nullStamp, conflicts, seen, shadow }: HeadRecord): Partial<HeadRecord> {
  return {
    ...(nullStamp === undefined ? {} : { nullStamp }),
    ...(conflicts === undefined ? {} : { conflicts }),
    ...(seen ? { seen } : {}),
    ...(shadow ? { shadow } : {}),
  };
}

/** The op that wrote the version, if it is still in the log, says that the peer's is right and ours is not. */
function isTold({ txn }: CommitContext, { bucket, key, version }: VersionEntity, mine: VersionRecord): boolean {
  const { origin, seq } = stampDot(version.stamp);
  const op = txn.record<Op<VersionPut>>(oplogKey(origin, seq));
  if (op?.stamp !== version.stamp || op.body.type !== 'version.put') return false;
  const { nullVersion, marker, owner, modifiedAtMs, content } = op.body;
  const written: VersionRecord = {
    stamp: op.stamp,
    deps: op.deps,
    ...(nullVersion ? { nullVersion } : {}),
    ...(marker ? { marker } : {}),
    owner,
    modifiedAtMs,
    ...(content ? { content } : {}),
  };
  return isAlike(bucket, key, written, version, false) && !isAlike(bucket, key, written, mine, false);
}

/** Other bytes, or another place: taken out and in again. What it held is let go of before the new one holds its own. */
function replace(context: CommitContext, { bucket, key, version, live }: VersionEntity): boolean {
  const state = keyState(context, { bucket, key });
  const mine = state.version(version.stamp);
  const lost = state.conflicts().find(({ stamp }) => stamp === version.stamp);
  if (mine) endVersion(state, mine);
  else if (lost) state.endConflict(lost);
  state.save();
  const after = keyState(context, { bucket, key });
  const record = newVersion({ ...context, ...UNION }, { bucket, key }, version);
  if (live) after.insert(record);
  else after.addConflict({ stamp: record.stamp, loser: record });
  after.save();
  return true;
}
