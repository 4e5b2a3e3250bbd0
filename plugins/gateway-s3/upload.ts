/** Names of a multipart upload and of its parts, as a request gives them. */
import type { ChecksumAlgorithm, ObjectChecksum, UploadRef } from '../../core/contracts/index.ts';
import { checksumAlgorithm } from './body.ts';
import { invalidArgument, s3Error } from './errors.ts';
import type { S3Request } from './operation.ts';
import { bucketOf, keyOf } from './target.ts';

/** AWS: part numbers are 1 to 10,000. */
export const MAX_PARTS = 10_000;

/** All three always go together: an id of another bucket or key is NoSuchUpload. */
export function uploadOf(request: S3Request): UploadRef {
  const uploadId = request.query.get('uploadId') ?? '';
  if (uploadId === '') throw invalidArgument('uploadId', uploadId, 'This operation does not accept an empty uploadId.');
  return { bucket: bucketOf(request), key: keyOf(request), uploadId };
}

export function partNumberOf(request: S3Request): number {
  const text = request.query.get('partNumber') ?? '';
  const number = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (number >= 1 && number <= MAX_PARTS) return number;
  const message = `Part number must be an integer between 1 and ${MAX_PARTS}, inclusive`;
  throw invalidArgument('partNumber', text, message);
}

export interface UploadChecksum {
  readonly checksumAlgorithm?: ChecksumAlgorithm;
  readonly checksumType?: ObjectChecksum['type'];
}

/** AWS: CRC-64/NVME is of the whole object only, the SHAs of the parts only, and the other CRCs either way. */
const WHOLE_ONLY: ReadonlySet<ChecksumAlgorithm> = new Set(['CRC64NVME']);
const COMPOSITE_ONLY: ReadonlySet<ChecksumAlgorithm> = new Set(['SHA1', 'SHA256', 'MD5']);

/** `x-amz-checksum-algorithm` and `-type` of a CreateMultipartUpload. */
export function uploadChecksum(request: Pick<S3Request, 'header'>): UploadChecksum {
  const named = request.header('x-amz-checksum-algorithm');
  const type = checksumType(request);
  if (named === undefined) {
    if (type === undefined) return {};
    const message = 'The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.';
    throw s3Error('InvalidRequest', message);
  }
  const algorithm = checksumAlgorithm(named, 'x-amz-checksum-algorithm');
  const wrong = type === 'COMPOSITE' ? WHOLE_ONLY : COMPOSITE_ONLY;
  if (type !== undefined && wrong.has(algorithm)) {
    const message = `The ${type} checksum type cannot be used with the ${algorithm.toLowerCase()} checksum algorithm.`;
    throw s3Error('InvalidRequest', message);
  }
  const usual = WHOLE_ONLY.has(algorithm) ? 'FULL_OBJECT' : 'COMPOSITE';
  return { checksumAlgorithm: algorithm, checksumType: type ?? usual };
}

/** `x-amz-checksum-type`; `undefined` when absent. */
export function checksumType(request: Pick<S3Request, 'header'>): ObjectChecksum['type'] | undefined {
  const type = request.header('x-amz-checksum-type');
  if (type === undefined || type === 'FULL_OBJECT' || type === 'COMPOSITE') return type;
  throw s3Error('InvalidRequest', 'Value for x-amz-checksum-type header is invalid.');
}
