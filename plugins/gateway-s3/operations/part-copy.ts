/** PUT /bucket/key?partNumber=...&uploadId=... with x-amz-copy-source: UploadPartCopy. */
import type { VersionInfo } from '../../../core/contracts/index.ts';
import { checksumElements } from '../checksum-xml.ts';
import { MAX_COPY_BYTES, allowedCopySource, checkCopySource, copyFailure } from '../copy-source.ts';
import { invalidArgument } from '../errors.ts';
import { isoSeconds } from '../listing-page.ts';
import { refuseUnsupported } from '../object-headers.ts';
import type { S3Operation, S3Request } from '../operation.ts';
import { xmlResponse } from '../setting-operation.ts';
import { partNumberOf, uploadOf } from '../upload.ts';
import { S3_NAMESPACE, element, xmlDocument } from '../xml.ts';

const RANGE_HEADER = 'x-amz-copy-source-range';

interface InclusiveRange {
  readonly start: number;
  readonly end: number;
}

export const uploadPartCopy: S3Operation = {
  name: 'UploadPartCopy',
  action: 's3:PutObject',
  resource: 'object',
  async run(request, services) {
    const upload = uploadOf(request);
    const number = partNumberOf(request);
    refuseUnsupported(request);
    const range = copyRange(request);
    const source = await allowedCopySource(request, services);
    const input = {
      ...upload,
      number,
      source,
      sourceCheck: (version: VersionInfo) => {
        checkCopySource(request, version, range === undefined ? undefined : Infinity);
        checkRange(request, version, range);
      },
      ...(range === undefined ? {} : { range }),
    };
    const part = await services.objects.copyPart(input).catch(async (error: unknown) => {
      throw await copyFailure(error, request, services, source);
    });
    const content =
      element('LastModified', isoSeconds(part.modifiedAtMs)) +
      element('ETag', `"${part.etag}"`) +
      checksumElements(part.checksums);
    const answer = xmlResponse(xmlDocument('CopyPartResult', S3_NAMESPACE, content));
    const { sourceVersionId } = part;
    if (sourceVersionId === undefined) return answer;
    return { ...answer, headers: { ...answer.headers, 'x-amz-copy-source-version-id': sourceVersionId } };
  },
};

/** Strict, unlike Range: `bytes=first-last`, both given. */
function copyRange(request: S3Request): InclusiveRange | undefined {
  const text = request.header(RANGE_HEADER);
  if (text === undefined) return undefined;
  const [, first, last] = /^bytes=(\d{1,15})-(\d{1,15})$/.exec(text.trim()) ?? [];
  if (first !== undefined && last !== undefined && Number(first) <= Number(last)) {
    return { start: Number(first), end: Number(last) };
  }
  const message =
    'The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based ' +
    'offsets of the first and last bytes to copy';
  throw invalidArgument(RANGE_HEADER, text, message);
}

function checkRange(request: S3Request, { content }: VersionInfo, range: InclusiveRange | undefined): void {
  if (range === undefined || content === undefined) return;
  const text = request.header(RANGE_HEADER) ?? '';
  if (range.end >= content.size) {
    const message = `Range specified is not valid for source object of size: ${content.size}`;
    throw invalidArgument(RANGE_HEADER, text, message);
  }
  if (range.end - range.start + 1 > MAX_COPY_BYTES) {
    throw invalidArgument(
      RANGE_HEADER,
      text,
      `The specified copy range is larger than the largest part: ${MAX_COPY_BYTES}`,
    );
  }
}
