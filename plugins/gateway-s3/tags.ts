/**
 * Tag sets of buckets and objects: XML, the `x-amz-tagging` header, and the rules both share. Stored as a plain record.
 * Source: Amazon S3 User Guide, "Categorizing your objects using tags"; API Reference, PutBucketTagging.
 */
import { s3Error } from './errors.ts';
import { S3_NAMESPACE, type XmlNode, childText, children, element, group, parseXmlRoot, xmlDocument } from './xml.ts';

/** Values by key, in the order given. */
export type Tags = Readonly<Record<string, string>>;

export const MAX_OBJECT_TAGS = 10;
export const MAX_BUCKET_TAGS = 50;
const MAX_KEY_LENGTH = 128;
const MAX_VALUE_LENGTH = 256;
const ALLOWED = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;

type Pair = readonly [key: string, value: string];

/** A `<Tagging>` document. */
export function readTagging(text: string, maxTags: number): Tags {
  const root = parseXmlRoot(text, 'Tagging');
  const sets = children(root, 'TagSet');
  const [set] = sets;
  if (set === undefined || sets.length > 1) throw s3Error('MalformedXML');
  return readTagSet(set, maxTags);
}

/** An element that holds `<Tag>` elements and nothing else. */
export function readTagSet(set: XmlNode, maxTags: number): Tags {
  const pairs = children(set, 'Tag').map((tag): Pair => {
    const key = childText(tag, 'Key');
    const value = childText(tag, 'Value');
    if (key === undefined || value === undefined) throw s3Error('MalformedXML');
    return [key, value];
  });
  if (pairs.length !== set.children.length) throw s3Error('MalformedXML');
  return checkedTags(pairs, maxTags);
}

/** The `x-amz-tagging` header: `key1=value1&key2=value2`, form-encoded. */
export function readTaggingHeader(header: string, maxTags: number = MAX_OBJECT_TAGS): Tags {
  return checkedTags([...new URLSearchParams(header)], maxTags);
}

function checkedTags(pairs: readonly Pair[], maxTags: number): Tags {
  if (pairs.length > maxTags) {
    const what = maxTags === MAX_BUCKET_TAGS ? 'Bucket' : 'Object';
    throw s3Error('BadRequest', `${what} tags cannot be greater than ${maxTags}`);
  }
  for (const [key, value] of pairs) checkTag(key, value);
  if (new Set(pairs.map(([key]) => key)).size !== pairs.length) {
    throw s3Error('InvalidTag', 'Cannot provide multiple Tags with the same key');
  }
  return Object.fromEntries(pairs);
}

function checkTag(key: string, value: string): void {
  const fields = { fields: { TagKey: key } };
  if (key === '' || key.length > MAX_KEY_LENGTH || !ALLOWED.test(key)) {
    throw s3Error('InvalidTag', 'The TagKey you have provided is invalid', fields);
  }
  if (key.startsWith('aws:')) {
    throw s3Error('InvalidTag', 'System tags cannot be added/updated by requester', fields);
  }
  if (value.length > MAX_VALUE_LENGTH || !ALLOWED.test(value)) {
    throw s3Error('InvalidTag', 'The TagValue you have provided is invalid', {
      fields: { TagKey: key, TagValue: value },
    });
  }
}

/** The `<Tagging>` document of a tag set. */
export function writeTagging(tags: Tags): string {
  const set = Object.entries(tags).map(([key, value]) => group('Tag', element('Key', key) + element('Value', value)));
  return xmlDocument('Tagging', S3_NAMESPACE, group('TagSet', set.join('')));
}
