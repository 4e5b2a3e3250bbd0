/** Sub-resources of an object that are settings of its version: tags, ACL, retention, legal hold. */
import type { Json, VersionInfo, VersionSettingName, Versioning } from '../../../core/contracts/index.ts';
import { checkAclDocument, checkAclHeaders, writeAcl } from '../acl.ts';
import { s3Error } from '../errors.ts';
import { bypassesGovernance } from './delete-object.ts';
import {
  checkRetentionChange,
  holdOf,
  readLegalHold,
  readRetention,
  requireLockBucket,
  retentionOf,
  toJson,
  writeLegalHold,
  writeRetention,
} from '../object-lock.ts';
import type { S3Operation, S3Request, S3Response, S3Services } from '../operation.ts';
import { MAX_OBJECT_TAGS, readTagging, writeTagging, type Tags } from '../tags.ts';
import { objectRef } from '../target.ts';

const MAX_DOCUMENT_BYTES = 65_536;

function versionHeaders(info: VersionInfo, versioning: Versioning): Record<string, string> {
  return versioning === 'Off' ? {} : { 'x-amz-version-id': info.versionId };
}

async function read(
  request: S3Request,
  services: S3Services,
  render: (info: VersionInfo) => string,
): Promise<S3Response> {
  const { info, versioning } = await services.objects.headObject(objectRef(request));
  const headers = { ...versionHeaders(info, versioning), 'content-type': 'application/xml' };
  return { status: 200, headers, body: render(info) };
}

async function write(
  request: S3Request,
  services: S3Services,
  name: VersionSettingName,
  value: Json,
  status = 200,
): Promise<S3Response> {
  const bucket = await request.bucketInfo();
  const info = await services.objects.putVersionSetting(objectRef(request), name, value);
  return { status, headers: versionHeaders(info, bucket.versioning) };
}

/** GET /bucket/key?tagging */
export const getObjectTagging: S3Operation = {
  name: 'GetObjectTagging',
  action: 's3:GetObjectTagging',
  versionAction: 's3:GetObjectVersionTagging',
  resource: 'object',
  run: (request, services) => read(request, services, (info) => writeTagging((info.settings.tags ?? {}) as Tags)),
};

/** PUT /bucket/key?tagging */
export const putObjectTagging: S3Operation = {
  name: 'PutObjectTagging',
  action: 's3:PutObjectTagging',
  versionAction: 's3:PutObjectVersionTagging',
  resource: 'object',
  async run(request, services) {
    const tags = readTagging(await request.text(MAX_DOCUMENT_BYTES), MAX_OBJECT_TAGS);
    return write(request, services, 'tags', Object.keys(tags).length === 0 ? null : tags);
  },
};

/** DELETE /bucket/key?tagging */
export const deleteObjectTagging: S3Operation = {
  name: 'DeleteObjectTagging',
  action: 's3:DeleteObjectTagging',
  versionAction: 's3:DeleteObjectVersionTagging',
  resource: 'object',
  run: (request, services) => write(request, services, 'tags', null, 204),
};

/** GET /bucket/key?acl */
export const getObjectAcl: S3Operation = {
  name: 'GetObjectAcl',
  action: 's3:GetObjectAcl',
  versionAction: 's3:GetObjectVersionAcl',
  resource: 'object',
  run: (request, services) => read(request, services, (info) => writeAcl(info.owner, services.identities)),
};

/** PUT /bucket/key?acl: only what holds already can be said, so nothing is stored. */
export const putObjectAcl: S3Operation = {
  name: 'PutObjectAcl',
  action: 's3:PutObjectAcl',
  versionAction: 's3:PutObjectVersionAcl',
  resource: 'object',
  async run(request, services) {
    const { info, versioning } = await services.objects.headObject(objectRef(request));
    const inHeaders = checkAclHeaders(request, info.owner);
    const text = await request.text(MAX_DOCUMENT_BYTES);
    if (text.trim() !== '') {
      if (inHeaders) throw s3Error('UnexpectedContent');
      checkAclDocument(text, info.owner);
    } else if (!inHeaders) {
      throw s3Error('MissingSecurityHeader', 'Your request was missing a required header', {
        fields: { MissingHeaderName: 'x-amz-acl' },
      });
    }
    return { status: 200, headers: versionHeaders(info, versioning) };
  },
};

/** GET /bucket/key?retention */
export const getObjectRetention: S3Operation = {
  name: 'GetObjectRetention',
  action: 's3:GetObjectRetention',
  resource: 'object',
  async run(request, services) {
    requireLockBucket(await request.bucketInfo());
    return read(request, services, ({ settings }) => {
      const retention = retentionOf(settings);
      if (retention === undefined) throw s3Error('NoSuchObjectLockConfiguration');
      return writeRetention(retention);
    });
  },
};

/** PUT /bucket/key?retention */
export const putObjectRetention: S3Operation = {
  name: 'PutObjectRetention',
  action: 's3:PutObjectRetention',
  resource: 'object',
  async run(request, services) {
    requireLockBucket(await request.bucketInfo());
    const nowMs = services.clock.wallMs();
    const after = readRetention(await request.text(MAX_DOCUMENT_BYTES), nowMs);
    const bypass = await bypassesGovernance(request, services);
    const { info } = await services.objects.headObject(objectRef(request));
    checkRetentionChange(retentionOf(info.settings), after, nowMs, bypass);
    return write(request, services, 'retention', after === undefined ? null : toJson(after));
  },
};

/** GET /bucket/key?legal-hold */
export const getObjectLegalHold: S3Operation = {
  name: 'GetObjectLegalHold',
  action: 's3:GetObjectLegalHold',
  resource: 'object',
  async run(request, services) {
    requireLockBucket(await request.bucketInfo());
    return read(request, services, ({ settings }) => {
      const hold = holdOf(settings);
      if (hold === undefined) throw s3Error('NoSuchObjectLockConfiguration');
      return writeLegalHold(hold);
    });
  },
};

/** PUT /bucket/key?legal-hold */
export const putObjectLegalHold: S3Operation = {
  name: 'PutObjectLegalHold',
  action: 's3:PutObjectLegalHold',
  resource: 'object',
  async run(request, services) {
    requireLockBucket(await request.bucketInfo());
    return write(request, services, 'legalHold', readLegalHold(await request.text(MAX_DOCUMENT_BYTES)));
  },
};
