/** Bucket settings that this site keeps and acts on: versioning, CORS, tagging, ACL, ownership. Policies: bucket-policy.ts. */
import type { BucketInfo } from '../../../core/contracts/index.ts';
import { checkAclDocument, checkAclHeaders, writeAcl } from '../acl.ts';
import { readCorsRules, storedCorsRules, writeCorsRules } from '../cors-rules.ts';
import { s3Error } from '../errors.ts';
import type { S3Operation } from '../operation.ts';
import { readOwnership } from '../ownership.ts';
import {
  MAX_SETTING_BYTES,
  NO_CONTENT,
  OK,
  clearSetting,
  readSetting,
  writeSetting,
  xmlResponse,
} from '../setting-operation.ts';
import { MAX_BUCKET_TAGS, readTagging, writeTagging, type Tags } from '../tags.ts';
import {
  S3_NAMESPACE,
  child,
  childText,
  element,
  group,
  parseXml,
  parseXmlRoot,
  requiredText,
  xmlDocument,
} from '../xml.ts';

/** GET /bucket?versioning */
export const getBucketVersioning: S3Operation = readSetting(
  'GetBucketVersioning',
  's3:GetBucketVersioning',
  ({ versioning }) => {
    const status = versioning === 'Off' ? undefined : versioning;
    return xmlResponse(xmlDocument('VersioningConfiguration', S3_NAMESPACE, element('Status', status)));
  },
);

function readVersioning(text: string, bucket: BucketInfo): 'Enabled' | 'Suspended' {
  const root = parseXmlRoot(text, 'VersioningConfiguration');
  const status = childText(root, 'Status')?.trim();
  const mfaDelete = childText(root, 'MfaDelete')?.trim() ?? 'Disabled';
  if (mfaDelete === 'Enabled') throw s3Error('NotImplemented', 'MFA delete is not supported.');
  if (mfaDelete !== 'Disabled') throw s3Error('MalformedXML');
  if (status === undefined) {
    throw s3Error('IllegalVersioningConfigurationException', 'The Versioning element must be specified');
  }
  if (status !== 'Enabled' && status !== 'Suspended') throw s3Error('MalformedXML');
  if (status === 'Suspended' && bucket.objectLock) {
    const message =
      'An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.';
    throw s3Error('InvalidBucketState', message);
  }
  return status;
}

/** PUT /bucket?versioning */
export const putBucketVersioning: S3Operation = writeSetting(
  'PutBucketVersioning',
  's3:PutBucketVersioning',
  'versioning',
  readVersioning,
);

/** GET /bucket?cors */
export const getBucketCors: S3Operation = readSetting('GetBucketCors', 's3:GetBucketCORS', ({ name, settings }) => {
  const rules = storedCorsRules(settings.cors);
  if (rules.length === 0) throw s3Error('NoSuchCORSConfiguration', undefined, { fields: { BucketName: name } });
  return xmlResponse(xmlDocument('CORSConfiguration', S3_NAMESPACE, writeCorsRules(rules)));
});

/** PUT /bucket?cors */
export const putBucketCors: S3Operation = writeSetting('PutBucketCors', 's3:PutBucketCORS', 'cors', (text) =>
  readCorsRules(parseXml(text)),
);

/** DELETE /bucket?cors */
export const deleteBucketCors: S3Operation = clearSetting('DeleteBucketCors', 's3:PutBucketCORS', 'cors');

/** GET /bucket?tagging */
export const getBucketTagging: S3Operation = readSetting(
  'GetBucketTagging',
  's3:GetBucketTagging',
  ({ name, settings }) => {
    const tags = settings.tagging ?? null;
    if (tags === null) throw s3Error('NoSuchTagSet', undefined, { fields: { BucketName: name } });
    return xmlResponse(writeTagging(tags as Tags));
  },
);

/** PUT /bucket?tagging */
export const putBucketTagging: S3Operation = writeSetting(
  'PutBucketTagging',
  's3:PutBucketTagging',
  'tagging',
  (text) => readTagging(text, MAX_BUCKET_TAGS),
  NO_CONTENT,
);

/** DELETE /bucket?tagging */
export const deleteBucketTagging: S3Operation = clearSetting('DeleteBucketTagging', 's3:PutBucketTagging', 'tagging');

/** GET /bucket?acl */
export const getBucketAcl: S3Operation = readSetting('GetBucketAcl', 's3:GetBucketAcl', ({ owner }, { identities }) =>
  xmlResponse(writeAcl(owner, identities)),
);

/** PUT /bucket?acl: takes what already holds and refuses the rest, so there is nothing to store. */
export const putBucketAcl: S3Operation = {
  name: 'PutBucketAcl',
  action: 's3:PutBucketAcl',
  resource: 'bucket',
  async run(request) {
    const text = await request.text(MAX_SETTING_BYTES);
    const { owner } = await request.bucketInfo();
    const inHeaders = checkAclHeaders(request, owner);
    if (inHeaders && text !== '') throw s3Error('UnexpectedContent');
    if (!inHeaders && text === '')
      throw s3Error('MissingSecurityHeader', 'Give an x-amz-acl header or an ACL document.');
    if (!inHeaders) checkAclDocument(text, owner);
    return OK;
  },
};

/** GET /bucket?ownershipControls */
export const getBucketOwnershipControls: S3Operation = readSetting(
  'GetBucketOwnershipControls',
  's3:GetBucketOwnershipControls',
  ({ name, settings }) => {
    const { ownership } = settings;
    if (typeof ownership !== 'string') {
      throw s3Error('OwnershipControlsNotFoundError', undefined, { fields: { BucketName: name } });
    }
    const content = group('Rule', element('ObjectOwnership', ownership));
    return xmlResponse(xmlDocument('OwnershipControls', S3_NAMESPACE, content));
  },
);

/** PUT /bucket?ownershipControls */
export const putBucketOwnershipControls: S3Operation = writeSetting(
  'PutBucketOwnershipControls',
  's3:PutBucketOwnershipControls',
  'ownership',
  (text) => {
    const root = parseXmlRoot(text, 'OwnershipControls');
    const rule = child(root, 'Rule');
    if (rule === undefined || root.children.length !== 1) throw s3Error('MalformedXML');
    return readOwnership(requiredText(rule, 'ObjectOwnership').trim());
  },
);

/** DELETE /bucket?ownershipControls */
export const deleteBucketOwnershipControls: S3Operation = clearSetting(
  'DeleteBucketOwnershipControls',
  's3:PutBucketOwnershipControls',
  'ownership',
);
