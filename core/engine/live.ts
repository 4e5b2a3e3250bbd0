/**
 * The one definition of what is live. A record of the chunk-store is live while a row names it: a chunk's row, or a version
 * that owns its small body, be it current, older, lost to a conflict, removed but kept, or shown while a newer one is fetched.
 * So is an op of the log, and what a running write has appended (in-flight.ts). A chunk's row is live while something holds the
 * chunk (chunk-refs.ts), or a running write relies on it (pins.ts).
 */
import type { ChunkHash, Locator, MetaReader, MetaRow } from '../contracts/index.ts';
import {
  bucketOf,
  fetchKey,
  headObjectKey,
  parseTombstoneKey,
  parseVersionKey,
  refHash,
  refOwner,
  tombstonePrefix,
  tupleRange,
} from './keys.ts';
import {
  decodeRecord,
  type ChunkRow,
  type ConflictRecord,
  type HeadRecord,
  type PartRecord,
  type TombstoneRecord,
  type VersionRecord,
} from './records.ts';
import type { VersionRef } from './version-ref.ts';
import { RowCursor } from './row-cursor.ts';
import { scanPages } from './scan-pages.ts';

const PAGE = 500;

export interface HeldVersion extends VersionRef {
  /** `shown`: readers see it until the bytes of a newer one are here. It may be held otherwise too. */
  readonly as: 'version' | 'loser' | 'removed' | 'shown';
  readonly record: VersionRecord;
}

/** Every version whose bytes are kept. */
export async function* heldVersions(reader: MetaReader): AsyncGenerator<HeldVersion> {
  for await (const { key: row, value } of rowsOf(reader, 'heads')) {
    const record = decodeRecord<HeadRecord>(value);
    const bucket = bucketOf(row);
    const key = headObjectKey(bucket, row).toString('utf8');
    yield { bucket, key, stamp: record.stamp, as: 'version', record };
    const shown = record.shadow?.record;
    if (shown) yield { bucket, key, stamp: shown.stamp, as: 'shown', record: shown };
  }
  for await (const { key: row, value } of rowsOf(reader, 'versions')) {
    const record = decodeRecord<VersionRecord>(value);
    yield { ...objectOf(row), stamp: record.stamp, as: 'version', record };
  }
  yield* conflictLosers(reader);
  for await (const { key: row, value } of rowsOf(reader, 'tombstones', tombstonePrefix())) {
    const { kept } = decodeRecord<TombstoneRecord>(value);
    const { bucket, key } = parseTombstoneKey(row);
    if (kept) yield { bucket, key, stamp: kept.stamp, as: 'removed', record: kept };
  }
}

/** Null versions that lost to one that had not seen them. */
export async function* conflictLosers(reader: MetaReader): AsyncGenerator<HeldVersion> {
  for await (const { key: row, value } of rowsOf(reader, 'conflicts')) {
    const { loser } = decodeRecord<ConflictRecord>(value);
    if (loser) yield { ...objectOf(row), stamp: loser.stamp, as: 'loser', record: loser };
  }
}

function objectOf(row: Uint8Array): { readonly bucket: string; readonly key: string } {
  const bucket = bucketOf(row);
  return { bucket, key: parseVersionKey(bucket, row).key.toString('utf8') };
}

/** A record that a row names. */
export interface NamedRecord {
  readonly locator: Locator;
  readonly hash: ChunkHash;
  /** Absent: a shared chunk. */
  readonly owner?: HeldVersion;
}

export async function* namedRecords(
  reader: MetaReader,
  onVersion: (version: HeldVersion) => void = () => {},
): AsyncGenerator<NamedRecord> {
  for await (const { key, value } of rowsOf(reader, 'chunks'))
    yield { locator: decodeRecord<ChunkRow>(value).locator, hash: hashOf(key) };
  for await (const version of heldVersions(reader)) {
    onVersion(version);
    const body = ownBody(version);
    if (body) yield body;
  }
}

/** A small body that belongs to its version alone. */
export function ownBody(owner: HeldVersion): NamedRecord | undefined {
  const { content, local } = owner.record;
  const hash = content?.manifest[0]?.hash;
  return hash === undefined || local?.locator === undefined ? undefined : { locator: local.locator, hash, owner };
}

/** Parts of uploads that are neither completed nor aborted. */
export async function* openParts(reader: MetaReader): AsyncGenerator<PartRecord> {
  for await (const { value } of rowsOf(reader, 'parts')) yield decodeRecord<PartRecord>(value);
}

/** Where rows of chunks and their holders do not match. */
export type Mismatch =
  /** Nothing holds the chunk. */
  | { readonly kind: 'unheld'; readonly hash: ChunkHash; readonly length: number }
  /** The chunk is not here, and not on its way. */
  | { readonly kind: 'absent'; readonly hash: ChunkHash; readonly owner: string };

/** The reader must be a snapshot. Both spaces are in the order of hashes. */
export async function* mismatches(reader: MetaReader): AsyncGenerator<Mismatch> {
  const isFetching = (await reader.scan({ space: 'queues', ...tupleRange(fetchKey('').key), limit: 1 })).length > 0;
  const chunks = new RowCursor(reader, { space: 'chunks', from: FIRST, to: undefined, batch: PAGE });
  const refs = new RowCursor(reader, { space: 'refs', from: FIRST, to: undefined, batch: PAGE });
  let heldHash: ChunkHash | undefined;
  for (;;) {
    const [chunk, ref] = [await chunks.peek(), await refs.peek()];
    if (!chunk && !ref) return;
    const chunkHash = chunk && hashOf(chunk.key);
    const wanted = ref && refHash(ref.key);
    if (chunk && chunkHash !== undefined && (wanted === undefined || chunkHash < wanted)) {
      if (chunkHash !== heldHash)
        yield { kind: 'unheld', hash: chunkHash, length: decodeRecord<ChunkRow>(chunk.value).length };
      chunks.next();
      continue;
    }
    if (wanted === undefined || !ref) return;
    if (wanted === chunkHash) heldHash = wanted;
    else if (wanted !== heldHash && !(await isAwaited(reader, ref, isFetching)))
      yield { kind: 'absent', hash: wanted, owner: ownerOf(ref) };
    refs.next();
  }
}

const FIRST = Buffer.of(0);

const hashOf = (row: Uint8Array): ChunkHash => Buffer.from(row).toString('utf8');

const ownerOf = ({ key }: MetaRow): string => Buffer.from(key.subarray(key.indexOf(0) + 1)).toString('utf8');

/** A pending version's chunks arrive one by one, and those under a manifest node after it. */
async function isAwaited(reader: MetaReader, ref: MetaRow, isFetching: boolean): Promise<boolean> {
  const owner = ownerOf(ref);
  const prefix = refOwner.version('');
  if (!owner.startsWith(prefix)) return isFetching && owner.startsWith(refOwner.node(''));
  const [row] = await reader.get([fetchKey(owner.slice(prefix.length))]);
  return row !== undefined;
}

async function* rowsOf(
  reader: MetaReader,
  space: 'heads' | 'versions' | 'conflicts' | 'tombstones' | 'parts' | 'chunks',
  prefix?: Uint8Array,
): AsyncGenerator<MetaRow> {
  const bounds = prefix ? tupleRange(prefix) : {};
  for await (const rows of scanPages(reader, { space, ...bounds, limit: PAGE })) yield* rows;
}
