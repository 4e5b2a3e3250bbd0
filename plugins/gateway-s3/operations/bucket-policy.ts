/** Bucket policies and the public access block. The policy language itself is the auth plugin's. */
import type { BucketInfo, Json } from '../../../core/contracts/index.ts';
import { s3Error } from '../errors.ts';
import type { S3Operation, S3Services } from '../operation.ts';
import { isPublicPolicy } from '../policy-status.ts';
import { publicAccessBlockOf, readPublicAccessBlock, writePublicAccessBlock } from '../public-access.ts';
import { NO_CONTENT, clearSetting, readSetting, writeSetting, xmlResponse } from '../setting-operation.ts';
import { S3_NAMESPACE, element, xmlDocument } from '../xml.ts';

/** AWS: 20 KB. */
const MAX_POLICY_BYTES = 20_480;

function policyOf({ name, settings }: BucketInfo): Json {
  const policy = settings.policy ?? null;
  if (policy === null) throw s3Error('NoSuchBucketPolicy', undefined, { fields: { BucketName: name } });
  return policy;
}

/** GET /bucket?policy */
export const getBucketPolicy: S3Operation = readSetting('GetBucketPolicy', 's3:GetBucketPolicy', (bucket) => ({
  status: 200,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(policyOf(bucket)),
}));

function readPolicy(text: string, bucket: BucketInfo, { auth }: S3Services): Json {
  if (Buffer.byteLength(text) > MAX_POLICY_BYTES) {
    throw s3Error('MalformedPolicy', `Bucket policies are limited to ${MAX_POLICY_BYTES} bytes.`);
  }
  const policy = parseJson(text);
  auth.validatePolicy(policy, bucket.name);
  if (publicAccessBlockOf(bucket)?.blockPublicPolicy === true && isPublicPolicy(policy)) {
    throw s3Error(
      'AccessDenied',
      'The policy is public, and BlockPublicPolicy of this bucket refuses public policies.',
    );
  }
  return policy;
}

function parseJson(text: string): Json {
  const message = 'Policies must be valid JSON and the first byte must be ‘{’';
  if (!text.startsWith('{')) throw s3Error('MalformedPolicy', message);
  try {
    return JSON.parse(text) as Json;
  } catch (cause) {
    throw s3Error('MalformedPolicy', message, { cause });
  }
}

/** PUT /bucket?policy */
export const putBucketPolicy: S3Operation = writeSetting(
  'PutBucketPolicy',
  's3:PutBucketPolicy',
  'policy',
  readPolicy,
  NO_CONTENT,
);

/** DELETE /bucket?policy */
export const deleteBucketPolicy: S3Operation = clearSetting('DeleteBucketPolicy', 's3:DeleteBucketPolicy', 'policy');

/** GET /bucket?policyStatus */
export const getBucketPolicyStatus: S3Operation = readSetting(
  'GetBucketPolicyStatus',
  's3:GetBucketPolicyStatus',
  (bucket) => {
    const content = element('IsPublic', isPublicPolicy(policyOf(bucket)));
    return xmlResponse(xmlDocument('PolicyStatus', S3_NAMESPACE, content));
  },
);

/** GET /bucket?publicAccessBlock */
export const getPublicAccessBlock: S3Operation = readSetting(
  'GetPublicAccessBlock',
  's3:GetBucketPublicAccessBlock',
  (bucket) => {
    const block = publicAccessBlockOf(bucket);
    if (block === undefined) {
      throw s3Error('NoSuchPublicAccessBlockConfiguration', undefined, { fields: { BucketName: bucket.name } });
    }
    const content = writePublicAccessBlock(block);
    return xmlResponse(xmlDocument('PublicAccessBlockConfiguration', S3_NAMESPACE, content));
  },
);

/** PUT /bucket?publicAccessBlock */
export const putPublicAccessBlock: S3Operation = writeSetting(
  'PutPublicAccessBlock',
  's3:PutBucketPublicAccessBlock',
  'publicAccess',
  readPublicAccessBlock,
);

/** DELETE /bucket?publicAccessBlock */
export const deletePublicAccessBlock: S3Operation = clearSetting(
  'DeletePublicAccessBlock',
  's3:PutBucketPublicAccessBlock',
  'publicAccess',
);
