/**
 * Manifests as ropes: a version lists at most `TOP_MAX` entries; longer lists lie in nodes, which are chunks that hold a JSON
 * array of entries. Reading a range loads only the nodes that it touches.
 */
import { SkerryError } from '../contracts/index.ts';
import type { ChunkHash, Hashing, Manifest, ManifestEntry } from '../contracts/index.ts';
import { toHex } from './checksums.ts';

/** Entries that a version lists itself. */
export const TOP_MAX = 32;
/** Entries of one node. */
export const NODE_MAX = 1024;

/** A node to store. */
export interface ManifestNode {
  readonly hash: ChunkHash;
  readonly bytes: Uint8Array;
  /** What refers to it. */
  readonly entry: ManifestEntry;
  /** What it refers to. */
  readonly children: readonly ManifestEntry[];
}

export interface WrappedManifest {
  readonly manifest: Manifest;
  /** Children before their parents. */
  readonly nodes: readonly ManifestNode[];
}

/** Part of a range that lies in one data chunk. */
export interface Segment {
  readonly entry: ManifestEntry;
  /** First byte within the chunk. */
  readonly offsetInChunk: number;
  /** Bytes, at least 1. */
  readonly length: number;
}

export type LoadNode = (entry: ManifestEntry) => Promise<readonly ManifestEntry[]>;

/** Bytes of the object under an entry. */
export const spanOf = (entry: ManifestEntry): number => entry.span ?? entry.length;

/** Bytes of the object under all entries. */
export function totalSpan(entries: readonly ManifestEntry[]): number {
  return entries.reduce((sum, entry) => sum + spanOf(entry), 0);
}

/** At most `topMax` entries that stand for `entries`, and the nodes that this takes: as few levels as can be. */
export function wrapManifest(entries: readonly ManifestEntry[], hashing: Hashing, topMax = TOP_MAX): WrappedManifest {
  const nodes: ManifestNode[] = [];
  let level = entries;
  while (level.length > topMax) {
    const wrapped: ManifestEntry[] = [];
    for (let at = 0; at < level.length; at += NODE_MAX) {
      const node = makeNode(level.slice(at, at + NODE_MAX), hashing);
      nodes.push(node);
      wrapped.push(node.entry);
    }
    level = wrapped;
  }
  return { manifest: level, nodes };
}

function makeNode(children: readonly ManifestEntry[], hashing: Hashing): ManifestNode {
  const bytes = Buffer.from(JSON.stringify(children), 'utf8');
  const hash: ChunkHash = `sha256:${toHex(hashing.hash('sha256', bytes))}`;
  return { hash, bytes, children, entry: { hash, length: bytes.length, span: totalSpan(children) } };
}

/** The entries of a stored node. `Corrupt` when the bytes are not the node that `entry` says. */
export function parseNode(entry: ManifestEntry, bytes: Uint8Array): readonly ManifestEntry[] {
  const children = parseEntries(bytes);
  if (children === undefined || totalSpan(children) !== entry.span) {
    throw new SkerryError('Corrupt', 'a manifest node does not hold what its manifest says', {
      details: { hash: entry.hash },
    });
  }
  return children;
}

/** Entries of a node as its bytes say; `undefined` when they are no such list. */
export function parseEntries(bytes: Uint8Array): readonly ManifestEntry[] | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
  } catch {
    return undefined;
  }
  return Array.isArray(parsed) && parsed.every(isEntry) ? parsed : undefined;
}

function isEntry(value: unknown): value is ManifestEntry {
  if (typeof value !== 'object' || value === null) return false;
  const { hash, length, span } = value as Partial<Record<keyof ManifestEntry, unknown>>;
  return typeof hash === 'string' && isCount(length) && (span === undefined || isCount(span));
}

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

/** The data chunks of `[start, start + length)` in order. `RangeNotSatisfiable` when the manifest is shorter. */
export async function* walkRange(
  manifest: Manifest,
  start: number,
  length: number,
  loadNode: LoadNode,
): AsyncGenerator<Segment> {
  const span = totalSpan(manifest);
  if (start < 0 || length < 0 || start + length > span) {
    throw new SkerryError('RangeNotSatisfiable', `bytes ${start} to ${start + length} of ${span}`, {
      details: { start, length, span },
    });
  }
  yield* walk(manifest, start, length, loadNode);
}

async function* walk(
  entries: readonly ManifestEntry[],
  start: number,
  length: number,
  loadNode: LoadNode,
): AsyncGenerator<Segment> {
  let offset = 0;
  for (const entry of entries) {
    if (offset >= start + length) return;
    const span = spanOf(entry);
    const from = Math.max(start - offset, 0);
    const take = Math.min(span, start + length - offset) - from;
    offset += span;
    if (take <= 0) continue;
    if (entry.span === undefined) yield { entry, offsetInChunk: from, length: take };
    else yield* walk(await loadNode(entry), from, take, loadNode);
  }
}

/** Every node under `manifest` with its entries, parents first: what reachability checks and copies walk. */
export async function* walkNodes(
  manifest: Manifest,
  loadNode: LoadNode,
): AsyncGenerator<{ readonly entry: ManifestEntry; readonly children: readonly ManifestEntry[] }> {
  for (const entry of manifest) {
    if (entry.span === undefined) continue;
    const children = await loadNode(entry);
    yield { entry, children };
    yield* walkNodes(children, loadNode);
  }
}
