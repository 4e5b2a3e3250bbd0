/** A version opened for reading: found, and its bytes kept from reclamation until it is closed. */
import type { ObjectRef, OpenObject, PartSummary } from '../contracts/index.ts';
import type { MetaReader } from '../contracts/index.ts';
import { totalSpan } from './manifest.ts';
import type { ObjectReader } from './read-object.ts';
import type { Reclaimer } from './reclaim.ts';
import { refOf, type VersionRef } from './version-ref.ts';
import { findObject, type FoundVersion } from './versions.ts';

export interface OpenObjectDeps {
  readonly reader: MetaReader;
  readonly objectReader: ObjectReader;
  readonly reclaimer: Reclaimer;
}

export async function openObject(
  { reader, objectReader, reclaimer }: OpenObjectDeps,
  ref: ObjectRef,
): Promise<OpenObject> {
  // Before the lookup: what it finds must not be given back until the read ends.
  const close = reclaimer.beginRead();
  let found: FoundVersion;
  try {
    found = await findObject(reader, ref);
  } catch (error) {
    close();
    throw error;
  }
  return {
    info: found.info,
    versioning: found.versioning,
    readNow: (start, length) => objectReader.readNow({ ...bytesOf(found), start, length }),
    read: (start, length, signal) =>
      objectReader.readRange({ ...bytesOf(found), start, length, ...(signal ? { signal } : {}) }),
    parts: () => partsOf(objectReader, found),
    close,
  };
}

/** What the object reader needs of a version. */
export function bytesOf({
  record,
  info,
}: FoundBytes): Pick<Parameters<ObjectReader['readRange']>[0], 'manifest' | 'locator' | 'holder'> {
  const locator = record.local?.locator;
  return {
    manifest: record.content.manifest,
    holder: refOf(info),
    ...(locator === undefined ? {} : { locator }),
  };
}

/** What reading needs of a version that was found. */
export interface FoundBytes extends Pick<FoundVersion, 'record'> {
  readonly info: VersionRef;
}

/** All bytes of a small version. */
export async function readSmall(objectReader: ObjectReader, found: FoundBytes): Promise<Uint8Array> {
  return collect(objectReader.readRange({ ...bytesOf(found), start: 0, length: found.record.content.size }));
}

async function partsOf(
  objectReader: ObjectReader,
  { record, info }: FoundBytes,
): Promise<readonly PartSummary[] | undefined> {
  const { parts, partsManifest } = record.content;
  if (!partsManifest) return parts;
  const length = totalSpan(partsManifest);
  const bytes = await collect(
    objectReader.readRange({ manifest: partsManifest, holder: refOf(info), start: 0, length }),
  );
  return JSON.parse(Buffer.from(bytes).toString('utf8')) as readonly PartSummary[];
}

/** Pieces are reused buffers, so each is copied before the next is asked for. */
async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const copies: Uint8Array[] = [];
  for await (const piece of pieces) copies.push(Buffer.from(piece));
  return Buffer.concat(copies);
}
