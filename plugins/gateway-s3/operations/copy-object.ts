/** CopyObject: metadata and tags copied or replaced, conditions on both ends, no bytes moved. */
import type { CopyObjectInput, ObjectRef, VersionSettings } from '../../../core/contracts/index.ts';
import { checkAclHeaders } from '../acl.ts';
import { requireAllowed } from '../authorize.ts';
import { checksumAlgorithm } from '../body.ts';
import { checksumElements } from '../checksum-xml.ts';
import { writeCondition } from '../conditions.ts';
import { allowedCopySource, checkCopySource, copyFailure } from '../copy-source.ts';
import { invalidArgument, s3Error } from '../errors.ts';
import { isoSeconds } from '../listing-page.ts';
import {
  refuseUnsupported,
  requestedStorageClass,
  standardHeaders,
  taggingSetting,
  userMetadata,
  writeResultHeaders,
} from '../object-headers.ts';
import { lockSettings, requireLockPermissions } from '../object-lock.ts';
import type { S3Operation, S3Request, S3Services } from '../operation.ts';
import { bucketOf, keyOf } from '../target.ts';
import { S3_NAMESPACE, element, xmlDocument } from '../xml.ts';

function directive(request: S3Request, name: string): 'COPY' | 'REPLACE' {
  const value = request.header(name) ?? 'COPY';
  if (value === 'COPY' || value === 'REPLACE') return value;
  throw invalidArgument(name, value, `Unknown ${name}.`);
}

/** A copy onto itself must change something; of an older version it restores that one. */
function refuseNullCopy(request: S3Request, source: ObjectRef, replaces: boolean): void {
  const same = source.bucket === request.bucket && source.key === request.key && source.versionId === undefined;
  const changes =
    replaces ||
    request.header('x-amz-storage-class') !== undefined ||
    request.header('x-amz-website-redirect-location') !== undefined ||
    request.header('x-amz-checksum-algorithm') !== undefined;
  if (!same || changes) return;
  const message =
    'This copy request is illegal because it is trying to copy an object to itself without changing the object’s metadata, storage class, ' +
    'website redirect location or encryption attributes.';
  throw s3Error('InvalidRequest', message);
}

async function newSettings(
  request: S3Request,
  services: S3Services,
  replacesTags: boolean,
): Promise<VersionSettings | undefined> {
  const bucket = await request.bucketInfo();
  const target = { bucket, key: request.key };
  const tags = replacesTags ? taggingSetting(request, services, target) : undefined;
  const lock = lockSettings(request, bucket, services.clock.wallMs());
  if (lock !== undefined)
    requireLockPermissions(request, (action) => requireAllowed(request, services, action, target));
  return tags === undefined && lock === undefined ? undefined : { ...tags, ...lock };
}

/** What the headers ask for, as the engine takes it. */
async function copyInput(request: S3Request, services: S3Services, source: ObjectRef): Promise<CopyObjectInput> {
  refuseUnsupported(request);
  checkAclHeaders(request, request.principal.userId);
  const replaces = directive(request, 'x-amz-metadata-directive') === 'REPLACE';
  const replacesTags = directive(request, 'x-amz-tagging-directive') === 'REPLACE';
  refuseNullCopy(request, source, replaces);
  const settings = await newSettings(request, services, replacesTags);
  const condition = writeCondition(request);
  const storageClass = requestedStorageClass(request);
  const algorithm = request.header('x-amz-checksum-algorithm');
  return {
    source,
    bucket: bucketOf(request),
    key: keyOf(request),
    owner: request.principal.userId,
    copyTags: !replacesTags,
    sourceCheck: (version) => checkCopySource(request, version),
    ...(replaces ? { replace: { headers: standardHeaders(request), metadata: userMetadata(request) } } : undefined),
    ...(storageClass === undefined ? undefined : { storageClass }),
    ...(settings === undefined ? undefined : { settings }),
    ...(condition === undefined ? undefined : { condition }),
    ...(algorithm === undefined ? undefined : { checksum: checksumAlgorithm(algorithm, 'x-amz-checksum-algorithm') }),
  };
}

/** PUT /bucket/key with x-amz-copy-source */
export const copyObject: S3Operation = {
  name: 'CopyObject',
  action: 's3:PutObject',
  resource: 'object',
  async run(request, services) {
    const source = await allowedCopySource(request, services);
    const input = await copyInput(request, services, source);
    const result = await services.objects.copyObject(input).catch(async (error: unknown) => {
      throw await copyFailure(error, request, services, source);
    });
    const content =
      element('LastModified', isoSeconds(result.modifiedAtMs)) +
      element('ETag', `"${result.etag}"`) +
      checksumElements(result.checksums) +
      element('ChecksumType', result.checksums[0]?.type);
    const { etag: _etag, ...headers } = writeResultHeaders(result);
    if (result.sourceVersionId !== undefined) headers['x-amz-copy-source-version-id'] = result.sourceVersionId;
    headers['content-type'] = 'application/xml';
    return { status: 200, headers, body: xmlDocument('CopyObjectResult', S3_NAMESPACE, content) };
  },
};
