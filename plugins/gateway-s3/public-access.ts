/** Public access block: four switches of a bucket. Source: Amazon S3 API Reference, PublicAccessBlockConfiguration. */
import type { BucketInfo, Json } from '../../core/contracts/index.ts';
import { s3Error } from './errors.ts';
import { isPublicPolicy } from './policy-status.ts';
import { childText, element, parseXmlRoot } from './xml.ts';

/** As stored in the `publicAccess` setting. */
export type PublicAccessBlock = {
  /** Refuses public ACLs; all are refused anyway. */
  readonly blockPublicAcls: boolean;
  /** Ignores public ACLs; there are none. */
  readonly ignorePublicAcls: boolean;
  /** Refuses to store a public policy. */
  readonly blockPublicPolicy: boolean;
  /** A public policy grants nothing to anyone but the bucket's owner. */
  readonly restrictPublicBuckets: boolean;
};

const ELEMENTS = {
  blockPublicAcls: 'BlockPublicAcls',
  ignorePublicAcls: 'IgnorePublicAcls',
  blockPublicPolicy: 'BlockPublicPolicy',
  restrictPublicBuckets: 'RestrictPublicBuckets',
} as const;
const KNOWN: ReadonlySet<string> = new Set(Object.values(ELEMENTS));

export function readPublicAccessBlock(text: string): PublicAccessBlock {
  const root = parseXmlRoot(text, 'PublicAccessBlockConfiguration');
  if (root.children.some(({ name }) => !KNOWN.has(name))) throw s3Error('MalformedXML');
  const flag = (name: keyof typeof ELEMENTS): boolean => {
    const value = childText(root, ELEMENTS[name])?.trim().toLowerCase() ?? 'false';
    if (value !== 'true' && value !== 'false') throw s3Error('MalformedXML');
    return value === 'true';
  };
  return {
    blockPublicAcls: flag('blockPublicAcls'),
    ignorePublicAcls: flag('ignorePublicAcls'),
    blockPublicPolicy: flag('blockPublicPolicy'),
    restrictPublicBuckets: flag('restrictPublicBuckets'),
  };
}

/** Content of PublicAccessBlockConfiguration. */
export function writePublicAccessBlock(block: PublicAccessBlock): string {
  const names = Object.keys(ELEMENTS) as (keyof typeof ELEMENTS)[];
  return names.map((name) => element(ELEMENTS[name], block[name])).join('');
}

/** The stored switches; `undefined` when none were set. Only `readPublicAccessBlock` makes that value. */
export function publicAccessBlockOf(bucket: BucketInfo): PublicAccessBlock | undefined {
  return (bucket.settings.publicAccess ?? undefined) as PublicAccessBlock | undefined;
}

const DENIALS = new WeakMap<object, Json>();

/**
 * The bucket policy as it counts for this user: of a public policy on a restricted bucket, others than the owner meet only the
 * denials. The same document gives the same object each time, for the auth port remembers compiled policies by identity.
 */
export function effectivePolicy(bucket: BucketInfo, policy: Json, userId: string): Json {
  if (publicAccessBlockOf(bucket)?.restrictPublicBuckets !== true || userId === bucket.owner) return policy;
  if (typeof policy !== 'object' || policy === null || !isPublicPolicy(policy)) return policy;
  const known = DENIALS.get(policy);
  if (known !== undefined) return known;
  const { Statement, ...rest } = policy as { readonly [key: string]: Json };
  const statements = (Array.isArray(Statement) ? Statement : [Statement]) as readonly { readonly Effect?: Json }[];
  const denials: Json = { ...rest, Statement: statements.filter(({ Effect }) => Effect === 'Deny') as readonly Json[] };
  DENIALS.set(policy, denials);
  return denials;
}
