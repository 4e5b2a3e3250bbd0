/** CreateMultipartUpload, UploadPart, AbortMultipartUpload. Copying parts: part-copy.ts; completing: complete-multipart.ts. */
import { checksumHeaders, refuseUnsupported, writeIntent } from '../object-headers.ts';
import type { S3Operation } from '../operation.ts';
import { NO_CONTENT, xmlResponse } from '../setting-operation.ts';
import { bucketOf, keyOf } from '../target.ts';
import { partNumberOf, uploadChecksum, uploadOf } from '../upload.ts';
import { S3_NAMESPACE, element, xmlDocument } from '../xml.ts';
import { requireLength } from './put-object.ts';

/** POST /bucket/key?uploads */
export const createMultipartUpload: S3Operation = {
  name: 'CreateMultipartUpload',
  action: 's3:PutObject',
  resource: 'object',
  async run(request, services) {
    const checksum = uploadChecksum(request);
    const intent = await writeIntent(request, services);
    const { userId } = request.principal;
    const bucket = bucketOf(request);
    const key = keyOf(request);
    const { uploadId } = await services.objects.createUpload({
      ...intent,
      ...checksum,
      bucket,
      key,
      owner: userId,
      initiator: userId,
    });
    const { checksumAlgorithm, checksumType } = checksum;
    const content = element('Bucket', bucket) + element('Key', key) + element('UploadId', uploadId);
    const answer = xmlResponse(xmlDocument('InitiateMultipartUploadResult', S3_NAMESPACE, content));
    const headers = {
      ...answer.headers,
      ...(checksumAlgorithm === undefined ? {} : { 'x-amz-checksum-algorithm': checksumAlgorithm }),
      ...(checksumType === undefined ? {} : { 'x-amz-checksum-type': checksumType }),
    };
    return { ...answer, headers };
  },
};

/** PUT /bucket/key?partNumber=...&uploadId=... */
export const uploadPart: S3Operation = {
  name: 'UploadPart',
  action: 's3:PutObject',
  resource: 'object',
  async run(request, { objects }) {
    const upload = uploadOf(request);
    const number = partNumberOf(request);
    refuseUnsupported(request);
    requireLength(request);
    const body = await request.body();
    const part = await objects.putPart({ ...upload, number, body, signal: request.signal });
    return {
      status: 200,
      headers: { ...checksumHeaders(part.checksums), etag: `"${part.etag}"`, 'content-length': '0' },
    };
  },
};

/** DELETE /bucket/key?uploadId=... */
export const abortMultipartUpload: S3Operation = {
  name: 'AbortMultipartUpload',
  action: 's3:AbortMultipartUpload',
  resource: 'object',
  async run(request, { objects }) {
    await objects.abortUpload(uploadOf(request));
    return NO_CONTENT;
  },
};
