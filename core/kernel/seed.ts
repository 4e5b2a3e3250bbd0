/** What a site has from its first start on: somebody who may do everything, and the buckets that the configuration asks for. */
import { join } from 'node:path';
import {
  bucketNameFault,
  isSkerryError,
  SkerryError,
  type FileSystem,
  type KeyInfo,
  type ObjectService,
  type Random,
  type SiteId,
} from '../contracts/index.ts';
import type { IdentityStore } from '../engine/identities.ts';
import { invalidConfig } from './config/problems.ts';
import type { LoadedConfig } from './config/types.ts';

const OWNER_ONLY_FILE = 0o600;
/** In the form of an AWS shared credentials file, so that aws, rclone, s3cmd and the SDKs read it as it is. */
const ROOT_FILE = 'root-credentials';

/** The first credentials. The secret is in the file only. */
export interface RootCredentials {
  readonly accessKeyId: string;
  readonly file: string;
  /** True when this start made them. */
  readonly created: boolean;
}

export interface SeedDeps {
  readonly loaded: LoadedConfig;
  readonly identities: IdentityStore;
  readonly objects: ObjectService;
  readonly dataDir: string;
  readonly site: SiteId;
  readonly files: FileSystem;
  readonly random: Random;
}

/** Idempotent: repeated at every start. Answers the credentials in `root-credentials`, when they are (still) in use. */
export async function seedSite(deps: SeedDeps): Promise<RootCredentials | undefined> {
  const root = await seedRoot(deps);
  await seedBuckets(deps);
  return root;
}

/** User who owns what is created in nobody's name: the first administrator. */
export function defaultOwner(keys: readonly KeyInfo[]): string {
  const owner = keys.find(({ policy, enabled }) => policy === 'admin' && enabled) ?? keys[0];
  if (owner === undefined)
    throw new SkerryError('InvalidArgument', 'there is no key yet that could own the bucket: name an owner');
  return owner.userId;
}

/**
 * Without any identity nobody could ever sign a request, so one is made. The file comes first: when the site dies in between,
 * the next start makes the identity that the file already shows.
 */
async function seedRoot(deps: SeedDeps): Promise<RootCredentials | undefined> {
  const { identities, files, dataDir, site, random } = deps;
  const file = join(dataDir, ROOT_FILE);
  const written = await readRootFile(file, files);
  if (identities.list().length > 0)
    return written !== undefined && identities.find(written.accessKeyId) !== undefined
      ? { accessKeyId: written.accessKeyId, file, created: false }
      : undefined;
  const root = written ?? {
    accessKeyId: `SKROOT${random.hex(7).toUpperCase()}`,
    secretKey: Buffer.from(random.bytes(30)).toString('base64url'),
  };
  if (written === undefined) {
    await files.writeFileAtomic(file, new TextEncoder().encode(rootFile(root)), { permissions: OWNER_ONLY_FILE });
  }
  // Every site of a cluster makes one, and each is known to all.
  await identities.create({ ...root, displayName: `root of ${site}`, policy: 'admin' });
  return { accessKeyId: root.accessKeyId, file, created: true };
}

interface RootFile {
  readonly accessKeyId: string;
  readonly secretKey: string;
}

function rootFile({ accessKeyId, secretKey }: RootFile): string {
  return `[default]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretKey}\n`;
}

async function readRootFile(file: string, files: FileSystem): Promise<RootFile | undefined> {
  const bytes = await files.readFile(file);
  if (bytes === undefined) return undefined;
  const text = new TextDecoder().decode(bytes);
  const accessKeyId = /^aws_access_key_id *= *(\S+)$/m.exec(text)?.[1];
  const secretKey = /^aws_secret_access_key *= *(\S+)$/m.exec(text)?.[1];
  if (accessKeyId !== undefined && secretKey !== undefined) return { accessKeyId, secretKey };
  throw new SkerryError(
    'Corrupt',
    `${file} must hold aws_access_key_id and aws_secret_access_key: remove it, or restore it`,
  );
}

async function seedBuckets({ loaded, identities, objects }: SeedDeps): Promise<void> {
  for (const [index, bucket] of loaded.config.seed.buckets.entries()) {
    const fault = bucketNameFault(bucket);
    if (fault !== undefined) {
      const path = ['seed', 'buckets', String(index)];
      throw invalidConfig([
        { source: loaded.sourceOf(path), key: path.join('.'), problem: `${bucket} is not a bucket name`, hint: fault },
      ]);
    }
    if (await bucketExists(objects, bucket)) continue;
    await seedBucket(objects, bucket, defaultOwner(identities.list()));
  }
}

/** A replica's buckets are the primary's to create. */
async function seedBucket(objects: ObjectService, bucket: string, owner: string): Promise<void> {
  try {
    await objects.createBucket({ bucket, owner });
  } catch (error) {
    if (!isSkerryError(error, 'AccessDenied') || error.details['role'] !== 'replica') throw error;
  }
}

async function bucketExists(objects: ObjectService, bucket: string): Promise<boolean> {
  try {
    await objects.getBucket(bucket);
    return true;
  } catch (error) {
    if (isSkerryError(error, 'NoSuchBucket')) return false;
    throw error;
  }
}
