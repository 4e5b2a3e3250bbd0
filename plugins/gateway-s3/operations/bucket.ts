/** CreateBucket, HeadBucket, DeleteBucket, GetBucketLocation. */
import { bucketNameFault } from '../../../core/contracts/index.ts';
import type { BucketSettingName, Json } from '../../../core/contracts/index.ts';
import { checkAclHeaders } from '../acl.ts';
import { invalidArgument, s3Error } from '../errors.ts';
import type { S3Operation, S3Request } from '../operation.ts';
import { readOwnership } from '../ownership.ts';
import { MAX_BUCKET_TAGS, readTagSet, type Tags } from '../tags.ts';
import { bucketOf } from '../target.ts';
import { S3_NAMESPACE, child, childText, escapeXml, parseXmlRoot, xmlDocument } from '../xml.ts';

const MAX_CONFIGURATION_BYTES = 65_536;
/** The region whose location is the empty string, for reasons of history. */
const FIRST_REGION = 'us-east-1';

/** PUT /bucket */
export const createBucket: S3Operation = {
  name: 'CreateBucket',
  action: 's3:CreateBucket',
  resource: 'bucket',
  createsBucket: true,
  async run(request, { objects, options }) {
    const bucket = bucketOf(request);
    const fault = bucketNameFault(bucket);
    if (fault !== undefined) throw s3Error('InvalidBucketName', fault, { fields: { BucketName: bucket } });
    const owner = request.principal.userId;
    checkAclHeaders(request, owner);
    const configuration = readConfiguration(await request.text(MAX_CONFIGURATION_BYTES), options.region);
    const objectLock = readFlag(request, 'x-amz-bucket-object-lock-enabled');
    // A lock protects versions, so there must be some.
    const versioning = objectLock ? { versioning: 'Enabled' } : {};
    const settings = { ...ownershipSetting(request), ...configuration, ...versioning };
    await objects.createBucket({ bucket, owner, ...(objectLock ? { objectLock } : {}), settings });
    return { status: 200, headers: { location: `/${bucket}`, 'content-length': '0' } };
  },
};

type Settings = Partial<Record<BucketSettingName, Json>>;

function ownershipSetting(request: S3Request): Settings {
  const ownership = request.header('x-amz-object-ownership');
  return ownership === undefined ? {} : { ownership: readOwnership(ownership) };
}

function readFlag(request: S3Request, name: string): boolean {
  const value = request.header(name)?.toLowerCase() ?? 'false';
  if (value === 'true' || value === 'false') return value === 'true';
  throw invalidArgument(name, value, `${name} must be true or false.`);
}

/** Settings that a CreateBucketConfiguration asks for. The location must be this site's region: there is no other here. */
function readConfiguration(text: string, region: string): Settings {
  if (text.trim() === '') return {};
  const root = parseXmlRoot(text, 'CreateBucketConfiguration');
  if (child(root, 'Location') !== undefined || child(root, 'Bucket') !== undefined) {
    throw s3Error('NotImplemented', 'Directory buckets are not supported: send a LocationConstraint or nothing.');
  }
  const location = childText(root, 'LocationConstraint')?.trim() ?? '';
  if (location !== '' && location !== region && !(location === 'EU' && region === 'eu-west-1')) {
    const message = `The specified location-constraint is not valid: this site answers for ${region}.`;
    throw s3Error('InvalidLocationConstraint', message, { fields: { LocationConstraint: location } });
  }
  const tags = child(root, 'Tags');
  return tags === undefined ? {} : tagSetting(readTagSet(tags, MAX_BUCKET_TAGS));
}

const tagSetting = (tagging: Tags): Settings => (Object.keys(tagging).length === 0 ? {} : { tagging });

/** HEAD /bucket */
export const headBucket: S3Operation = {
  name: 'HeadBucket',
  action: 's3:ListBucket',
  resource: 'bucket',
  async run(request, { options }) {
    await request.bucketInfo();
    return { status: 200, headers: { 'x-amz-bucket-region': options.region, 'x-amz-access-point-alias': 'false' } };
  },
};

/** DELETE /bucket */
export const deleteBucket: S3Operation = {
  name: 'DeleteBucket',
  action: 's3:DeleteBucket',
  resource: 'bucket',
  async run(request, { objects }) {
    await objects.deleteBucket(bucketOf(request));
    return { status: 204, headers: {} };
  },
};

/** GET /bucket?location */
export const getBucketLocation: S3Operation = {
  name: 'GetBucketLocation',
  action: 's3:GetBucketLocation',
  resource: 'bucket',
  async run(request, { options }) {
    await request.bucketInfo();
    const location = options.region === FIRST_REGION ? '' : options.region;
    const body = xmlDocument('LocationConstraint', S3_NAMESPACE, escapeXml(location));
    return { status: 200, headers: { 'content-type': 'application/xml' }, body };
  },
};
