/** Object ownership. Source: Amazon S3 API Reference, PutBucketOwnershipControls. */
import { s3Error } from './errors.ts';

const ENFORCED = 'BucketOwnerEnforced';
const WITH_ACLS: ReadonlySet<string> = new Set(['BucketOwnerPreferred', 'ObjectWriter']);

/** The one ownership that this gateway acts on; the others turn ACLs on. */
export function readOwnership(value: string): typeof ENFORCED {
  if (value === ENFORCED) return value;
  if (!WITH_ACLS.has(value)) throw s3Error('MalformedXML', `${value} is not an object ownership.`);
  throw s3Error('NotImplemented', `Object ownership ${value} needs ACLs, which are off: use ${ENFORCED} and policies.`);
}
