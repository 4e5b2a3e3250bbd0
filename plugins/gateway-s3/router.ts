/** Which operation a request is: a pure table over method, bucket, key, sub-resource and one header. */
import { s3Error } from './errors.ts';
import type { S3Operation, S3Request } from './operation.ts';
import * as inactive from './operations/bucket-inactive.ts';
import * as policy from './operations/bucket-policy.ts';
import * as settings from './operations/bucket-settings.ts';
import { createBucket, deleteBucket, getBucketLocation, headBucket } from './operations/bucket.ts';
import { completeMultipartUpload } from './operations/complete-multipart.ts';
import { listConflicts } from './operations/conflicts.ts';
import { copyObject } from './operations/copy-object.ts';
import { deleteObjects } from './operations/delete-many.ts';
import { deleteObject } from './operations/delete-object.ts';
import { getObject, headObject } from './operations/get-object.ts';
import { listObjectVersions, listObjects, listObjectsV2 } from './operations/listing.ts';
import { listMultipartUploads, listParts } from './operations/multipart-listing.ts';
import { abortMultipartUpload, createMultipartUpload, uploadPart } from './operations/multipart.ts';
import { getObjectAttributes } from './operations/object-attributes.ts';
import * as version from './operations/object-settings.ts';
import { uploadPartCopy } from './operations/part-copy.ts';
import { putObject } from './operations/put-object.ts';
import { listBuckets } from './operations/service.ts';

export type RoutedRequest = Pick<S3Request, 'method' | 'bucket' | 'key' | 'query' | 'headers'>;

/** Operations of one resource by method. */
type Methods = Readonly<Partial<Record<string, S3Operation>>>;
/** By sub-resource: a query parameter that makes the request another one, whatever its value. */
type SubResources = Readonly<Record<string, Methods>>;

const BUCKET: Methods = { GET: listObjects, PUT: createBucket, HEAD: headBucket, DELETE: deleteBucket };

const BUCKET_SUB_RESOURCES: SubResources = {
  accelerate: { GET: inactive.getBucketAccelerate, PUT: inactive.putBucketAccelerate },
  acl: { GET: settings.getBucketAcl, PUT: settings.putBucketAcl },
  cors: { GET: settings.getBucketCors, PUT: settings.putBucketCors, DELETE: settings.deleteBucketCors },
  delete: { POST: deleteObjects },
  encryption: {
    GET: inactive.getBucketEncryption,
    PUT: inactive.putBucketEncryption,
    DELETE: inactive.deleteBucketEncryption,
  },
  lifecycle: {
    GET: inactive.getBucketLifecycle,
    PUT: inactive.putBucketLifecycle,
    DELETE: inactive.deleteBucketLifecycle,
  },
  location: { GET: getBucketLocation },
  logging: { GET: inactive.getBucketLogging, PUT: inactive.putBucketLogging },
  notification: { GET: inactive.getBucketNotification, PUT: inactive.putBucketNotification },
  'object-lock': { GET: inactive.getObjectLockConfiguration, PUT: inactive.putObjectLockConfiguration },
  ownershipControls: {
    GET: settings.getBucketOwnershipControls,
    PUT: settings.putBucketOwnershipControls,
    DELETE: settings.deleteBucketOwnershipControls,
  },
  policy: { GET: policy.getBucketPolicy, PUT: policy.putBucketPolicy, DELETE: policy.deleteBucketPolicy },
  policyStatus: { GET: policy.getBucketPolicyStatus },
  publicAccessBlock: {
    GET: policy.getPublicAccessBlock,
    PUT: policy.putPublicAccessBlock,
    DELETE: policy.deletePublicAccessBlock,
  },
  replication: {
    GET: inactive.getBucketReplication,
    PUT: inactive.putBucketReplication,
    DELETE: inactive.deleteBucketReplication,
  },
  requestPayment: { GET: inactive.getBucketRequestPayment, PUT: inactive.putBucketRequestPayment },
  tagging: { GET: settings.getBucketTagging, PUT: settings.putBucketTagging, DELETE: settings.deleteBucketTagging },
  uploads: { GET: listMultipartUploads },
  versioning: { GET: settings.getBucketVersioning, PUT: settings.putBucketVersioning },
  versions: { GET: listObjectVersions },
  website: { GET: inactive.getBucketWebsite, PUT: inactive.putBucketWebsite, DELETE: inactive.deleteBucketWebsite },
  'x-skerry-conflicts': { GET: listConflicts },
};

const OBJECT: Methods = { GET: getObject, HEAD: headObject, PUT: putObject, DELETE: deleteObject };

const OBJECT_SUB_RESOURCES: SubResources = {
  acl: { GET: version.getObjectAcl, PUT: version.putObjectAcl },
  attributes: { GET: getObjectAttributes },
  'legal-hold': { GET: version.getObjectLegalHold, PUT: version.putObjectLegalHold },
  retention: { GET: version.getObjectRetention, PUT: version.putObjectRetention },
  tagging: {
    GET: version.getObjectTagging,
    PUT: version.putObjectTagging,
    DELETE: version.deleteObjectTagging,
  },
  uploadId: { GET: listParts, PUT: uploadPart, POST: completeMultipartUpload, DELETE: abortMultipartUpload },
  uploads: { POST: createMultipartUpload },
};

/** Sub-resources that S3 has and Skerry does not: refused by name, never taken for the plain resource. */
const UNSUPPORTED: Readonly<Record<string, string>> = {
  analytics: 'Storage class analysis is not supported.',
  'intelligent-tiering': 'Intelligent tiering configurations are not supported.',
  inventory: 'Inventory configurations are not supported.',
  metadataConfiguration: 'S3 Metadata is not supported.',
  metadataTable: 'S3 Metadata is not supported.',
  metrics: 'Request metrics configurations are not supported; ask the metrics gateway.',
  renameObject: 'RenameObject is not supported: copy and delete.',
  restore: 'No storage class here needs a restore.',
  select: 'S3 Select is not supported.',
  session: 'Directory buckets are not supported.',
  torrent: 'Torrents are not supported.',
};

function subResource(query: ReadonlyMap<string, string>, table: SubResources): string | undefined {
  if (query.size === 0) return undefined;
  for (const name of query.keys()) {
    if (Object.hasOwn(table, name)) return name;
    if (Object.hasOwn(UNSUPPORTED, name))
      throw s3Error('NotImplemented', UNSUPPORTED[name], { fields: { Resource: name } });
  }
  return undefined;
}

function pick(request: RoutedRequest, methods: Methods, resourceType: string): S3Operation {
  const operation = Object.hasOwn(methods, request.method) ? methods[request.method] : undefined;
  if (operation !== undefined) return operation;
  const allow = Object.keys(methods).join(', ');
  const fields = { Method: request.method, ResourceType: resourceType };
  throw s3Error('MethodNotAllowed', undefined, { fields, headers: { allow } });
}

function routeBucket(request: RoutedRequest): S3Operation {
  const name = subResource(request.query, BUCKET_SUB_RESOURCES);
  if (name !== undefined) return pick(request, BUCKET_SUB_RESOURCES[name] ?? {}, name.toUpperCase());
  if (request.method === 'GET' && request.query.get('list-type') === '2') return listObjectsV2;
  if (request.method === 'POST') {
    throw s3Error('NotImplemented', 'Uploads by HTML form (POST policy) are not supported: use a presigned PUT.');
  }
  return pick(request, BUCKET, 'BUCKET');
}

function routeObject(request: RoutedRequest): S3Operation {
  const name = subResource(request.query, OBJECT_SUB_RESOURCES);
  const copies = request.headers['x-amz-copy-source'] !== undefined;
  if (name === undefined) return request.method === 'PUT' && copies ? copyObject : pick(request, OBJECT, 'OBJECT');
  if (name === 'uploadId' && request.method === 'PUT' && copies) return uploadPartCopy;
  return pick(request, OBJECT_SUB_RESOURCES[name] ?? {}, name.toUpperCase());
}

/** Throws MethodNotAllowed and NotImplemented. */
export function route(request: RoutedRequest): S3Operation {
  if (request.bucket === undefined) return pick(request, { GET: listBuckets }, 'SERVICE');
  return request.key === undefined ? routeBucket(request) : routeObject(request);
}
