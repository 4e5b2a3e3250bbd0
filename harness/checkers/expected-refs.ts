/** Who must hold which chunk, worked out from versions, manifest nodes and parts in flight alone. */
import type { ChunkStore, ManifestEntry, MetaReader } from '../../core/contracts/index.ts';
import { refKey, refOwner } from '../../core/engine/keys.ts';
import {
  decodeRecord,
  type ChunkRow,
  type ConflictRecord,
  type HeadRecord,
  type PartRecord,
  type TombstoneRecord,
  type VersionRecord,
} from '../../core/engine/records.ts';
import { scanAll } from './dump.ts';

/** Keys of rows of `refs`, as Latin-1. */
export async function expectedRefs(reader: MetaReader, store: ChunkStore): Promise<ReadonlySet<string>> {
  const wanted = new Set<string>();
  const hold = (entries: readonly ManifestEntry[], owner: string): void => {
    for (const { hash } of entries) wanted.add(Buffer.from(refKey(hash, owner).key).toString('latin1'));
  };
  for (const version of await keptVersions(reader)) {
    if (version.local?.locator !== undefined) continue;
    const { manifest = [], partsManifest = [] } = version.content ?? {};
    hold([...manifest, ...partsManifest], refOwner.version(version.stamp));
  }
  for (const { key, value } of await scanAll(reader, 'chunks')) {
    const { kind, locator } = decodeRecord<ChunkRow>(value);
    if (kind !== 'node') continue;
    const entries = JSON.parse(Buffer.from(await store.read(locator)).toString('utf8')) as readonly ManifestEntry[];
    hold(entries, refOwner.node(Buffer.from(key).toString('utf8')));
  }
  for (const { key, value } of await scanAll(reader, 'parts')) {
    const uploadId = Buffer.from(key.subarray(0, key.indexOf(0))).toString('utf8');
    hold(
      decodeRecord<PartRecord>(value).manifest,
      refOwner.part(uploadId, Buffer.from(key).readUInt16BE(key.length - 2)),
    );
  }
  return wanted;
}

/** Every version that has bytes here: live, shown meanwhile, lost to a conflict, or removed under a lock. */
export async function keptVersions(reader: MetaReader): Promise<readonly VersionRecord[]> {
  const kept: (VersionRecord | undefined)[] = [];
  for (const space of ['heads', 'versions'] as const) {
    for (const { value } of await scanAll(reader, space)) {
      const record = decodeRecord<HeadRecord>(value);
      kept.push(record, record.shadow?.record);
    }
  }
  for (const { value } of await scanAll(reader, 'tombstones')) kept.push(decodeRecord<TombstoneRecord>(value).kept);
  for (const { value } of await scanAll(reader, 'conflicts')) kept.push(decodeRecord<ConflictRecord>(value).loser);
  return kept.filter((version) => version !== undefined);
}
