/** The bytes of versions between sites: what is missing here, what arrived, what a peer may have. */
import {
  SkerryError,
  isSkerryError,
  type ChunkHash,
  type Locator,
  type MetaRange,
  type MetaReader,
  type MetaRow,
  type Stamp,
} from '../contracts/index.ts';
import { placeChunks } from './chunk-refs.ts';
import type { Damage } from './damage.ts';
import { KeyState } from './key-state.ts';
import { completeKept, relocateBody } from './kept-version.ts';
import {
  chunkKey,
  conflictKey,
  fetchKey,
  fetchPrefix,
  garbageKey,
  headKey,
  refPrefix,
  tombstoneKey,
  tupleRange,
  versionKey,
  after as justAfter,
} from './keys.ts';
import { parseEntries, parseNode } from './manifest.ts';
import type { ChunkMover, FetchedChunk, PendingVersion, ReplicaDeps } from './replica-types.ts';
import {
  decodeRecord,
  type ChunkRow,
  type ConflictRecord,
  type HeadRecord,
  type Placement,
  type TombstoneRecord,
  type VersionRecord,
} from './records.ts';
import { scanPages } from './scan-pages.ts';
import type { VersionRef } from './version-ref.ts';

export function moveChunks(deps: ReplicaDeps): ChunkMover {
  return {
    pending: (limit, after) => listPending(deps, limit, after),
    async missing(hashes) {
      const rows = await deps.reader.get(hashes.map(chunkKey));
      return hashes.filter((_, i) => {
        const row = rows[i];
        return row === undefined || deps.damage.has(decodeRecord<ChunkRow>(row).locator);
      });
    },
    async children(entry) {
      const chunk = await readRow(deps, entry.hash);
      if (!chunk)
        throw new SkerryError('Unavailable', 'this manifest node is not here', { details: { hash: entry.hash } });
      return parseNode(entry, chunk.bytes);
    },
    storeChunks: (chunks) => storeChunks(deps, chunks),
    complete: (version) => complete(deps, version),
    async readChunk(hash, holder) {
      const endRead = deps.reclaimer.beginRead();
      try {
        // the row first: it alone knows a manifest node, whose entries the asker has to hold
        const shared = await readRow(deps, hash);
        if (shared || holder === undefined) return shared;
        const bytes = await readBody(deps, hash, holder);
        // It may have come meanwhile, and be a manifest node.
        return (await readRow(deps, hash)) ?? (bytes && { kind: 'data', bytes });
      } finally {
        endRead();
      }
    },
  };
}

async function readRow(
  deps: ReplicaDeps,
  hash: ChunkHash,
  before?: Locator,
): Promise<Awaited<ReturnType<ChunkMover['readChunk']>>> {
  const [value] = await deps.reader.get([chunkKey(hash)]);
  if (!value) return undefined;
  const { kind, locator } = decodeRecord<ChunkRow>(value);
  try {
    return { kind, bytes: await deps.chunkStore.read(locator) };
  } catch (error) {
    // Bytes that moved meanwhile are looked for where they are now.
    if (isSkerryError(error, 'NotFound') && locator !== before) return readRow(deps, hash, locator);
    throw noted(deps, error, locator, { hash, owner: undefined });
  }
}

/** Damage that was met is remembered; a record that is gone is damage too. */
function noted(
  { damage }: Pick<ReplicaDeps, 'damage'>,
  error: unknown,
  locator: Locator,
  record: Parameters<Damage['note']>[1],
): unknown {
  const isGone = isSkerryError(error, 'NotFound');
  if (!isGone && !isSkerryError(error, 'Corrupt')) return error;
  damage.note(locator, record);
  const { hash } = record;
  return isGone
    ? new SkerryError('Corrupt', 'stored bytes are missing', { cause: error, details: { hash, locator } })
    : error;
}

/** The record of a version wherever this site keeps it: current, older, shown meanwhile, lost to a conflict, or removed but kept. */
export async function findRecord(
  { reader }: { readonly reader: Pick<MetaReader, 'get'> },
  { bucket, key, stamp }: VersionRef,
): Promise<VersionRecord | undefined> {
  const [head, older, conflict, removed] = await reader.get([
    headKey(bucket, key),
    versionKey(bucket, key, stamp),
    conflictKey(bucket, key, stamp),
    tombstoneKey(bucket, key, stamp),
  ]);
  const current = head && decodeRecord<HeadRecord>(head);
  if (current?.stamp === stamp) return current;
  if (older) return decodeRecord<VersionRecord>(older);
  if (current?.shadow?.record.stamp === stamp) return current.shadow.record;
  if (conflict) return decodeRecord<ConflictRecord>(conflict).loser;
  return removed && decodeRecord<TombstoneRecord>(removed).kept;
}

/** A small body that belongs to its version, or lies among the shared chunks. `Corrupt` for one that is damaged or gone. */
export async function readBody(
  deps: ReplicaDeps,
  hash: ChunkHash,
  version: VersionRef,
): Promise<Uint8Array | undefined> {
  const record = await findRecord(deps, version);
  if (!record?.content?.manifest.some((entry) => entry.hash === hash)) return undefined;
  const locator = record.local?.locator;
  if (locator === undefined) return (await readRow(deps, hash))?.bytes;
  try {
    return deps.chunkStore.readNow?.(locator) ?? (await deps.chunkStore.read(locator));
  } catch (error) {
    throw noted(deps, error, locator, { hash, owner: version });
  }
}

/** Behind pages of what was superseded there may be more: an empty answer says that there is none. */
async function listPending(
  deps: ReplicaDeps,
  limit: number,
  after: Stamp | undefined,
): Promise<readonly PendingVersion[]> {
  const { from, to } = tupleRange(fetchPrefix());
  const start = after === undefined ? from : justAfter(fetchKey(after).key);
  for await (const rows of scanPages(deps.reader, { space: 'queues', from: start, to, limit })) {
    const found = await stillPending(deps, rows);
    if (found.length > 0) return found;
  }
  return [];
}

async function stillPending(deps: ReplicaDeps, rows: readonly MetaRow[]): Promise<readonly PendingVersion[]> {
  const prefix = fetchPrefix();
  const found: PendingVersion[] = [];
  const gone: Stamp[] = [];
  for (const row of rows) {
    const stamp = Buffer.from(row.key.subarray(prefix.length)).toString('utf8');
    const ref = { ...decodeRecord<Pick<VersionRef, 'bucket' | 'key'>>(row.value), stamp };
    const record = await findRecord(deps, ref);
    if (!record?.local?.pending || !record.content) gone.push(stamp);
    else found.push({ ...ref, entries: [...record.content.manifest, ...(record.content.partsManifest ?? [])] });
  }
  if (gone.length > 0) await forget(deps, gone);
  return found;
}

/** Superseded while they waited: nobody needs their bytes. */
function forget({ committer }: ReplicaDeps, stamps: readonly Stamp[]): Promise<void> {
  return committer.commit({
    reads: {},
    appended: [],
    decide({ txn }) {
      for (const stamp of stamps) txn.remove(fetchKey(stamp));
    },
  });
}

const holdersOf = (hash: ChunkHash): MetaRange => ({ space: 'refs', ...tupleRange(refPrefix(hash)), limit: 1 });

async function storeChunks(deps: ReplicaDeps, chunks: readonly FetchedChunk[]): Promise<void> {
  const { chunkStore, committer, hashing, damage } = deps;
  for (const { hash, bytes } of chunks) {
    const digest = Buffer.from(await hashing.hashAsync('sha256', bytes)).toString('hex');
    if (hash !== `sha256:${digest}`)
      throw new SkerryError('ChecksumMismatch', 'a fetched chunk is not what its hash says', { details: { hash } });
  }
  const bodies = chunks.flatMap((chunk) => damage.bodies(chunk.hash).map((body) => ({ chunk, body })));
  const appended = [...chunks, ...bodies.map(({ chunk }) => chunk)];
  const locators = await chunkStore.append(appended.map(({ hash, kind, bytes }) => ({ hash, kind, data: [bytes] })));
  const placements = chunks.map((chunk, i) => placementOf(chunk, locators[i] as Locator));
  const relocations = bodies.map(({ body }, i) => ({ body, to: locators[chunks.length + i] as Locator }));
  try {
    const repaired = await committer.commit({
      reads: { keys: chunks.map(({ hash }) => chunkKey(hash)), ranges: chunks.map(({ hash }) => holdersOf(hash)) },
      appended: locators,
      decide({ txn, effects }) {
        const rows = chunks.map(({ hash }) => txn.record<ChunkRow>(chunkKey(hash)));
        placeChunks({ txn, effects }, placements);
        for (const { hash } of chunks) {
          // Whoever asked for it may have been superseded meanwhile.
          if (txn.scan(holdersOf(hash)).length > 0) continue;
          txn.set(garbageKey(hash), new Uint8Array(0));
          effects.garbage = true;
        }
        const replaced = rows.filter((row) => row && effects.isDamaged(row.locator)).length;
        return (
          replaced +
          relocations.filter(({ body: { version, locator }, to }) =>
            relocateBody({ txn, effects }, version, locator, to),
          ).length
        );
      },
    });
    damage.repaired(repaired);
  } catch (error) {
    await chunkStore.free(locators);
    throw error;
  }
}

function placementOf({ hash, kind, bytes }: FetchedChunk, locator: Locator): Placement {
  const children = kind === 'node' ? parseEntries(bytes) : undefined;
  return { hash, kind, length: bytes.length, locator, fresh: true, ...(children ? { children } : {}) };
}

function complete({ committer }: ReplicaDeps, { bucket, key, stamp }: PendingVersion): Promise<void> {
  return committer.commit({
    reads: { keys: [headKey(bucket, key), versionKey(bucket, key, stamp), tombstoneKey(bucket, key, stamp)] },
    appended: [],
    decide({ txn, effects }) {
      const state = new KeyState({ txn, effects, newest: false }, bucket, key);
      state.complete(stamp);
      state.save();
      completeKept({ txn }, { bucket, key, stamp });
      txn.remove(fetchKey(stamp));
    },
  });
}
