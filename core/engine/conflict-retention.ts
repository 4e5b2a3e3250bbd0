/**
 * Versions that lost a conflict are listed for a time and then removed, by ops as everything else (rule 1): a removal that
 * names a null version by its stamp ends it where it lost, and touches nothing else. The time counts from when this site
 * first saw the conflict, not from when the version was written: sites that were apart for long leave people time to look.
 */
import { isSkerryError, type Clock, type KeyRef, type Logger, type MetaReader } from '../contracts/index.ts';
import type { CommitContext, Committer } from './committer.ts';
import type { Conflicts } from './conflicts.ts';
import { conflictKey, loserKey, loserPrefix, tombstoneKey, tupleRange } from './keys.ts';
import { conflictLosers } from './live.ts';
import { isLocked } from './locks.ts';
import { decodeRecord, type ConflictRecord, type LoserRecord } from './records.ts';
import { readsOfKey } from './op-reads.ts';
import type { VersionRef } from './version-ref.ts';
import { scanPages } from './scan-pages.ts';

const BATCH = 100;

export interface ConflictRetentionDeps {
  readonly reader: MetaReader;
  readonly committer: Committer;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Says whether losers are shown as siblings: those stay until somebody resolves them. */
  readonly conflicts: Pick<Conflicts, 'getConflict'>;
  /** Milliseconds; 0: for ever. */
  readonly retentionMs: number;
}

export interface ConflictRetention {
  /** Losers that the next pass removes. */
  due(): Promise<number>;
  /** Notes losers that are new and removes those that were noted long enough ago; resolves to how many that were. */
  run(signal: AbortSignal): Promise<number>;
}

export function createConflictRetention(deps: ConflictRetentionDeps): ConflictRetention {
  return {
    async due() {
      let count = 0;
      for await (const _ of dueLosers(deps)) count++;
      return count;
    },
    async run(signal) {
      if (deps.retentionMs === 0) return 0;
      await forgetEnded(deps, signal);
      await noteNew(deps, signal);
      return removeDue(deps, signal);
    },
  };
}

async function* losers(reader: MetaReader): AsyncGenerator<VersionRef & { readonly seenAtMs: number | undefined }> {
  for await (const { bucket, key, stamp } of conflictLosers(reader)) {
    const [note] = await reader.get([loserKey(stamp)]);
    yield { bucket, key, stamp, seenAtMs: note && decodeRecord<LoserRecord>(note).seenAtMs };
  }
}

async function* dueLosers(deps: ConflictRetentionDeps): AsyncGenerator<VersionRef> {
  const { reader, clock, retentionMs, conflicts } = deps;
  if (retentionMs === 0) return;
  for await (const { bucket, key, stamp, seenAtMs } of losers(reader)) {
    if (seenAtMs === undefined || clock.wallMs() - seenAtMs < retentionMs) continue;
    if ((await shownAs(conflicts, { bucket, key })) === 'conflict') yield { bucket, key, stamp };
  }
}

async function shownAs(conflicts: ConflictRetentionDeps['conflicts'], ref: KeyRef): Promise<string | undefined> {
  try {
    return (await conflicts.getConflict(ref)).shownAs;
  } catch (error) {
    // it ended a moment ago
    if (isSkerryError(error, 'NotFound') || isSkerryError(error, 'NoSuchBucket')) return undefined;
    throw error;
  }
}

/** Notes are this site's own affair. */
async function noteNew({ reader, committer, clock }: ConflictRetentionDeps, signal: AbortSignal): Promise<void> {
  const seenAtMs = clock.wallMs();
  for await (const group of groups(losers(reader), ({ seenAtMs: known }) => known === undefined)) {
    if (signal.aborted) return;
    await committer.commit({
      reads: {},
      appended: [],
      decide({ txn }) {
        for (const { bucket, key, stamp } of group)
          txn.put(loserKey(stamp), { bucket, key, seenAtMs } satisfies LoserRecord);
      },
    });
  }
}

async function forgetEnded({ reader, committer }: ConflictRetentionDeps, signal: AbortSignal): Promise<void> {
  const prefix = loserPrefix();
  for await (const rows of scanPages(reader, { space: 'queues', ...tupleRange(prefix), limit: BATCH })) {
    if (signal.aborted) return;
    const notes = rows.map(({ key: row, value }) => ({
      stamp: Buffer.from(row.subarray(prefix.length)).toString('utf8'),
      ...decodeRecord<LoserRecord>(value),
    }));
    const open = await reader.get(notes.map(({ bucket, key, stamp }) => conflictKey(bucket, key, stamp)));
    const ended = notes.filter((_, at) => open[at] === undefined);
    if (ended.length > 0)
      await committer.commit({
        reads: {},
        appended: [],
        decide({ txn }) {
          for (const { stamp } of ended) txn.remove(loserKey(stamp));
        },
      });
  }
}

async function removeDue(deps: ConflictRetentionDeps, signal: AbortSignal): Promise<number> {
  let removed = 0;
  for await (const group of groups(dueLosers(deps))) {
    if (signal.aborted) return removed;
    try {
      removed += await deps.committer.commit({
        reads: { keys: group.flatMap(readsOfLoser) },
        appended: [],
        decide: (context) => group.filter((loser) => removeLoser(context, loser)).length,
      });
    } catch (err) {
      // A replica, a site whose clock is not believed, one that is being filled: another one does it, or this one later.
      if (!isSkerryError(err) || err.code === 'Closed') throw err;
      deps.logger.debug({ err }, 'losers of conflicts cannot be removed now');
      return removed;
    }
  }
  return removed;
}

const readsOfLoser = ({ bucket, key, stamp }: VersionRef) => [
  ...readsOfKey(bucket, key),
  conflictKey(bucket, key, stamp),
  tombstoneKey(bucket, key, stamp),
  loserKey(stamp),
];

function removeLoser({ txn, nowMs, author }: CommitContext, { bucket, key, stamp }: VersionRef): boolean {
  const loser = txn.record<ConflictRecord>(conflictKey(bucket, key, stamp))?.loser;
  if (!loser || isLocked(loser, nowMs)) return false;
  author({ type: 'version.remove', bucket, key, target: stamp });
  txn.remove(loserKey(stamp));
  return true;
}

async function* groups<T>(items: AsyncIterable<T>, isWanted: (item: T) => boolean = () => true): AsyncGenerator<T[]> {
  let group: T[] = [];
  for await (const item of items) {
    if (!isWanted(item)) continue;
    group.push(item);
    if (group.length < BATCH) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}
