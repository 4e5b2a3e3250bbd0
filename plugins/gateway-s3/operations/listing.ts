/** ListObjects (V1), ListObjectsV2 and ListObjectVersions. The engine pages exactly; here are only the names and the XML. */
import type { ListPage } from '../../../core/contracts/index.ts';
import { invalidArgument } from '../errors.ts';
import { commonPrefixRows, objectRows, ownerWriter, versionRows } from '../listing-page.ts';
import { afterOfToken, continuationToken, listingQuery, type ListingQuery } from '../listing-query.ts';
import type { S3Operation, S3Request, S3Response, S3Services } from '../operation.ts';
import { bucketOf } from '../target.ts';
import { S3_NAMESPACE, element, xmlDocument } from '../xml.ts';

const EMPTY: ListPage<never> = { entries: [], commonPrefixes: [], truncated: false };

/** What every listing begins with. */
function headOf(bucket: string, listing: ListingQuery): string {
  return (
    element('Name', bucket) +
    listing.named('Prefix', listing.prefix) +
    element('MaxKeys', listing.limit) +
    listing.named('Delimiter', listing.delimiter) +
    element('EncodingType', listing.urlEncoded ? 'url' : undefined)
  );
}

function answer(root: string, content: string, services: S3Services): S3Response {
  return {
    status: 200,
    headers: { 'content-type': 'application/xml', 'x-amz-bucket-region': services.options.region },
    body: xmlDocument(root, S3_NAMESPACE, content),
  };
}

/** GET /bucket */
export const listObjects: S3Operation = {
  name: 'ListObjects',
  action: 's3:ListBucket',
  resource: 'bucket',
  async run(request, services) {
    const bucket = bucketOf(request);
    const listing = listingQuery(request.query, 'max-keys');
    const marker = request.query.get('marker') ?? '';
    const page = await pageOf(request, listing, () => services.objects.listObjects(listing.input(bucket, marker)));
    // V1 names the next marker only where the client cannot know it: with a delimiter. Else it is the last key.
    const next = listing.delimiter === undefined ? undefined : page.next;
    const content =
      headOf(bucket, listing) +
      listing.named('Marker', marker) +
      element('IsTruncated', page.truncated) +
      listing.named('NextMarker', next) +
      objectRows(page.entries, listing, ownerWriter(services.identities)) +
      commonPrefixRows(page.commonPrefixes, listing);
    return answer('ListBucketResult', content, services);
  },
};

/** No row asked for: the bucket must be there, and nothing is ever truncated. */
async function pageOf<P extends ListPage<unknown>>(
  request: S3Request,
  listing: ListingQuery,
  read: () => Promise<P>,
): Promise<P | typeof EMPTY> {
  if (listing.limit > 0) return read();
  await request.bucketInfo();
  return EMPTY;
}

/** GET /bucket?list-type=2 */
export const listObjectsV2: S3Operation = {
  name: 'ListObjectsV2',
  action: 's3:ListBucket',
  resource: 'bucket',
  async run(request, services) {
    const bucket = bucketOf(request);
    const listing = listingQuery(request.query, 'max-keys');
    const token = request.query.get('continuation-token');
    const startAfter = request.query.get('start-after');
    const after = token === undefined || token === '' ? startAfter : afterOfToken(token);
    const page = await pageOf(request, listing, () => services.objects.listObjects(listing.input(bucket, after)));
    const owner = request.query.get('fetch-owner') === 'true' ? ownerWriter(services.identities) : undefined;
    const content =
      headOf(bucket, listing) +
      listing.named('StartAfter', startAfter) +
      element('ContinuationToken', token) +
      element('NextContinuationToken', page.next === undefined ? undefined : continuationToken(page.next)) +
      element('KeyCount', page.entries.length + page.commonPrefixes.length) +
      element('IsTruncated', page.truncated) +
      objectRows(page.entries, listing, owner) +
      commonPrefixRows(page.commonPrefixes, listing);
    return answer('ListBucketResult', content, services);
  },
};

/** GET /bucket?versions */
export const listObjectVersions: S3Operation = {
  name: 'ListObjectVersions',
  action: 's3:ListBucketVersions',
  resource: 'bucket',
  async run(request, services) {
    const bucket = bucketOf(request);
    const listing = listingQuery(request.query, 'max-keys');
    const keyMarker = request.query.get('key-marker') ?? '';
    const versionMarker = request.query.get('version-id-marker') ?? '';
    if (versionMarker !== '' && keyMarker === '') {
      const message = 'A version-id marker cannot be specified without a key marker.';
      throw invalidArgument('version-id-marker', versionMarker, message);
    }
    const input = {
      ...listing.input(bucket, keyMarker),
      ...(versionMarker === '' ? {} : { afterVersionId: versionMarker }),
    };
    const page = await pageOf(request, listing, () => services.objects.listVersions(input));
    const nextVersionId = 'nextVersionId' in page ? page.nextVersionId : undefined;
    const content =
      headOf(bucket, listing) +
      listing.named('KeyMarker', keyMarker) +
      element('VersionIdMarker', versionMarker) +
      element('IsTruncated', page.truncated) +
      listing.named('NextKeyMarker', page.next) +
      element('NextVersionIdMarker', nextVersionId) +
      versionRows(page.entries, listing, ownerWriter(services.identities)) +
      commonPrefixRows(page.commonPrefixes, listing);
    return answer('ListVersionsResult', content, services);
  },
};
