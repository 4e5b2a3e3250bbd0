/**
 * Rebuilds an empty meta-store from the chunk-store alone (rule 17): what is found of chunks is indexed, every op found is applied
 * in stamp order through the one door, with its own stamp. The result has the same state as before the loss. Uploads that
 * were in flight are not state and are gone. In memory: an entry for each chunk and each op, not their contents.
 */
import {
  SkerryError,
  type ChunkHash,
  type ChunkStore,
  type Dot,
  type Locator,
  type ManifestEntry,
  type MetaStore,
  type Op,
  type Origin,
  type Stamp,
  type VersionContent,
  type VersionVector,
} from '../contracts/index.ts';
import { newEffects, type ApplyLocal } from './apply-context.ts';
import { applyOp } from './apply-op.ts';
import { placeChunks } from './chunk-refs.ts';
import { clockIn } from './clock-row.ts';
import { rememberEarly } from './early-ops.ts';
import { mergeHlc } from './hlc.ts';
import { chunkKey, clockKey, lossesKey, opLogKey, oplogKey, refHash } from './keys.ts';
import { parseEntries } from './manifest.ts';
import { readsOfOp } from './op-reads.ts';
import {
  decodeRecord,
  type ChunkRow,
  type ClockRecord,
  type OpLogRecord,
  type Placement,
  type UnloggedMark,
} from './records.ts';
import { scanPages } from './scan-pages.ts';
import { stampHlc } from './stamp.ts';
import { decideTogether, transact } from './txn.ts';
import { EMPTY_VECTOR, advanceVector, coversDot, joinVectors, seqOf } from './vector.ts';

export interface RebuildReport {
  /** Ops applied. */
  readonly ops: number;
  /** Chunks found, by content. */
  readonly chunks: number;
  /** Damaged records that were skipped, one sentence each. */
  readonly damage: readonly string[];
  /** Ops behind a gap in their origin's sequence: kept out, because what lies between is not there. */
  readonly gaps: readonly SeqRange[];
  /** Ops that the log never had, up to these: they came with a snapshot. */
  readonly unlogged: VersionVector;
  /** Ops that take effect once what they had seen is here again. */
  readonly early: number;
  /** Chunks that versions need and that were not found. */
  readonly missing: readonly ChunkHash[];
  /**
   * Records that nobody needs, given back; none when something is damaged or lost, for a better repair may need them: garbage
   * collection keeps them then, too.
   */
  readonly freed: number;
}

export interface SeqRange {
  readonly origin: Origin;
  readonly from: number;
  /** Inclusive. */
  readonly to: number;
}

export interface RebuildDeps {
  readonly chunkStore: ChunkStore;
  readonly metaStore: MetaStore;
}

const BATCH = 200;
const PAGE = 1000;
/** Records of ops whose lines are kept while ops are read in stamp order. */
const CACHED_RECORDS = 16;

interface FoundChunk {
  readonly locator: Locator;
  readonly length: number;
  /** Of manifest nodes. */
  readonly children?: readonly ManifestEntry[];
}

/** Where an op lies. */
interface FoundOp {
  readonly stamp: Stamp;
  readonly locator: Locator;
  readonly line: number;
}

interface Found {
  readonly chunks: Map<ChunkHash, FoundChunk>;
  /** Further records of chunks that were found before. */
  readonly doubles: Locator[];
  readonly ops: FoundOp[];
  unlogged: VersionVector;
  readonly damage: string[];
}

/** What was applied so far. */
interface Applied {
  ops: number;
  early: number;
  readonly leftOut: Dot[];
}

/** Rejects `AlreadyExists` when the meta-store is not empty. Durable when it resolves; not to be repeated on a store that it has begun to fill. */
export async function rebuildIndex({ chunkStore, metaStore }: RebuildDeps): Promise<RebuildReport> {
  const [clock] = await metaStore.get([clockKey]);
  if (clock)
    throw new SkerryError('AlreadyExists', 'the meta-store is not empty: only an empty one can be filled', {
      details: { hint: 'move it away first: its folder in the data directory is named like its plugin (meta-sqlite)' },
    });
  const found = await scanAll(chunkStore);
  found.ops.sort((a, b) => (a.stamp < b.stamp ? -1 : a.stamp > b.stamp ? 1 : 0));
  const applied: Applied = { ops: 0, early: 0, leftOut: [] };
  const linesOf = lineReader(chunkStore);
  for (let i = 0; i < found.ops.length; i += BATCH) {
    const ops: Op[] = [];
    for (const { locator, line } of found.ops.slice(i, i + BATCH))
      ops.push(JSON.parse((await linesOf(locator))[line] ?? '') as Op);
    await applyBatch(metaStore, found, ops, applied);
  }
  const missing = await findMissing(metaStore);
  const report = { ...(await endLog(metaStore, found, applied)), missing };
  const { damage, gaps, unlogged, early } = report;
  const isWhole = [damage, gaps, missing, Object.keys(unlogged)].every(({ length }) => length === 0) && early === 0;
  if (isWhole) return { ...report, freed: await freeUnneeded({ chunkStore, metaStore }, found) };
  await indexRest(metaStore, found);
  const losses = { damage: damage.length, gaps: gaps.length, missing: missing.length };
  await transact(metaStore, {}, (txn) => txn.put(lossesKey, losses));
  return { ...report, freed: 0 };
}

/** What was applied is logged. */
function endLog(
  metaStore: MetaStore,
  found: Found,
  applied: Applied,
): Promise<Omit<RebuildReport, 'missing' | 'freed'>> {
  return transact(metaStore, { keys: [clockKey] }, (txn) => {
    const { vector } = clockIn(txn);
    txn.put(opLogKey, { vector } satisfies OpLogRecord);
    const unlogged = Object.entries(found.unlogged).filter(([origin, seq]) => seqOf(vector, origin) < seq);
    return {
      ops: applied.ops,
      chunks: found.chunks.size,
      damage: found.damage,
      gaps: rangesOf(applied.leftOut),
      unlogged: Object.fromEntries(unlogged),
      early: applied.early,
    };
  });
}

function rangesOf(dots: readonly Dot[]): readonly SeqRange[] {
  const ranges: SeqRange[] = [];
  for (const [origin, all] of Map.groupBy(dots, (dot) => dot.origin)) {
    let last: SeqRange | undefined;
    for (const { seq } of all.toSorted((a, b) => a.seq - b.seq)) {
      if (last !== undefined && seq <= last.to + 1) ranges.pop();
      else last = undefined;
      ranges.push((last = { origin, from: last?.from ?? seq, to: seq }));
    }
  }
  return ranges;
}

async function scanAll(chunkStore: ChunkStore): Promise<Found> {
  const found: Found = { chunks: new Map(), doubles: [], ops: [], unlogged: EMPTY_VECTOR, damage: [] };
  const onDamage = (locator: Locator, reason: string): void => void found.damage.push(`${locator}: ${reason}`);
  for await (const records of chunkStore.scan({ onDamage })) {
    for (const { locator, kind, hash, length } of records) {
      try {
        if (kind === 'op') await noteOps(chunkStore, found, locator);
        else if (found.chunks.has(hash)) found.doubles.push(locator);
        else found.chunks.set(hash, { locator, length, ...(await childrenOf(chunkStore, kind, locator)) });
      } catch (error) {
        onDamage(locator, error instanceof Error ? error.message : String(error));
      }
    }
  }
  return found;
}

async function noteOps(chunkStore: ChunkStore, found: Found, locator: Locator): Promise<void> {
  for (const [line, text] of (await readLines(chunkStore, locator)).entries()) {
    const entry = JSON.parse(text) as Op | UnloggedMark;
    if ('unlogged' in entry) found.unlogged = joinVectors(found.unlogged, entry.unlogged);
    else found.ops.push({ stamp: entry.stamp, locator, line });
  }
}

async function readLines(chunkStore: ChunkStore, locator: Locator): Promise<readonly string[]> {
  const text = Buffer.from(await chunkStore.read(locator)).toString('utf8');
  return text.split('\n').filter((line) => line !== '');
}

/** Ops of one record are nearly neighbours in stamp order. */
function lineReader(chunkStore: ChunkStore): (locator: Locator) => Promise<readonly string[]> {
  const cache = new Map<Locator, readonly string[]>();
  return async (locator) => {
    const known = cache.get(locator);
    if (known) return known;
    const lines = await readLines(chunkStore, locator);
    const [oldest] = cache.keys();
    if (cache.size >= CACHED_RECORDS && oldest !== undefined) cache.delete(oldest);
    cache.set(locator, lines);
    return lines;
  };
}

async function childrenOf(
  chunkStore: ChunkStore,
  kind: 'data' | 'node',
  locator: Locator,
): Promise<{ readonly children?: readonly ManifestEntry[] }> {
  if (kind === 'data') return {};
  const children = parseEntries(await chunkStore.read(locator));
  return { children: children ?? [] };
}

async function applyBatch(metaStore: MetaStore, found: Found, ops: readonly Op[], total: Applied): Promise<void> {
  const locals = ops.map((op) => localOf(found, op));
  const reads = ops.map(readsOfOp);
  const chunks = locals.flatMap(({ placements = [] }) => placements.map(({ hash }) => chunkKey(hash)));
  const declared = {
    keys: [clockKey, ...reads.flatMap(({ keys }) => keys), ...chunks],
    ranges: reads.flatMap(({ ranges }) => ranges),
  };
  const { applied, early, leftOut } = await transact(metaStore, declared, (txn) => {
    let { hlc, vector } = clockIn(txn);
    const batch = { applied: 0, early: 0, leftOut: [] as Dot[] };
    const together = decideTogether(txn);
    for (const [at, op] of ops.entries()) {
      if (coversDot(vector, op.dot)) continue;
      if (op.dot.seq !== seqOf(vector, op.dot.origin) + 1) {
        batch.leftOut.push(op.dot);
        continue;
      }
      txn.put(oplogKey(op.dot.origin, op.dot.seq), op);
      if (rememberEarly(txn, op, vector)) batch.early++;
      const newest = stampHlc(op.stamp) > hlc;
      together.decide(() => applyOp({ txn, effects: newEffects(), newest }, op, locals[at]));
      hlc = mergeHlc(hlc, stampHlc(op.stamp));
      vector = advanceVector(vector, op.dot);
      batch.applied++;
    }
    together.end();
    txn.put(clockKey, { hlc, vector } satisfies ClockRecord);
    return batch;
  });
  total.ops += applied;
  total.early += early;
  total.leftOut.push(...leftOut);
}

/**
 * Where this site holds the bytes of a version. After a rebuild even small bodies are shared chunks with rows: which record
 * belonged to which version cannot be told apart when contents are equal.
 */
function localOf(found: Found, { body }: Op): ApplyLocal {
  return body.type === 'version.put' && body.content ? { placements: placementsOf(found, body.content) } : {};
}

function placementsOf(found: Found, content: VersionContent): readonly Placement[] {
  const placements: Placement[] = [];
  const place = ({ hash }: ManifestEntry): void => {
    const chunk = found.chunks.get(hash);
    if (!chunk) return;
    placements.push(placementOf(hash, chunk));
    chunk.children?.forEach(place);
  };
  content.manifest.forEach(place);
  content.partsManifest?.forEach(place);
  return placements;
}

const placementOf = (hash: ChunkHash, chunk: FoundChunk): Placement => ({
  hash,
  kind: chunk.children ? 'node' : 'data',
  fresh: true,
  ...chunk,
});

/** Chunks that something refers to and that have no row. */
async function findMissing(metaStore: MetaStore): Promise<readonly ChunkHash[]> {
  const missing: ChunkHash[] = [];
  for await (const rows of scanPages(metaStore, { space: 'refs', limit: PAGE })) {
    const hashes = [...new Set(rows.map(({ key }) => refHash(key)))];
    const chunks = await metaStore.get(hashes.map(chunkKey));
    missing.push(...hashes.filter((hash, at) => chunks[at] === undefined && hash !== missing.at(-1)));
  }
  return missing;
}

/** Rows for what nothing names now, so that a peer which brings the names need not send it again. */
async function indexRest(metaStore: MetaStore, { chunks }: Found): Promise<void> {
  const isWhole = ({ children = [] }: FoundChunk): boolean => children.every(({ hash }) => chunks.has(hash));
  const all = [...chunks].filter(([, chunk]) => isWhole(chunk));
  for (let i = 0; i < all.length; i += PAGE) {
    const page = all.slice(i, i + PAGE);
    await transact(metaStore, { keys: page.map(([hash]) => chunkKey(hash)) }, (txn) =>
      placeChunks(
        { txn, effects: newEffects() },
        page.flatMap(([hash, chunk]) => (txn.get(chunkKey(hash)) ? [] : [placementOf(hash, chunk)])),
      ),
    );
  }
}

/** Leftovers of failed writes and aborted uploads, doubles of equal bodies. */
async function freeUnneeded({ chunkStore, metaStore }: RebuildDeps, found: Found): Promise<number> {
  const unneeded = [...found.doubles];
  const all = [...found.chunks];
  for (let i = 0; i < all.length; i += PAGE) {
    const page = all.slice(i, i + PAGE);
    const rows = await metaStore.get(page.map(([hash]) => chunkKey(hash)));
    for (const [at, [, { locator }]] of page.entries()) {
      const row = rows[at];
      if (!row || decodeRecord<ChunkRow>(row).locator !== locator) unneeded.push(locator);
    }
  }
  for (let i = 0; i < unneeded.length; i += PAGE) await chunkStore.free(unneeded.slice(i, i + PAGE));
  return unneeded.length;
}
