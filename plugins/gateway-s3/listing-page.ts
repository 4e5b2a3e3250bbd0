/**
 * The XML of listing rows. Written by concatenation: a page of 1,000 keys takes well under a millisecond, an XML builder ten
 * times as long. Keys that XML 1.0 cannot hold (control characters) are written as character references, as AWS does; only
 * `encoding-type=url` is safe for them.
 */
import type { ListedObject, ListedVersion, IdentityDirectory } from '../../core/contracts/index.ts';
import type { ListingQuery } from './listing-query.ts';
import { element, escapeXml } from './xml.ts';

/** `2024-05-06T07:08:09.000Z`: S3 shows whole seconds, the same ones as Last-Modified. */
export function isoSeconds(unixMs: number): string {
  return new Date(Math.floor(unixMs / 1000) * 1000).toISOString();
}

/** Remembers the last second: rows of one page are often written together. */
function timeWriter(): (unixMs: number) => string {
  let second = Number.NaN;
  let text = '';
  return (unixMs) => {
    const now = Math.floor(unixMs / 1000);
    if (now !== second) {
      second = now;
      text = isoSeconds(unixMs);
    }
    return text;
  };
}

export type OwnerWriter = (owner: string) => string;

/** `<Owner>` (or `<Initiator>`) by canonical id, each looked up once a page. An id that no identity holds shows itself. */
export function ownerWriter(identities: IdentityDirectory, tag = 'Owner'): OwnerWriter {
  const known = new Map<string, string>();
  return (owner) => {
    let text = known.get(owner);
    if (text === undefined) {
      const name = identities.findUser(owner)?.displayName ?? owner;
      text = `<${tag}><ID>${escapeXml(owner)}</ID><DisplayName>${escapeXml(name)}</DisplayName></${tag}>`;
      known.set(owner, text);
    }
    return text;
  };
}

function checksumOf({ checksumAlgorithm, checksumType }: ListedObject): string {
  return element('ChecksumAlgorithm', checksumAlgorithm) + element('ChecksumType', checksumType);
}

/** `<Contents>` of V1 and V2. */
export function objectRows(entries: readonly ListedObject[], listing: ListingQuery, owner?: OwnerWriter): string {
  const { name } = listing;
  const time = timeWriter();
  let rows = '';
  for (const entry of entries) {
    rows +=
      `<Contents><Key>${name(entry.key)}</Key><LastModified>${time(entry.modifiedAtMs)}</LastModified>` +
      `<ETag>&quot;${entry.etag}&quot;</ETag>${checksumOf(entry)}<Size>${entry.size}</Size>` +
      `${owner === undefined ? '' : owner(entry.owner)}<StorageClass>${escapeXml(entry.storageClass)}</StorageClass></Contents>`;
  }
  return rows;
}

/** `<Version>` and `<DeleteMarker>`, newest first within a key. */
export function versionRows(entries: readonly ListedVersion[], listing: ListingQuery, owner: OwnerWriter): string {
  const { name } = listing;
  const time = timeWriter();
  let rows = '';
  for (const entry of entries) {
    const identity =
      `<Key>${name(entry.key)}</Key><VersionId>${entry.versionId}</VersionId><IsLatest>${entry.isLatest}</IsLatest>` +
      `<LastModified>${time(entry.modifiedAtMs)}</LastModified>${owner(entry.owner)}`;
    rows += entry.marker
      ? `<DeleteMarker>${identity}</DeleteMarker>`
      : `<Version>${identity}<ETag>&quot;${entry.etag}&quot;</ETag>${checksumOf(entry)}<Size>${entry.size}</Size>` +
        `<StorageClass>${escapeXml(entry.storageClass)}</StorageClass></Version>`;
  }
  return rows;
}

export function commonPrefixRows(prefixes: readonly string[], listing: ListingQuery): string {
  let rows = '';
  for (const prefix of prefixes) rows += `<CommonPrefixes><Prefix>${listing.name(prefix)}</Prefix></CommonPrefixes>`;
  return rows;
}
