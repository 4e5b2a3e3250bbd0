/**
 * Gives freed space back that lies among live records: the chunk-store names what stands in the way, it is appended anew, rows
 * are told in one transaction, and the old records are freed once the reads that run have ended. A crash at any point
 * leaves one of the two without a row, which the next survey finds.
 */
import {
  isSkerryError,
  type ChunkHash,
  type Locator,
  type Logger,
  type MetaKey,
  type MetaStore,
  type SpaceAmount,
  type StoredRecord,
} from '../contracts/index.ts';
import type { Committer } from './committer.ts';
import { relocateBody } from './kept-version.ts';
import { chunkKey, tombstoneKey, versionKey } from './keys.ts';
import { heldVersions, ownBody, type HeldVersion } from './live.ts';
import { readsOfKey } from './op-reads.ts';
import { decodeRecord, type ChunkRow } from './records.ts';
import type { LedgeredChunkStore } from './sync-ledger.ts';

/** Records looked up together: small bodies are found by reading all versions. */
const ROUND_MAX = 50_000;
/** Of one append and one transaction. */
const GROUP_BYTES = 4 * 1024 * 1024;
const GROUP_MAX = 200;

export interface CompactionDeps {
  readonly metaStore: MetaStore;
  readonly chunkStore: LedgeredChunkStore;
  readonly committer: Committer;
  readonly logger: Logger;
}

export interface CompactionOptions {
  /** Segments with at least this share of dead bytes are emptied, 0 to 1. */
  readonly deadShareMin: number;
  readonly signal: AbortSignal;
  readonly pause: () => Promise<void>;
}

/** A record that is to lie somewhere else, and the row that names it. */
interface Move {
  readonly record: StoredRecord;
  /** Absent: a shared chunk. */
  readonly owner?: HeldVersion;
}

/** What was moved. A store that gives space back by itself has nothing to be moved. */
export async function compact(deps: CompactionDeps, options: CompactionOptions): Promise<SpaceAmount> {
  const { deadShareMin, signal } = options;
  const total = { records: 0, bytes: 0 };
  let round = new Map<Locator, StoredRecord>();
  const moveRound = async (): Promise<void> => {
    for await (const group of groupsOf(movesOf(deps.metaStore, round))) {
      if (signal.aborted) return;
      const moved = await moveGroup(deps, group);
      total.records += moved.records;
      total.bytes += moved.bytes;
      await options.pause();
    }
    round = new Map();
  };
  for await (const batch of deps.chunkStore.sparse?.({ deadShareMin, signal }) ?? []) {
    for (const record of batch) round.set(record.locator, record);
    if (round.size >= ROUND_MAX) await moveRound();
  }
  await moveRound();
  return total;
}

/** What names these records: rows of chunks are found by their hash, owners of small bodies by looking at all. */
async function* movesOf(metaStore: MetaStore, round: ReadonlyMap<Locator, StoredRecord>): AsyncGenerator<Move> {
  const left = new Map(round);
  const records = [...round.values()];
  for (let at = 0; at < records.length; at += GROUP_MAX) {
    const batch = records.slice(at, at + GROUP_MAX);
    const rows = await metaStore.get(batch.map(({ hash }) => chunkKey(hash)));
    for (const [i, record] of batch.entries()) {
      const row = rows[i];
      if (!row || decodeRecord<ChunkRow>(row).locator !== record.locator) continue;
      left.delete(record.locator);
      yield { record };
    }
  }
  if (left.size === 0) return;
  // Of no one moment, which may be long ago at the end: each is looked at again when it is moved.
  for await (const owner of heldVersions(metaStore)) {
    const body = ownBody(owner);
    const record = body && left.get(body.locator);
    if (!record) continue;
    left.delete(record.locator);
    yield { record, owner };
    if (left.size === 0) return;
  }
}

async function* groupsOf(moves: AsyncIterable<Move>): AsyncGenerator<readonly Move[]> {
  let group: Move[] = [];
  let bytes = 0;
  for await (const move of moves) {
    group.push(move);
    bytes += move.record.length;
    if (bytes < GROUP_BYTES && group.length < GROUP_MAX) continue;
    yield group;
    group = [];
    bytes = 0;
  }
  if (group.length > 0) yield group;
}

async function moveGroup(deps: CompactionDeps, group: readonly Move[]): Promise<SpaceAmount> {
  const { chunkStore, committer } = deps;
  const read = await Promise.all(group.map((move) => readBytes(deps, move)));
  const moves = read.filter((move) => move !== undefined);
  if (moves.length === 0) return { records: 0, bytes: 0 };
  const records = moves.map(({ record: { kind, hash }, bytes }) => ({ kind, hash, data: [bytes] }));
  const locators = await chunkStore.append(records);
  try {
    const moved = await committer.commit({
      reads: { keys: moves.flatMap(rowsOf) },
      appended: locators,
      decide: (context) => moves.filter((move, at) => relocate(context, move, locators[at] as Locator)),
    });
    return { records: moved.length, bytes: moved.reduce((sum, { record }) => sum + record.length, 0) };
  } catch (error) {
    await chunkStore.free(locators);
    throw error;
  }
}

/** What cannot be read stays where it is: the survey has reported it. */
async function readBytes(
  { chunkStore, logger }: CompactionDeps,
  move: Move,
): Promise<(Move & { readonly bytes: Uint8Array }) | undefined> {
  try {
    return { ...move, bytes: await chunkStore.read(move.record.locator) };
  } catch (err) {
    if (!isSkerryError(err, 'Corrupt') && !isSkerryError(err, 'NotFound')) throw err;
    logger.debug({ err, locator: move.record.locator }, 'a record that was to be moved stays where it is');
    return undefined;
  }
}

/** All that a move surely reads: what is not declared makes the whole group decide anew. */
function rowsOf({ record, owner }: Move): readonly MetaKey[] {
  if (!owner) return [chunkKey(record.hash)];
  const { bucket, key, stamp } = owner;
  return [...readsOfKey(bucket, key), versionKey(bucket, key, stamp), tombstoneKey(bucket, key, stamp)];
}

type Context = Parameters<typeof relocateBody>[0];

function relocate(context: Context, { record, owner }: Move, to: Locator): boolean {
  const { locator: from, hash } = record;
  return owner ? relocateBody(context, owner, from, to) : relocateChunk(context, hash, from, to);
}

function relocateChunk({ txn, effects }: Context, hash: ChunkHash, from: Locator, to: Locator): boolean {
  const known = txn.record<ChunkRow>(chunkKey(hash));
  const isMoved = known?.locator === from;
  if (isMoved) txn.put(chunkKey(hash), { ...known, locator: to } satisfies ChunkRow);
  effects.freed.push(isMoved ? from : to);
  return isMoved;
}
