/** ListConflicts: Skerry's own listing of the keys whose writers had not seen each other. */
import type { ConflictedKey, ConflictSide } from '../../../core/contracts/index.ts';
import { invalidArgument } from '../errors.ts';
import { isoSeconds, ownerWriter, type OwnerWriter } from '../listing-page.ts';
import { listingQuery, type ListingQuery } from '../listing-query.ts';
import type { S3Operation } from '../operation.ts';
import { bucketOf } from '../target.ts';
import { S3_NAMESPACE, element, group, xmlDocument } from '../xml.ts';

const KINDS = { object: 'Object', marker: 'DeleteMarker', removal: 'Removal' } as const;

/** GET /bucket?x-skerry-conflicts, with `prefix`, `key-marker`, `max-keys` (1 to 1,000) and `encoding-type`. */
export const listConflicts: S3Operation = {
  name: 'ListConflicts',
  action: 's3:ListBucketVersions',
  resource: 'bucket',
  async run(request, services) {
    const { query } = request;
    const name = bucketOf(request);
    const listing = listingQuery(query, 'max-keys');
    if (listing.limit === 0) throw invalidArgument('max-keys', '0', 'max-keys must be 1 to 1000 here');
    const marker = query.get('key-marker') ?? '';
    const { delimiter: _, ...input } = listing.input(name, marker);
    const page = await services.objects.listConflicts(input);
    const owner = ownerWriter(services.identities);
    const content =
      element('Name', name) +
      listing.named('Prefix', listing.prefix) +
      listing.named('KeyMarker', marker) +
      element('MaxKeys', listing.limit) +
      element('EncodingType', listing.urlEncoded ? 'url' : undefined) +
      element('IsTruncated', page.truncated) +
      listing.named('NextKeyMarker', page.next) +
      page.entries.map((entry) => conflictRow(entry, listing, owner)).join('');
    return {
      status: 200,
      headers: { 'content-type': 'application/xml' },
      body: xmlDocument('ListConflictsResult', S3_NAMESPACE, content),
    };
  },
};

function conflictRow(
  { key, winner, losers, shownAs }: ConflictedKey,
  listing: ListingQuery,
  owner: OwnerWriter,
): string {
  const rows = losers.map((loser) => side('Loser', loser, owner)).join('');
  const shown = element('LosersShownAs', shownAs === 'sibling' ? 'Sibling' : 'Conflict');
  return group('Conflict', listing.named('Key', key) + shown + side('Winner', winner, owner) + rows);
}

function side(tag: 'Winner' | 'Loser', given: ConflictSide, owner: OwnerWriter): string {
  const { versionId, site, kind, writtenAtMs, nullVersion, etag, size, pending } = given;
  return group(
    tag,
    element('VersionId', versionId) +
      element('Site', site) +
      element('Kind', KINDS[kind]) +
      element('LastModified', isoSeconds(writtenAtMs)) +
      element('IsNullVersion', nullVersion) +
      element('ETag', etag === undefined ? undefined : `"${etag}"`) +
      element('Size', size) +
      element('BytesPending', pending) +
      (given.owner === undefined ? '' : owner(given.owner)),
  );
}
