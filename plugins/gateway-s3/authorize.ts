/** Turns a request into the question that the auth port answers, and a refusal into AccessDenied. */
import { isSkerryError } from '../../core/contracts/index.ts';
import type { AuthorizeInput, BucketInfo, Json, ObjectRef } from '../../core/contracts/index.ts';
import { s3Error } from './errors.ts';
import type { S3Operation, S3Request, S3Services } from './operation.ts';
import type { Tags } from './tags.ts';
import { objectRef } from './target.ts';
import { effectivePolicy } from './public-access.ts';

const NO_CONDITIONS: AuthorizeInput['conditions'] = Object.freeze({});

/** Headers that S3 makes condition keys of (`s3:x-amz-acl`). */
const CONDITION_HEADERS = [
  'x-amz-acl',
  'x-amz-content-sha256',
  'x-amz-copy-source',
  'x-amz-grant-full-control',
  'x-amz-grant-read',
  'x-amz-grant-read-acp',
  'x-amz-grant-write',
  'x-amz-grant-write-acp',
  'x-amz-metadata-directive',
  'x-amz-object-ownership',
  'x-amz-server-side-encryption',
  'x-amz-storage-class',
  'x-amz-website-redirect-location',
] as const;

/** Query parameters that S3 makes condition keys of. */
const CONDITION_QUERY = {
  prefix: 's3:prefix',
  delimiter: 's3:delimiter',
  'max-keys': 's3:max-keys',
  versionId: 's3:versionid',
} as const;

const AUTH_TYPE: Readonly<Record<string, readonly [type: string, version: string]>> = {
  'sigv4-header': ['REST-HEADER', 'AWS4-HMAC-SHA256'],
  'sigv4-query': ['REST-QUERY-STRING', 'AWS4-HMAC-SHA256'],
  'sigv2-header': ['REST-HEADER', 'AWS'],
  'sigv2-query': ['REST-QUERY-STRING', 'AWS'],
};

function addTags(conditions: Record<string, readonly string[]>, tagging: string): void {
  const names: string[] = [];
  for (const [name, value] of new URLSearchParams(tagging)) {
    names.push(name);
    conditions[`s3:requestobjecttag/${name.toLowerCase()}`] = [value];
  }
  conditions['s3:requestobjecttagkeys'] = names;
}

/** All condition keys of a request, lower-case. */
function conditionsOf(
  request: S3Request,
  services: S3Services,
  existingTags: Tags | undefined,
): AuthorizeInput['conditions'] {
  const { principal, authenticated } = request;
  const nowMs = services.clock.wallMs();
  const conditions: Record<string, readonly string[]> = {
    'aws:sourceip': [request.remoteAddress],
    'aws:securetransport': [String(request.secure)],
    'aws:currenttime': [new Date(nowMs).toISOString()],
    'aws:epochtime': [String(Math.floor(nowMs / 1000))],
    'aws:userid': [principal.userId],
    'aws:username': [principal.displayName],
    'aws:principalarn': [principal.arn],
    'aws:principalaccount': [principal.account],
    'aws:principaltype': [principal.anonymous ? 'Anonymous' : 'User'],
    'aws:requestedregion': [services.options.region],
  };
  const authType = AUTH_TYPE[authenticated.scheme];
  if (authType !== undefined) {
    conditions['s3:authtype'] = [authType[0]];
    conditions['s3:signatureversion'] = [authType[1]];
  }
  if (authenticated.signatureAgeMs !== undefined)
    conditions['s3:signatureage'] = [String(authenticated.signatureAgeMs)];
  const agent = request.header('user-agent');
  if (agent !== undefined) conditions['aws:useragent'] = [agent];
  const referer = request.header('referer');
  if (referer !== undefined) conditions['aws:referer'] = [referer];
  for (const name of CONDITION_HEADERS) {
    const value = request.header(name);
    if (value !== undefined) conditions[`s3:${name}`] = [value];
  }
  for (const [name, key] of Object.entries(CONDITION_QUERY)) {
    const value = request.query.get(name);
    if (value !== undefined) conditions[key] = [value];
  }
  const tagging = request.header('x-amz-tagging');
  if (tagging !== undefined) addTags(conditions, tagging);
  for (const [name, value] of Object.entries(existingTags ?? {})) {
    conditions[`s3:existingobjecttag/${name.toLowerCase()}`] = [value];
  }
  return conditions;
}

/** Bucket policy as it counts for this user, public access block applied. */
function policyOf(bucket: BucketInfo | undefined, userId: string): Json | undefined {
  const policy = bucket?.settings.policy ?? null;
  return bucket === undefined || policy === null ? undefined : effectivePolicy(bucket, policy, userId);
}

/** Which resource an action is asked about. */
export interface Target {
  /** Absent for account-wide actions and for CreateBucket. */
  readonly bucket?: BucketInfo | undefined;
  readonly bucketName?: string | undefined;
  readonly key?: string | undefined;
  /** Tags of the object as it is, where a policy asks for them (`existingTags`). */
  readonly tags?: Tags | undefined;
}

/** Whether a document asks for tags of existing objects, by document: settings and identities are parsed once. */
const asksForTags = new WeakMap<object, boolean>();

function mentionsTags(policy: Json | undefined): boolean {
  if (typeof policy !== 'object' || policy === null) return false;
  let asks = asksForTags.get(policy);
  if (asks === undefined) {
    asks = /s3:existingobjecttag\//i.test(JSON.stringify(policy));
    asksForTags.set(policy, asks);
  }
  return asks;
}

function dependsOnTags(request: S3Request, bucket: BucketInfo): boolean {
  return mentionsTags(bucket.settings.policy) || mentionsTags(request.principal.policy);
}

/** Tags of the object that is about to be read or changed, when some policy depends on them. */
export async function existingTags(
  request: S3Request,
  services: S3Services,
  bucket: BucketInfo,
  ref: ObjectRef,
): Promise<Tags | undefined> {
  if (!dependsOnTags(request, bucket)) return undefined;
  try {
    const { info } = await services.objects.headObject(ref);
    return (info.settings.tags ?? undefined) as Tags | undefined;
  } catch (error) {
    // What is not there has no tags; whether to say so is decided after the authorisation.
    if (isSkerryError(error) && ABSENT.has(error.code)) return undefined;
    throw error;
  }
}

const ABSENT: ReadonlySet<string> = new Set(['NoSuchKey', 'NoSuchVersion', 'MethodNotAllowed', 'InvalidArgument']);

function resourceOf(target: Target): string {
  const name = target.bucket?.name ?? target.bucketName;
  if (name === undefined) return '*';
  return target.key === undefined ? `arn:aws:s3:::${name}` : `arn:aws:s3:::${name}/${target.key}`;
}

/** May this request's principal do that? Never throws for a refusal. */
export function isAllowed(request: S3Request, services: S3Services, action: string, target: Target): boolean {
  const bucketPolicy = policyOf(target.bucket, request.principal.userId);
  // Conditions matter to policy documents only; the plain 'rw' key on a bucket without policy, by far the most common, needs none.
  const asked = bucketPolicy !== undefined || typeof request.principal.policy === 'object';
  const decision = services.auth.authorize({
    principal: request.principal,
    action,
    resource: resourceOf(target),
    conditions: asked ? conditionsOf(request, services, target.tags) : NO_CONDITIONS,
    ...(target.bucket === undefined ? undefined : { owner: target.bucket.owner }),
    ...(bucketPolicy === undefined ? undefined : { bucketPolicy }),
  });
  if (!decision.allowed) {
    services.logger.debug(
      { requestId: request.id, action, resource: resourceOf(target), reason: decision.reason },
      'refused',
    );
  }
  return decision.allowed;
}

/** Throws AccessDenied unless allowed. For what an operation needs beyond its own action: copy sources, each key of a DeleteObjects. */
export function requireAllowed(request: S3Request, services: S3Services, action: string, target: Target): void {
  if (!isAllowed(request, services, action, target)) throw s3Error('AccessDenied');
}

/** The check before `run`. Reads the bucket once; NoSuchBucket is told to everyone, as AWS does. */
export async function authorizeOperation(
  request: S3Request,
  services: S3Services,
  operation: S3Operation,
): Promise<void> {
  if (operation.resource === 'account') return requireAllowed(request, services, operation.action, {});
  if (operation.createsBucket === true)
    return requireAllowed(request, services, operation.action, { bucketName: request.bucket });
  const bucket = await request.bucketInfo();
  if (operation.authorizesItself === true) return undefined;
  const versioned = operation.versionAction !== undefined && request.query.has('versionId');
  const action = versioned ? (operation.versionAction ?? operation.action) : operation.action;
  if (operation.resource !== 'object' || request.key === undefined) {
    return requireAllowed(request, services, action, { bucket });
  }
  if (!dependsOnTags(request, bucket)) return requireAllowed(request, services, action, { bucket, key: request.key });
  const tags = await existingTags(request, services, bucket, objectRef(request));
  return requireAllowed(request, services, action, { bucket, key: request.key, tags });
}
