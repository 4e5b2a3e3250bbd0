/**
 * Bucket settings of S3 that no part of this site acts on yet. Reading answers as AWS does for a bucket without them, clearing them
 * is done already, and setting them is refused with the reason: nothing is stored and then ignored.
 */
import type { BucketInfo } from '../../../core/contracts/index.ts';
import { s3Error, type S3ErrorCode } from '../errors.ts';
import type { S3Operation } from '../operation.ts';
import { MAX_SETTING_BYTES, NO_CONTENT, OK, readSetting, xmlResponse } from '../setting-operation.ts';
import { S3_NAMESPACE, childText, element, parseXmlRoot, xmlDocument, type XmlNode } from '../xml.ts';

function notConfigured(name: string, action: string, code: S3ErrorCode): S3Operation {
  return readSetting(name, action, (bucket) => {
    throw s3Error(code, undefined, { fields: { BucketName: bucket.name } });
  });
}

function defaultDocument(name: string, action: string, root: string, content = ''): S3Operation {
  return readSetting(name, action, () => xmlResponse(xmlDocument(root, S3_NAMESPACE, content)));
}

function nothingToClear(name: string, action: string): S3Operation {
  return readSetting(name, action, () => NO_CONTENT);
}

interface Refusal {
  readonly root: string;
  readonly reason: string;
  /** The document asks for what is the case anyway. */
  readonly holdsAlready?: (root: XmlNode, bucket: BucketInfo) => boolean;
}

function refused(name: string, action: string, { root, reason, holdsAlready }: Refusal): S3Operation {
  return {
    name,
    action,
    resource: 'bucket',
    async run(request) {
      const document = parseXmlRoot(await request.text(MAX_SETTING_BYTES), root);
      if (holdsAlready?.(document, await request.bucketInfo()) === true) return OK;
      throw s3Error('NotImplemented', `${name} is not supported: ${reason}`);
    },
  };
}

const isEmpty = (root: XmlNode): boolean => root.children.length === 0;

export const getBucketLifecycle: S3Operation = notConfigured(
  'GetBucketLifecycleConfiguration',
  's3:GetLifecycleConfiguration',
  'NoSuchLifecycleConfiguration',
);
export const putBucketLifecycle: S3Operation = refused(
  'PutBucketLifecycleConfiguration',
  's3:PutLifecycleConfiguration',
  { root: 'LifecycleConfiguration', reason: 'this site runs no lifecycle rules, so objects would never expire.' },
);
export const deleteBucketLifecycle: S3Operation = nothingToClear(
  'DeleteBucketLifecycle',
  's3:PutLifecycleConfiguration',
);

export const getBucketWebsite: S3Operation = notConfigured(
  'GetBucketWebsite',
  's3:GetBucketWebsite',
  'NoSuchWebsiteConfiguration',
);
export const putBucketWebsite: S3Operation = refused('PutBucketWebsite', 's3:PutBucketWebsite', {
  root: 'WebsiteConfiguration',
  reason: 'this site has no website endpoint.',
});
export const deleteBucketWebsite: S3Operation = nothingToClear('DeleteBucketWebsite', 's3:DeleteBucketWebsite');

export const getBucketReplication: S3Operation = notConfigured(
  'GetBucketReplication',
  's3:GetReplicationConfiguration',
  'ReplicationConfigurationNotFoundError',
);
export const putBucketReplication: S3Operation = refused('PutBucketReplication', 's3:PutReplicationConfiguration', {
  root: 'ReplicationConfiguration',
  reason: 'sites replicate whole, as their configuration files say, not by bucket.',
});
export const deleteBucketReplication: S3Operation = nothingToClear(
  'DeleteBucketReplication',
  's3:PutReplicationConfiguration',
);

export const getBucketEncryption: S3Operation = notConfigured(
  'GetBucketEncryption',
  's3:GetEncryptionConfiguration',
  'ServerSideEncryptionConfigurationNotFoundError',
);
export const putBucketEncryption: S3Operation = refused('PutBucketEncryption', 's3:PutEncryptionConfiguration', {
  root: 'ServerSideEncryptionConfiguration',
  reason: 'this site does not encrypt objects, so they would lie in the clear.',
});
export const deleteBucketEncryption: S3Operation = nothingToClear(
  'DeleteBucketEncryption',
  's3:PutEncryptionConfiguration',
);

export const getBucketLogging: S3Operation = defaultDocument(
  'GetBucketLogging',
  's3:GetBucketLogging',
  'BucketLoggingStatus',
);
export const putBucketLogging: S3Operation = refused('PutBucketLogging', 's3:PutBucketLogging', {
  root: 'BucketLoggingStatus',
  reason: 'this site writes its access log to its own log, not into buckets.',
  holdsAlready: isEmpty,
});

export const getBucketNotification: S3Operation = defaultDocument(
  'GetBucketNotificationConfiguration',
  's3:GetBucketNotification',
  'NotificationConfiguration',
);
export const putBucketNotification: S3Operation = refused(
  'PutBucketNotificationConfiguration',
  's3:PutBucketNotification',
  { root: 'NotificationConfiguration', reason: 'this site sends no notifications.', holdsAlready: isEmpty },
);

export const getBucketRequestPayment: S3Operation = defaultDocument(
  'GetBucketRequestPayment',
  's3:GetBucketRequestPayment',
  'RequestPaymentConfiguration',
  element('Payer', 'BucketOwner'),
);
export const putBucketRequestPayment: S3Operation = refused('PutBucketRequestPayment', 's3:PutBucketRequestPayment', {
  root: 'RequestPaymentConfiguration',
  reason: 'this site bills nobody.',
  holdsAlready: (root) => childText(root, 'Payer')?.trim() === 'BucketOwner',
});

export const getBucketAccelerate: S3Operation = defaultDocument(
  'GetBucketAccelerateConfiguration',
  's3:GetAccelerateConfiguration',
  'AccelerateConfiguration',
);
export const putBucketAccelerate: S3Operation = refused(
  'PutBucketAccelerateConfiguration',
  's3:PutAccelerateConfiguration',
  {
    root: 'AccelerateConfiguration',
    reason: 'there is no transfer acceleration here.',
    holdsAlready: (root) => childText(root, 'Status')?.trim() === 'Suspended',
  },
);

const LOCK_ENABLED = element('ObjectLockEnabled', 'Enabled');

/** GET /bucket?object-lock: enabled with the bucket or never; a default retention cannot be set. */
export const getObjectLockConfiguration: S3Operation = readSetting(
  'GetObjectLockConfiguration',
  's3:GetBucketObjectLockConfiguration',
  ({ name, objectLock }) => {
    if (!objectLock) {
      throw s3Error('ObjectLockConfigurationNotFoundError', undefined, { fields: { BucketName: name } });
    }
    return xmlResponse(xmlDocument('ObjectLockConfiguration', S3_NAMESPACE, LOCK_ENABLED));
  },
);
export const putObjectLockConfiguration: S3Operation = refused(
  'PutObjectLockConfiguration',
  's3:PutBucketObjectLockConfiguration',
  {
    root: 'ObjectLockConfiguration',
    reason:
      'object lock is enabled when the bucket is created, and there is no default retention: set the retention of each object.',
    holdsAlready: (root, bucket) =>
      bucket.objectLock && root.children.length === 1 && childText(root, 'ObjectLockEnabled')?.trim() === 'Enabled',
  },
);
