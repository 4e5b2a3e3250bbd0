/**
 * Conflicts as people see them: the versions of a key that no later write has seen, against what is current. The rows are
 * kept by the one door (apply-version.ts); here they are read, and the resolver says what the losers are shown as.
 */
import {
  SkerryError,
  type ConflictCandidate,
  type ConflictedKey,
  type ConflictPage,
  type ConflictResolver,
  type ConflictSide,
  type KeyRef,
  type ListConflictsInput,
  type Logger,
  type MetaReader,
  type MetaStore,
  type Stamp,
} from '../contracts/index.ts';
import { noSuchBucket } from './buckets.ts';
import { hlcWallMs } from './hlc.ts';
import {
  bucketKey,
  conflictPrefix,
  headKey,
  keyPosition,
  parseVersionKey,
  prefixEnd,
  tombstoneKey,
  tupleRange,
  versionKey,
} from './keys.ts';
import { checkLimit } from './list-page.ts';
import {
  decodeRecord,
  type ConflictRecord,
  type HeadRecord,
  type TombstoneRecord,
  type VersionRecord,
} from './records.ts';
import { RowCursor } from './row-cursor.ts';
import { originSite, stampDot, stampHlc, versionIdOf } from './stamp.ts';
import type { Txn } from './txn.ts';

/** Losers of one key that are looked at. */
const LOSERS_MAX = 1000;

/** A loser's record, and whether it lives among the versions of its key or in the conflict alone. */
export interface Loser {
  readonly record: VersionRecord;
  readonly live: boolean;
}

/** All that a conflict is made of. */
export interface ConflictState {
  readonly head: HeadRecord | undefined;
  readonly tombstone: TombstoneRecord | undefined;
  /** Newest first. */
  readonly losers: readonly Loser[];
}

export type Verdict = Pick<ConflictResolver, 'resolve'>;

export interface ConflictDeps {
  readonly reader: MetaStore;
  readonly logger: Logger;
  readonly conflictResolver: Verdict;
}

export interface Conflicts {
  listConflicts(input: ListConflictsInput): Promise<ConflictPage>;
  getConflict(ref: KeyRef): Promise<ConflictedKey>;
  listSiblings(ref: KeyRef): Promise<readonly string[]>;
  countConflicts(): Promise<Readonly<Record<string, number>>>;
}

export function createConflicts(deps: ConflictDeps): Conflicts {
  const { reader } = deps;
  return {
    listConflicts: (input) => listConflicts(deps, input),
    async getConflict(ref) {
      await using cut = await reader.snapshot();
      await checkBucket(cut, ref.bucket);
      return shown(deps, ref, await readConflict(cut, ref));
    },
    async listSiblings(ref) {
      await using cut = await reader.snapshot();
      const state = await readConflict(cut, ref);
      if (state.losers.length === 0) return [];
      const { losers, shownAs } = shown(deps, ref, state);
      return shownAs === 'sibling' ? losers.map(({ versionId }) => versionId) : [];
    },
    async countConflicts() {
      await using cut = await reader.snapshot();
      return await countByBucket(cut);
    },
  };
}

async function checkBucket(reader: MetaReader, bucket: string): Promise<void> {
  const [row] = await reader.get([bucketKey(bucket)]);
  if (!row) throw noSuchBucket(bucket);
}

const losersRange = ({ bucket, key }: KeyRef) => ({
  space: 'conflicts' as const,
  ...tupleRange(conflictPrefix(bucket, key)),
  limit: LOSERS_MAX,
});

export async function readConflict(reader: MetaReader, ref: KeyRef): Promise<ConflictState> {
  const { bucket, key } = ref;
  const rows = (await reader.scan(losersRange(ref))).map(({ value }) => decodeRecord<ConflictRecord>(value));
  const [headRow, tombstoneRow, ...liveRows] = await reader.get([
    headKey(bucket, key),
    tombstoneKey(bucket, key, null),
    ...rows.map(({ stamp }) => versionKey(bucket, key, stamp)),
  ]);
  const live = liveRows.map((row) => row && decodeRecord<VersionRecord>(row));
  return {
    head: headRow && decodeRecord<HeadRecord>(headRow),
    tombstone: tombstoneRow && decodeRecord<TombstoneRecord>(tombstoneRow),
    losers: rows.flatMap((row, i) => loserOf(row, live[i])),
  };
}

function loserOf({ loser }: ConflictRecord, live: VersionRecord | undefined): readonly Loser[] {
  if (loser) return [{ record: loser, live: false }];
  return live ? [{ record: live, live: true }] : [];
}

/** Stamps of all that a conflict is made of: equal ones mean that nothing came between. */
export function conflictStamps({ head, tombstone, losers }: ConflictState): readonly Stamp[] {
  const winner = [head?.stamp ?? '', head?.nullStamp ?? '', tombstone?.stamp ?? ''];
  return [...winner, ...losers.map(({ record }) => record.stamp)];
}

/** The same reading inside a transaction. */
export function conflictIn(txn: Txn, ref: KeyRef): ConflictState {
  const { bucket, key } = ref;
  const rows = txn.scan(losersRange(ref)).map(({ value }) => decodeRecord<ConflictRecord>(value));
  return {
    head: txn.record<HeadRecord>(headKey(bucket, key)),
    tombstone: txn.record<TombstoneRecord>(tombstoneKey(bucket, key, null)),
    losers: rows.flatMap((row) => loserOf(row, txn.record<VersionRecord>(versionKey(bucket, key, row.stamp)))),
  };
}

function shown({ conflictResolver, logger }: ConflictDeps, ref: KeyRef, state: ConflictState): ConflictedKey {
  const { head, tombstone, losers } = state;
  const winner = head ? sideOf(head) : tombstone && removalSide(tombstone);
  if (losers.length === 0 || !winner)
    throw new SkerryError('NotFound', 'this key is not in conflict', { details: { ...ref } });
  const current = head ? candidateOf(ref, head) : removalCandidate(ref, tombstone as TombstoneRecord);
  const verdict = conflictResolver.resolve([current, ...losers.map(({ record }) => candidateOf(ref, record))]);
  if (verdict.winner !== winner.stamp) {
    // Every site must agree whatever plugin it runs, so the rule stands: the largest stamp is current.
    logger.error(
      { ...ref, winner: winner.stamp, resolver: verdict.winner },
      'the conflict resolver names another winner',
    );
  }
  return { ...ref, winner, losers: losers.map(({ record }) => sideOf(record)), shownAs: verdict.losers };
}

function sideOf(record: VersionRecord): ConflictSide {
  const { stamp, owner, modifiedAtMs, marker, nullVersion, content, local } = record;
  return {
    ...identityOf(stamp),
    writtenAtMs: modifiedAtMs,
    kind: marker ? 'marker' : 'object',
    nullVersion: nullVersion === true,
    owner,
    ...(content ? { size: content.size, etag: content.etag } : {}),
    ...(local?.pending ? { pending: true as const } : {}),
  };
}

function removalSide({ stamp }: TombstoneRecord): ConflictSide {
  return { ...identityOf(stamp), writtenAtMs: hlcWallMs(stampHlc(stamp)), kind: 'removal', nullVersion: true };
}

const identityOf = (stamp: Stamp): Pick<ConflictSide, 'stamp' | 'versionId' | 'site'> => ({
  versionId: versionIdOf(stamp),
  stamp,
  site: originSite(stampDot(stamp).origin),
});

/** The op that a record came from, as far as a resolver may look at it. */
function candidateOf({ bucket, key }: KeyRef, record: VersionRecord): ConflictCandidate {
  const { stamp, deps, nullVersion, marker, content, owner, modifiedAtMs } = record;
  return {
    dot: stampDot(stamp),
    stamp,
    deps,
    body: {
      type: 'version.put',
      bucket,
      key,
      nullVersion: nullVersion === true,
      marker: marker === true,
      ...(content ? { content } : {}),
      owner,
      modifiedAtMs,
    },
  };
}

function removalCandidate({ bucket, key }: KeyRef, { stamp, deps }: TombstoneRecord): ConflictCandidate {
  return { dot: stampDot(stamp), stamp, deps, body: { type: 'version.remove', bucket, key, target: null } };
}

async function listConflicts(deps: ConflictDeps, input: ListConflictsInput): Promise<ConflictPage> {
  const { bucket, limit } = input;
  checkLimit(limit);
  if (limit === 0) throw new SkerryError('InvalidArgument', 'a page of conflicts has a limit of 1 to 1000');
  await using cut = await deps.reader.snapshot();
  await checkBucket(cut, bucket);
  const cursor = openCursor(cut, input);
  const entries: ConflictedKey[] = [];
  for (let row = await cursor.peek(); row !== undefined; row = await cursor.peek()) {
    const key = parseVersionKey(bucket, row.key).key.toString('utf8');
    const next = entries.at(-1)?.key;
    if (entries.length === limit && next !== undefined) return { entries, truncated: true, next };
    entries.push(shown(deps, { bucket, key }, await readConflict(cut, { bucket, key })));
    cursor.seek(tupleRange(conflictPrefix(bucket, key)).to);
  }
  return { entries, truncated: false };
}

function openCursor(reader: MetaReader, { bucket, prefix = '', after, limit }: ListConflictsInput): RowCursor {
  const start = keyPosition(bucket, prefix);
  const passed = after === undefined ? start : tupleRange(conflictPrefix(bucket, after)).to;
  const from = Buffer.compare(passed, start) > 0 ? passed : start;
  return new RowCursor(reader, { space: 'conflicts', from, to: prefixEnd(start), batch: Math.min(1001, limit + 1) });
}

async function countByBucket(reader: MetaReader): Promise<Readonly<Record<string, number>>> {
  const counts = new Map<string, number>();
  const cursor = new RowCursor(reader, { space: 'conflicts', from: Buffer.of(0), to: undefined, batch: 1001 });
  for (let row = await cursor.peek(); row !== undefined; row = await cursor.peek()) {
    const bucket = Buffer.from(row.key.subarray(0, row.key.indexOf(0))).toString('utf8');
    counts.set(bucket, (counts.get(bucket) ?? 0) + 1);
    cursor.next();
  }
  return Object.fromEntries(counts);
}
