/**
 * The XML of listing rows. Written by concatenation: a page of 1,000 keys takes well under a millisecond, an XML builder ten
 * times as long. Keys that XML 1.0 cannot hold (control characters) are written as character references, as AWS does; only
 * `encoding-type=url` is safe for them.
 */
import type { ListedObject, ListedVersion, IdentityDirectory } from '../../core/contracts/index.ts';
import type { ListingQuery } from './listing-query.ts';
import { element, escapeXml } from './xml.ts';

const DAY_SECONDS = 86_400;
const TWO_DIGITS: readonly string[] = Array.from({ length: 60 }, (_, number) => String(number).padStart(2, '0'));
let lastDay = { number: Number.NaN, text: '' };

/**
 * `2024-05-06T07:08:09.000Z`: S3 shows whole seconds, the same ones as Last-Modified. The rows of a page are mostly of few days,
 * so the date is remembered (measured: 0.02 instead of 0.38 ms for 1,000 rows).
 */
export function isoSeconds(unixMs: number): string {
  const second = Math.floor(unixMs / 1000);
  const day = Math.floor(second / DAY_SECONDS);
  if (lastDay.number !== day) {
    lastDay = { number: day, text: new Date(day * DAY_SECONDS * 1000).toISOString().slice(0, -'00:00:00.000Z'.length) };
  }
  const time = second - day * DAY_SECONDS;
  const hour = TWO_DIGITS[Math.floor(time / 3600)] ?? '';
  const minute = TWO_DIGITS[Math.floor(time / 60) % 60] ?? '';
  return `${lastDay.text}${hour}:${minute}:${TWO_DIGITS[time % 60] ?? ''}.000Z`;
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
  let rows = '';
  for (const entry of entries) {
    rows +=
      `<Contents><Key>${name(entry.key)}</Key><LastModified>${isoSeconds(entry.modifiedAtMs)}</LastModified>` +
      `<ETag>&quot;${entry.etag}&quot;</ETag>${checksumOf(entry)}<Size>${entry.size}</Size>` +
      `${owner === undefined ? '' : owner(entry.owner)}<StorageClass>${escapeXml(entry.storageClass)}</StorageClass></Contents>`;
  }
  return rows;
}

/** `<Version>` and `<DeleteMarker>`, newest first within a key. */
export function versionRows(entries: readonly ListedVersion[], listing: ListingQuery, owner: OwnerWriter): string {
  const { name } = listing;
  let rows = '';
  for (const entry of entries) {
    const identity =
      `<Key>${name(entry.key)}</Key><VersionId>${entry.versionId}</VersionId><IsLatest>${entry.isLatest}</IsLatest>` +
      `<LastModified>${isoSeconds(entry.modifiedAtMs)}</LastModified>${owner(entry.owner)}`;
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
