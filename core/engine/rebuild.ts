/**
 * Rebuilds an empty meta-store from the chunk-store alone (rule 17): every chunk found is indexed, every op found is applied
 * in stamp order through the one door, with its own stamp. The result has the same state as before the loss. Uploads that
 * were in flight are not state and are gone; their chunks are garbage.
 */
import {
  SkerryError,
  type ChunkHash,
  type ChunkStore,
  type Locator,
  type ManifestEntry,
  type MetaStore,
  type Op,
  type VersionContent,
} from '../contracts/index.ts';
import { newEffects, type ApplyLocal } from './apply-context.ts';
import { applyOp } from './apply-op.ts';
import { HLC_ZERO, mergeHlc } from './hlc.ts';
import { clockKey, oplogKey } from './keys.ts';
import type { ClockRecord, Placement } from './records.ts';
import { stampHlc } from './stamp.ts';
import { transact } from './txn.ts';
import { EMPTY_VECTOR, advanceVector, coversDot, seqOf } from './vector.ts';

export interface RebuildReport {
  readonly ops: number;
  readonly chunks: number;
  /** Damaged records that were skipped, one sentence each. */
  readonly damage: readonly string[];
  /** Ops behind a gap in their origin's sequence: kept out, because what lies between is lost. */
  readonly gaps: readonly string[];
}

const BATCH = 200;

interface Found {
  readonly data: Map<ChunkHash, { readonly locator: Locator; readonly length: number }>;
  readonly nodes: Map<
    ChunkHash,
    { readonly locator: Locator; readonly length: number; readonly children: readonly ManifestEntry[] }
  >;
  readonly ops: Op[];
  readonly damage: string[];
}

export async function rebuildIndex({
  chunkStore,
  metaStore,
}: {
  readonly chunkStore: ChunkStore;
  readonly metaStore: MetaStore;
}): Promise<RebuildReport> {
  const [clock] = await metaStore.get([clockKey]);
  if (clock) throw new SkerryError('AlreadyExists', 'the meta-store is not empty: move it away before rebuilding');
  const found = await scanAll(chunkStore);
  found.ops.sort((a, b) => (a.stamp < b.stamp ? -1 : a.stamp > b.stamp ? 1 : 0));
  const gaps: string[] = [];
  let applied = 0;
  for (let i = 0; i < found.ops.length; i += BATCH)
    applied += await applyBatch(metaStore, found, found.ops.slice(i, i + BATCH), gaps);
  return { ops: applied, chunks: found.data.size + found.nodes.size, damage: found.damage, gaps };
}

async function scanAll(chunkStore: ChunkStore): Promise<Found> {
  const found: Found = { data: new Map(), nodes: new Map(), ops: [], damage: [] };
  const onDamage = (locator: Locator, reason: string): void => void found.damage.push(`${locator}: ${reason}`);
  for await (const records of chunkStore.scan({ onDamage })) {
    for (const { locator, kind, hash, length } of records) {
      if (kind === 'data') {
        found.data.set(hash, { locator, length });
        continue;
      }
      const text = Buffer.from(await chunkStore.read(locator)).toString('utf8');
      if (kind === 'node') found.nodes.set(hash, { locator, length, children: JSON.parse(text) as ManifestEntry[] });
      else for (const line of text.split('\n')) if (line !== '') found.ops.push(JSON.parse(line) as Op);
    }
  }
  return found;
}

function applyBatch(metaStore: MetaStore, found: Found, ops: readonly Op[], gaps: string[]): Promise<number> {
  return transact(metaStore, { keys: [clockKey] }, (txn) => {
    let { hlc, vector } = txn.record<ClockRecord>(clockKey) ?? { hlc: HLC_ZERO, vector: EMPTY_VECTOR };
    const lost: string[] = [];
    let applied = 0;
    for (const op of ops) {
      if (coversDot(vector, op.dot)) continue;
      if (op.dot.seq !== seqOf(vector, op.dot.origin) + 1) {
        lost.push(`${op.dot.origin}:${op.dot.seq}`);
        continue;
      }
      txn.put(oplogKey(op.dot.origin, op.dot.seq), op);
      applyOp({ txn, effects: newEffects(), newest: stampHlc(op.stamp) > hlc }, op, localOf(found, op));
      hlc = mergeHlc(hlc, stampHlc(op.stamp));
      vector = advanceVector(vector, op.dot);
      applied++;
    }
    txn.put(clockKey, { hlc, vector } satisfies ClockRecord);
    gaps.push(...lost.filter((dot) => !gaps.includes(dot)));
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
    const node = found.nodes.get(hash);
    const data = found.data.get(hash);
    if (node) {
      placements.push({ hash, kind: 'node', fresh: true, ...node });
      node.children.forEach(place);
    } else if (data) {
      placements.push({ hash, kind: 'data', fresh: true, ...data });
    }
  };
  content.manifest.forEach(place);
  content.partsManifest?.forEach(place);
  return placements;
}
