/**
 * Who holds a chunk. The one definition of "referenced": a row in `refs`. A version holds the top entries of its manifest,
 * a manifest node holds its entries, an open multipart part holds its own. A small body's only chunk belongs to its
 * version alone, lies at `local.locator`, and has no rows.
 */
import { SkerryError, type ManifestEntry } from '../contracts/index.ts';
import type { ApplyContext } from './apply-context.ts';
import { chunkKey, garbageKey, refKey, refOwner } from './keys.ts';
import type { ChunkRow, Placement, VersionRecord } from './records.ts';

const HELD = new Uint8Array(0);

type RefContext = Pick<ApplyContext, 'txn' | 'effects'>;

const entriesOf = (record: VersionRecord): readonly ManifestEntry[] =>
  record.local?.locator === undefined
    ? [...(record.content?.manifest ?? []), ...(record.content?.partsManifest ?? [])]
    : [];

/** Records where the chunks of a new version lie and that the version holds them. */
export function holdChunks(context: RefContext, record: VersionRecord, placements: readonly Placement[]): void {
  placeChunks(context, placements);
  holdEntries(context, entriesOf(record), refOwner.version(record.stamp));
}

export function holdEntries({ txn }: RefContext, entries: readonly ManifestEntry[], owner: string): void {
  for (const { hash } of entries) txn.set(refKey(hash, owner), HELD);
}

/**
 * Lets go of entries; whoever lost its holder is looked at by the garbage collector. The queue says who let go last, so that the
 * collector notices when a chunk was held by another meanwhile, whose readers it did not wait for.
 */
export function releaseEntries(
  { txn, effects }: RefContext,
  entries: readonly Pick<ManifestEntry, 'hash'>[],
  owner: string,
): void {
  for (const { hash } of entries) {
    txn.remove(refKey(hash, owner));
    txn.set(garbageKey(hash), Buffer.from(owner));
    effects.garbage = true;
  }
}

/** Lets go of a version's bytes. */
export function dropVersion(context: RefContext, record: VersionRecord): void {
  if (record.local?.locator !== undefined) context.effects.freed.push(record.local.locator);
  releaseEntries(context, entriesOf(record), refOwner.version(record.stamp));
}

/**
 * Rows for chunks that were appended. A chunk that somebody else stored meanwhile is kept where it is and ours is freed,
 * unless it is damaged there; one that was to be shared and is gone meanwhile refuses the write, which the client repeats.
 */
export function placeChunks(context: RefContext, placements: readonly Placement[]): void {
  for (const { hash, locator, length, kind, fresh, children } of placements) {
    const row = chunkKey(hash);
    const known = context.txn.record<ChunkRow>(row);
    if (known && fresh && context.effects.isDamaged(known.locator)) {
      context.txn.put(row, { ...known, locator } satisfies ChunkRow);
      context.effects.freed.push(known.locator);
    } else if (known) {
      if (fresh && known.locator !== locator) context.effects.freed.push(locator);
    } else if (fresh) {
      context.txn.put(row, { locator, length, kind } satisfies ChunkRow);
    } else {
      throw new SkerryError(
        'Unavailable',
        'a shared chunk was reclaimed while the write was under way; repeat the request',
      );
    }
    if (!children || known?.kind === 'node') continue;
    // An object may have the very bytes of a manifest node, and be here already: from now on it is one.
    if (known) context.txn.put(row, { ...(context.txn.record<ChunkRow>(row) ?? known), kind });
    holdEntries(context, children, refOwner.node(hash));
  }
}
