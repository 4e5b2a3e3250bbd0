/** Names of general purpose buckets, for whatever creates one. Source: Amazon S3 User Guide, "General purpose bucket naming rules". */

const SHAPE = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const IP_ADDRESS = /^\d{1,3}(\.\d{1,3}){3}$/;
const RESERVED_PREFIXES = ['xn--', 'sthree-', 'amzn-s3-demo-'];
const RESERVED_SUFFIXES = ['-s3alias', '--ol-s3', '.mrap', '--x-s3', '--table-s3'];

/** One sentence of why AWS refuses the name; `undefined` when it is good. */
export function bucketNameFault(name: string): string | undefined {
  if (name.length < 3 || name.length > 63) return 'Bucket names are between 3 and 63 characters long.';
  if (!SHAPE.test(name)) {
    return 'Bucket names hold lower-case letters, digits, dots and hyphens, and begin and end with a letter or digit.';
  }
  // A label between dots must itself be a host name, or virtual-host addressing breaks.
  if (/\.\.|\.-|-\./.test(name)) return 'Bucket names have no two dots, and no dot and hyphen, next to each other.';
  if (IP_ADDRESS.test(name)) return 'Bucket names are not formatted like an IP address.';
  const prefix = RESERVED_PREFIXES.find((reserved) => name.startsWith(reserved));
  if (prefix !== undefined) return `Bucket names do not begin with the reserved ${prefix}.`;
  const suffix = RESERVED_SUFFIXES.find((reserved) => name.endsWith(reserved));
  return suffix === undefined ? undefined : `Bucket names do not end with the reserved ${suffix}.`;
}
