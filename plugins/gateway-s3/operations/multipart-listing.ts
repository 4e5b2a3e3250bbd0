/** ListParts and ListMultipartUploads. */
import type { ListPage, PartInfo, UploadInfo } from '../../../core/contracts/index.ts';
import { checksumElements } from '../checksum-xml.ts';
import { commonPrefixRows, isoSeconds, ownerWriter, type OwnerWriter } from '../listing-page.ts';
import { PAGE_LIMIT, integerParameter, listingQuery, type ListingQuery } from '../listing-query.ts';
import type { S3Operation, S3Services } from '../operation.ts';
import { xmlResponse } from '../setting-operation.ts';
import { bucketOf } from '../target.ts';
import { uploadOf } from '../upload.ts';
import { S3_NAMESPACE, element, escapeXml, group, xmlDocument } from '../xml.ts';

interface Writers {
  readonly owner: OwnerWriter;
  readonly initiator: OwnerWriter;
}

function writersOf({ identities }: S3Services): Writers {
  return { owner: ownerWriter(identities), initiator: ownerWriter(identities, 'Initiator') };
}

/** What both listings say of an upload besides its key and id. */
function uploadFields(upload: UploadInfo, { owner, initiator }: Writers): string {
  return (
    initiator(upload.initiator) +
    owner(upload.owner) +
    element('StorageClass', upload.storageClass) +
    element('ChecksumAlgorithm', upload.checksumAlgorithm) +
    element('ChecksumType', upload.checksumType)
  );
}

/** GET /bucket/key?uploadId=... */
export const listParts: S3Operation = {
  name: 'ListParts',
  action: 's3:ListMultipartUploadParts',
  resource: 'object',
  async run(request, services) {
    const ref = uploadOf(request);
    const after = integerParameter(request.query, 'part-number-marker', 0);
    const limit = Math.min(integerParameter(request.query, 'max-parts', PAGE_LIMIT), PAGE_LIMIT);
    const found = await services.objects.listParts(ref, { after, limit });
    const truncated = found.truncated && limit > 0;
    const content =
      element('Bucket', ref.bucket) +
      element('Key', ref.key) +
      element('UploadId', ref.uploadId) +
      element('PartNumberMarker', after) +
      element('NextPartNumberMarker', found.parts.at(-1)?.number ?? after) +
      element('MaxParts', limit) +
      element('IsTruncated', truncated) +
      uploadFields(found.upload, writersOf(services)) +
      found.parts.map(partRow).join('');
    return xmlResponse(xmlDocument('ListPartsResult', S3_NAMESPACE, content));
  },
};

function partRow(part: PartInfo): string {
  return group(
    'Part',
    element('PartNumber', part.number) +
      element('LastModified', isoSeconds(part.modifiedAtMs)) +
      element('ETag', `"${part.etag}"`) +
      element('Size', part.size) +
      checksumElements(part.checksums),
  );
}

type UploadsPage = ListPage<UploadInfo> & { readonly nextUploadId?: string };
const NO_UPLOADS: UploadsPage = { entries: [], commonPrefixes: [], truncated: false };

/** GET /bucket?uploads */
export const listMultipartUploads: S3Operation = {
  name: 'ListMultipartUploads',
  action: 's3:ListBucketMultipartUploads',
  resource: 'bucket',
  async run(request, services) {
    const bucket = bucketOf(request);
    const listing = listingQuery(request.query, 'max-uploads');
    const keyMarker = request.query.get('key-marker') ?? '';
    // S3 ignores the upload marker when there is no key marker.
    const idMarker = keyMarker === '' ? '' : (request.query.get('upload-id-marker') ?? '');
    await request.bucketInfo();
    const input = {
      ...listing.input(bucket, keyMarker),
      ...(idMarker === '' ? {} : { afterUploadId: idMarker }),
    };
    const page = listing.limit === 0 ? NO_UPLOADS : await services.objects.listUploads(input);
    const content =
      element('Bucket', bucket) +
      listing.named('KeyMarker', keyMarker) +
      element('UploadIdMarker', idMarker) +
      listing.named('NextKeyMarker', page.next) +
      element('NextUploadIdMarker', page.nextUploadId) +
      listing.named('Prefix', listing.prefix) +
      listing.named('Delimiter', listing.delimiter) +
      element('EncodingType', listing.urlEncoded ? 'url' : undefined) +
      element('MaxUploads', listing.limit) +
      element('IsTruncated', page.truncated) +
      uploadRows(page.entries, listing, writersOf(services)) +
      commonPrefixRows(page.commonPrefixes, listing);
    return xmlResponse(xmlDocument('ListMultipartUploadsResult', S3_NAMESPACE, content));
  },
};

function uploadRows(uploads: readonly UploadInfo[], listing: ListingQuery, writers: Writers): string {
  let rows = '';
  for (const upload of uploads) {
    rows +=
      `<Upload>${listing.named('Key', upload.key)}<UploadId>${escapeXml(upload.uploadId)}</UploadId>` +
      `${uploadFields(upload, writers)}<Initiated>${isoSeconds(upload.initiatedAtMs)}</Initiated></Upload>`;
  }
  return rows;
}
