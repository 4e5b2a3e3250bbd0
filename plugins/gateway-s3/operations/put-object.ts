/** PutObject. */
import { requireAllowed } from '../authorize.ts';
import { writeCondition } from '../conditions.ts';
import { s3Error } from '../errors.ts';
import { lockSettings, requireLockPermissions } from '../object-lock.ts';
import { writeIntent, writeResultHeaders } from '../object-headers.ts';
import type { S3Operation, S3Request } from '../operation.ts';
import { bucketOf, keyOf } from '../target.ts';

/** AWS's limit for one put and for one part. */
export const MAX_SINGLE_PUT_BYTES = 5 * 1024 ** 3;

/** Declared length of an upload's body. Throws MissingContentLength, EntityTooLarge. */
export function requireLength(request: S3Request): number {
  const length = request.contentLength;
  if (length === undefined) throw s3Error('MissingContentLength');
  if (length > MAX_SINGLE_PUT_BYTES) {
    const fields = { ProposedSize: String(length), MaxSizeAllowed: String(MAX_SINGLE_PUT_BYTES) };
    throw s3Error('EntityTooLarge', undefined, { fields });
  }
  return length;
}

/** PUT /bucket/key */
export const putObject: S3Operation = {
  name: 'PutObject',
  action: 's3:PutObject',
  resource: 'object',
  async run(request, services) {
    requireLength(request);
    const { settings: tags, ...intent } = await writeIntent(request, services);
    const condition = writeCondition(request);
    const bucket = await request.bucketInfo();
    const lock = lockSettings(request, bucket, services.clock.wallMs());
    if (lock !== undefined)
      requireLockPermissions(request, (action) =>
        requireAllowed(request, services, action, { bucket, key: request.key }),
      );
    const result = await services.objects.putObject({
      bucket: bucketOf(request),
      key: keyOf(request),
      owner: request.principal.userId,
      ...intent,
      ...(tags === undefined && lock === undefined ? undefined : { settings: { ...tags, ...lock } }),
      ...(condition === undefined ? undefined : { condition }),
      body: await request.body(),
      signal: request.signal,
    });
    return { status: 200, headers: writeResultHeaders(result) };
  },
};
