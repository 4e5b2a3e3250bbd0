/**
 * Rebuilds an empty meta-store from the chunk-store alone (rule 17): every chunk found is indexed, every op found is applied
 * in stamp order through the one door, with its own stamp. The result has the same state as before the loss. Uploads that
 * were in flight are not state and are gone. In memory: an entry for each chunk and each op, not their contents.
 */
import {
  SkerryError,
  type ChunkHash,
  type ChunkStore,
  type Locator,
  type ManifestEntry,
  type MetaStore,
  type Op,
  type Stamp,
  type VersionContent,
} from '../contracts/index.ts';
import { newEffects, type ApplyLocal } from './apply-context.ts';
import { applyOp } from './apply-op.ts';
import { clockIn } from './clock-row.ts';
import { mergeHlc } from './hlc.ts';
import { chunkKey, clockKey, lossesKey, oplogKey, refHash } from './keys.ts';
import { parseEntries } from './manifest.ts';
import { readsOfOp } from './op-reads.ts';
import { decodeRecord, type ChunkRow, type ClockRecord, type Placement } from './records.ts';
import { scanPages } from './scan-pages.ts';
import { stampHlc } from './stamp.ts';
import { decideTogether, transact } from './txn.ts';
import { advanceVector, coversDot, seqOf } from './vector.ts';

export interface RebuildReport {
  /** Ops applied. */
  readonly ops: number;
  /** Chunks found, by content. */
  readonly chunks: number;
  /** Damaged records that were skipped, one sentence each. */
  readonly damage: readonly string[];
  /** Ops behind a gap in their origin's sequence: kept out, because what lies between is lost. */
  readonly gaps: readonly string[];
  /** Chunks that versions need and that were not found. */
  readonly missing: readonly ChunkHash[];
  /**
   * Records that nobody needs, given back; none when something is damaged or lost, for a better repair may need them: garbage
   * collection keeps them then, too.
   */
  readonly freed: number;
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
  readonly damage: string[];
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
  const gaps: string[] = [];
  const linesOf = lineReader(chunkStore);
  let applied = 0;
  for (let i = 0; i < found.ops.length; i += BATCH) {
    const ops: Op[] = [];
    for (const { locator, line } of found.ops.slice(i, i + BATCH))
      ops.push(JSON.parse((await linesOf(locator))[line] ?? '') as Op);
    applied += await applyBatch(metaStore, found, ops, gaps);
  }
  const missing = await findMissing(metaStore);
  const isWhole = found.damage.length === 0 && gaps.length === 0 && missing.length === 0;
  const freed = isWhole ? await freeUnneeded({ chunkStore, metaStore }, found) : 0;
  const losses = { damage: found.damage.length, gaps: gaps.length, missing: missing.length };
  if (!isWhole) await transact(metaStore, {}, (txn) => txn.put(lossesKey, losses));
  return { ops: applied, chunks: found.chunks.size, damage: found.damage, gaps, missing, freed };
}

async function scanAll(chunkStore: ChunkStore): Promise<Found> {
  const found: Found = { chunks: new Map(), doubles: [], ops: [], damage: [] };
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

async function noteOps(chunkStore: ChunkStore, { ops }: Found, locator: Locator): Promise<void> {
  for (const [line, text] of (await readLines(chunkStore, locator)).entries())
    ops.push({ stamp: (JSON.parse(text) as Op).stamp, locator, line });
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

function applyBatch(metaStore: MetaStore, found: Found, ops: readonly Op[], gaps: string[]): Promise<number> {
  const before = gaps.length;
  const locals = ops.map((op) => localOf(found, op));
  const reads = ops.map(readsOfOp);
  const chunks = locals.flatMap(({ placements = [] }) => placements.map(({ hash }) => chunkKey(hash)));
  const declared = {
    keys: [clockKey, ...reads.flatMap(({ keys }) => keys), ...chunks],
    ranges: reads.flatMap(({ ranges }) => ranges),
  };
  return transact(metaStore, declared, (txn) => {
    gaps.length = before;
    let { hlc, vector } = clockIn(txn);
    let applied = 0;
    const together = decideTogether(txn);
    for (const [at, op] of ops.entries()) {
      if (coversDot(vector, op.dot)) continue;
      if (op.dot.seq !== seqOf(vector, op.dot.origin) + 1) {
        gaps.push(`${op.dot.origin}:${op.dot.seq}`);
        continue;
      }
      txn.put(oplogKey(op.dot.origin, op.dot.seq), op);
      const newest = stampHlc(op.stamp) > hlc;
      together.decide(() => applyOp({ txn, effects: newEffects(), newest }, op, locals[at]));
      hlc = mergeHlc(hlc, stampHlc(op.stamp));
      vector = advanceVector(vector, op.dot);
      applied++;
    }
    together.end();
    txn.put(clockKey, { hlc, vector } satisfies ClockRecord);
    return applied;
  });
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
    placements.push({ hash, kind: chunk.children ? 'node' : 'data', fresh: true, ...chunk });
    chunk.children?.forEach(place);
  };
  content.manifest.forEach(place);
  content.partsManifest?.forEach(place);
  return placements;
}

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
