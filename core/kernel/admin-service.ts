/** Administration of one site over its engine: what the admin socket and the command line call. */
import {
  bucketNameFault,
  isSkerryError,
  SkerryError,
  type AdminService,
  type Auth,
  type BucketInfo,
  type BucketSettingName,
  type BucketSummary,
  type Json,
  type ListedVersion,
  type ObjectService,
  type SiteStatus,
} from '../contracts/index.ts';
import type { Engine } from '../engine/engine.ts';
import type { Validator } from '../replication/validator.ts';
import type { RenewingReplication } from './renewing-replication.ts';
import { defaultOwner } from './seed.ts';

export interface AdminDeps {
  readonly engine: Pick<Engine, 'objects' | 'identities' | 'space' | 'members' | 'promote'>;
  readonly auth: Pick<Auth, 'validatePolicy'>;
  readonly replication: RenewingReplication | undefined;
  /** A transport is configured: `replication` is there while the site runs. */
  readonly hasTransport: boolean;
  readonly validator: Validator;
  readonly status: () => Promise<SiteStatus>;
  /** Begins a graceful stop after the current answer is on its way. */
  readonly requestStop: () => void;
}

/** Every setting of a bucket: a map, so that the compiler notices when the model gets another. */
const SETTINGS: Readonly<Record<BucketSettingName, true>> = {
  versioning: true,
  policy: true,
  cors: true,
  lifecycle: true,
  encryption: true,
  tagging: true,
  acl: true,
  ownership: true,
  publicAccess: true,
  objectLock: true,
  website: true,
  logging: true,
  notification: true,
  requestPayment: true,
  replication: true,
  accelerate: true,
};
const PAGE = 1000;

export function createAdminService(deps: AdminDeps): AdminService {
  const { engine, auth, validator, status, requestStop } = deps;
  const { objects, identities } = engine;
  return {
    status,
    listKeys: async () => identities.list(),
    async createKey(input) {
      const { accessKeyId, secretKey } = await identities.create(input);
      const info = identities.list().find((key) => key.accessKeyId === accessKeyId);
      if (info === undefined) throw new SkerryError('Internal', `key ${accessKeyId} was made and is not listed`);
      return { ...info, secretKey };
    },
    setKeyEnabled: (accessKeyId, enabled) => identities.setEnabled(accessKeyId, enabled),
    setKeyPolicy: (accessKeyId, policy) => identities.setPolicy(accessKeyId, policy),
    resealKeys: () => identities.reseal(),
    removeKey: (accessKeyId) => identities.remove(accessKeyId),
    listBuckets: async () => (await allBuckets(objects)).map(summary),
    async createBucket(name, { owner, versioning } = {}) {
      const fault = bucketNameFault(name);
      if (fault !== undefined) throw new SkerryError('InvalidBucketName', fault, { details: { bucket: name } });
      const created = await objects.createBucket({
        bucket: name,
        owner: ownerId(engine, owner),
        ...(versioning === true ? { settings: { versioning: 'Enabled' } } : {}),
      });
      return summary(created);
    },
    async removeBucket(name, { force = false } = {}) {
      if (force) await emptyBucket(objects, name);
      await objects.deleteBucket(name);
    },
    async setBucketSetting(name, setting, value) {
      const known = settingName(setting);
      if (value !== null) checkSetting(known, value, { bucket: name, auth });
      await objects.putBucketSetting(name, known, value);
    },
    async getBucketSetting(name, setting) {
      const known = settingName(setting);
      return (await objects.getBucket(name)).settings[known] ?? null;
    },
    conflictCounts: () => objects.countConflicts(),
    listConflicts: (input) => objects.listConflicts(input),
    getConflict: (bucket, key) => objects.getConflict({ bucket, key }),
    async resolveConflict(bucket, key, choose) {
      const { owner } = await objects.getBucket(bucket);
      return objects.resolveConflict({ bucket, key, choose, owner });
    },
    gcPlan: () => engine.space.gcPlan(),
    gcRun: (options) => engine.space.gcRun(options),
    promote: () => engine.promote(),
    startValidation: (input = {}) => validator.start(input),
    validation: async () => validator.state(),
    listMembers: () => engine.members.list(),
    removeMember: (name) => engine.members.remove(name),
    replicationStatus: async () => running(deps).status(),
    pullFrom: async (peer) => running(deps).pullOnce(peer),
    bootstrapFrom: async (peer) => running(deps).bootstrapFrom(peer),
    pushTo: async (peer) => running(deps).pushOnce(peer),
    releaseQuarantined: async (origin) => running(deps).release(origin),
    trustClock: async () => running(deps).trustClock(),
    recover: async () => running(deps).recover(),
    async stop() {
      requestStop();
    },
  };
}

function running({ replication, hasTransport }: Pick<AdminDeps, 'replication' | 'hasTransport'>): RenewingReplication {
  if (replication !== undefined) return replication;
  const [why, hint] = hasTransport
    ? ['the site is not running, and replicates only while it does', 'skerry serve starts it']
    : ['nothing replicates here: there is no plugins.transport', 'set plugins.transport and replication.peers'];
  throw new SkerryError('Unavailable', why, { details: { hint } });
}

function ownerId({ identities }: AdminDeps['engine'], owner: string | undefined): string {
  if (owner === undefined) return defaultOwner(identities.list());
  const identity = identities.findUser(owner) ?? identities.find(owner);
  if (identity === undefined) throw new SkerryError('NotFound', `there is no user ${owner}`);
  return identity.userId;
}

function settingName(name: string): BucketSettingName {
  if (Object.hasOwn(SETTINGS, name)) return name as BucketSettingName;
  throw new SkerryError(
    'InvalidArgument',
    `${name} is not a bucket setting; known: ${Object.keys(SETTINGS).join(', ')}`,
  );
}

/** What a gateway checks before it stores: the service below takes values as they come. */
function checkSetting(
  setting: BucketSettingName,
  value: Json,
  { bucket, auth }: { readonly bucket: string; readonly auth: AdminDeps['auth'] },
): void {
  if (setting === 'policy') auth.validatePolicy(value, bucket);
  if (setting === 'versioning' && value !== 'Enabled' && value !== 'Suspended')
    throw new SkerryError('InvalidArgument', 'versioning must be Enabled or Suspended');
}

function summary({ name, owner, createdAtMs, versioning }: BucketInfo): BucketSummary {
  return { name, owner, createdAtMs, versioning };
}

export async function allBuckets(objects: ObjectService): Promise<readonly BucketInfo[]> {
  const found: BucketInfo[] = [];
  let after: string | undefined;
  do {
    const page = await objects.listBuckets({ limit: PAGE, ...(after === undefined ? {} : { after }) });
    found.push(...page.entries);
    after = page.truncated ? page.next : undefined;
  } while (after !== undefined);
  return found;
}

/** Uploads in flight of one bucket. */
export async function countUploads(objects: ObjectService, bucket: string): Promise<number> {
  let count = 0;
  let next: { readonly after?: string; readonly afterUploadId?: string } | undefined = {};
  while (next !== undefined) {
    const page: Awaited<ReturnType<ObjectService['listUploads']>> = await objects.listUploads({
      bucket,
      limit: PAGE,
      ...next,
    });
    count += page.entries.length;
    next = page.truncated ? nextUploads(page) : undefined;
  }
  return count;
}

function nextUploads({ next, nextUploadId }: { readonly next?: string; readonly nextUploadId?: string }) {
  return {
    ...(next === undefined ? {} : { after: next }),
    ...(nextUploadId === undefined ? {} : { afterUploadId: nextUploadId }),
  };
}

/** Removes every version and upload. Each page is asked for anew: what it held is gone. */
async function emptyBucket(objects: ObjectService, bucket: string): Promise<void> {
  const { owner } = await objects.getBucket(bucket);
  for (;;) {
    const { entries } = await objects.listVersions({ bucket, limit: PAGE });
    if (entries.length === 0) break;
    const outcomes = await objects.deleteObjects(entries.map((entry) => removal(bucket, owner, entry)));
    const failed = outcomes.find((outcome) => outcome instanceof Error);
    if (failed !== undefined) throw failed;
  }
  for (;;) {
    const { entries } = await objects.listUploads({ bucket, limit: PAGE });
    if (entries.length === 0) return;
    for (const upload of entries) await abort(objects, upload);
  }
}

function removal(bucket: string, owner: string, { key, versionId }: ListedVersion) {
  return { bucket, key, versionId, owner, bypassGovernance: true };
}

/** Somebody else may complete or abort it at the same time. */
async function abort(objects: ObjectService, upload: Parameters<ObjectService['abortUpload']>[0]): Promise<void> {
  try {
    await objects.abortUpload(upload);
  } catch (error) {
    if (!isSkerryError(error, 'NoSuchUpload')) throw error;
  }
}
