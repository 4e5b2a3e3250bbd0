/** DeleteObject. */
import { requireAllowed } from '../authorize.ts';
import { deleteCondition } from '../conditions.ts';
import type { S3Operation, S3Request, S3Services } from '../operation.ts';
import { objectRef } from '../target.ts';

/** Whether `x-amz-bypass-governance-retention` was sent; it needs a permission of its own. */
export async function bypassesGovernance(request: S3Request, services: S3Services): Promise<boolean> {
  if (request.header('x-amz-bypass-governance-retention')?.toLowerCase() !== 'true') return false;
  const bucket = await request.bucketInfo();
  requireAllowed(request, services, 's3:BypassGovernanceRetention', { bucket, key: request.key });
  return true;
}

/** DELETE /bucket/key */
export const deleteObject: S3Operation = {
  name: 'DeleteObject',
  action: 's3:DeleteObject',
  versionAction: 's3:DeleteObjectVersion',
  resource: 'object',
  async run(request, services) {
    const condition = deleteCondition(request);
    const bypassGovernance = await bypassesGovernance(request, services);
    const result = await services.objects.deleteObject({
      ...objectRef(request),
      owner: request.principal.userId,
      bypassGovernance,
      ...(condition === undefined ? undefined : { condition }),
    });
    const headers: Record<string, string> = {};
    if (result.marker) headers['x-amz-delete-marker'] = 'true';
    if (result.versionId !== undefined) headers['x-amz-version-id'] = result.versionId;
    if (result.causality !== undefined) headers['x-skerry-causality'] = result.causality;
    return { status: 204, headers };
  },
};
