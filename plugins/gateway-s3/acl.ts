/**
 * Access control lists. Skerry's buckets work like AWS's default since 2023, "bucket owner enforced": the owner has full
 * control, everything else is said by policies. So lists that say just that are taken, and wider grants are refused with
 * AWS's own code instead of being stored and ignored.
 * Source: Amazon S3 User Guide, "Controlling ownership of objects and disabling ACLs".
 */
import type { IdentityDirectory } from '../../core/contracts/index.ts';
import { invalidArgument, s3Error } from './errors.ts';
import type { S3Request } from './operation.ts';
import {
  S3_NAMESPACE,
  child,
  childText,
  children,
  element,
  group,
  parseXml,
  xmlDocument,
  type XmlNode,
} from './xml.ts';

const OWNER_ONLY: ReadonlySet<string> = new Set(['private', 'bucket-owner-full-control', 'bucket-owner-read']);
const WIDER: ReadonlySet<string> = new Set([
  'public-read',
  'public-read-write',
  'authenticated-read',
  'aws-exec-read',
  'log-delivery-write',
]);
const GRANT_HEADERS = [
  'x-amz-grant-full-control',
  'x-amz-grant-read',
  'x-amz-grant-read-acp',
  'x-amz-grant-write',
  'x-amz-grant-write-acp',
];
const PERMISSIONS: ReadonlySet<string> = new Set(['FULL_CONTROL', 'READ', 'READ_ACP', 'WRITE', 'WRITE_ACP']);
const XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"';

function refuse(): Error {
  const message = 'The bucket does not allow ACLs that grant more than the owner’s full control; use a bucket policy.';
  return s3Error('AccessControlListNotSupported', message);
}

/** `<AccessControlPolicy>`: full control of the owner, whose id shows itself when no identity holds it. */
export function writeAcl(owner: string, identities: IdentityDirectory): string {
  const who = element('ID', owner) + element('DisplayName', identities.findUser(owner)?.displayName ?? owner);
  const grantee = `<Grantee ${XSI} xsi:type="CanonicalUser">${who}</Grantee>`;
  const grant = group('Grant', grantee + element('Permission', 'FULL_CONTROL'));
  return xmlDocument('AccessControlPolicy', S3_NAMESPACE, group('Owner', who) + group('AccessControlList', grant));
}

/** Checks `x-amz-acl` and `x-amz-grant-*`; answers whether any was there. Throws unless they grant just the owner's full control. */
export function checkAclHeaders(request: Pick<S3Request, 'header'>, owner: string): boolean {
  const canned = request.header('x-amz-acl');
  const grants = GRANT_HEADERS.flatMap((name) => request.header(name) ?? []);
  if (canned !== undefined) {
    if (grants.length > 0)
      throw s3Error('InvalidRequest', 'Specifying both Canned ACLs and Header Grants is not allowed');
    if (WIDER.has(canned)) throw refuse();
    if (!OWNER_ONLY.has(canned)) throw invalidArgument('x-amz-acl', canned, 'The canned ACL is not valid.');
  }
  for (const grantee of grants.flatMap((list) => list.split(','))) checkGrantee(grantee.trim(), owner);
  return canned !== undefined || grants.length > 0;
}

function checkGrantee(grantee: string, owner: string): void {
  const [, type, value] = /^(id|uri|emailAddress)\s*=\s*"?([^"]*)"?$/.exec(grantee) ?? [];
  if (type === undefined) throw invalidArgument('x-amz-grant', grantee, 'Argument format not recognized');
  if (type !== 'id' || value !== owner) throw refuse();
}

/** Checks an `<AccessControlPolicy>` document by the same rule. */
export function checkAclDocument(text: string, owner: string): void {
  const root = readAclRoot(text);
  const list = child(root, 'AccessControlList');
  if (root.name !== 'AccessControlPolicy' || list === undefined) throw s3Error('MalformedACLError');
  const named = child(root, 'Owner');
  if (named !== undefined && childText(named, 'ID')?.trim() !== owner) {
    throw s3Error('AccessDenied', 'The owner of a resource cannot be changed by its ACL.');
  }
  const grants = children(list, 'Grant');
  if (grants.length !== list.children.length) throw s3Error('MalformedACLError');
  for (const grant of grants) checkGrant(grant, owner);
}

function readAclRoot(text: string): XmlNode {
  try {
    return parseXml(text);
  } catch (cause) {
    throw s3Error('MalformedACLError', undefined, { cause });
  }
}

function checkGrant(grant: XmlNode, owner: string): void {
  const grantee = child(grant, 'Grantee');
  const permission = childText(grant, 'Permission')?.trim() ?? '';
  if (grantee === undefined || !PERMISSIONS.has(permission)) throw s3Error('MalformedACLError');
  if (childText(grantee, 'ID')?.trim() !== owner) throw refuse();
}
