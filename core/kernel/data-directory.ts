/** What a site keeps in its data directory besides its stores: the lock, who it is, and its master key. */
import { join } from 'node:path';
import { SkerryError, type Incarnation, type Random, type Runtime, type SiteId } from '../contracts/index.ts';
import type { DirectoryLock, FileIdentity, Host } from './runtime/lock.ts';

/**
 * `site.json`. Written at first start, and when the site comes back as a new origin. `marker` is the identity of the empty file
 * `marker` beside it: a copy of the directory, a restored backup for one, has another (rule 12).
 */
interface SiteRecord {
  readonly format: 1;
  readonly site: SiteId;
  readonly incarnation: Incarnation;
  readonly createdAtMs: number;
  readonly marker: FileIdentity;
}

export interface DataDirectory {
  readonly path: string;
  readonly site: SiteId;
  readonly incarnation: Incarnation;
  /** 32 bytes. Encrypts the secrets of identities. */
  readonly masterKey: Uint8Array;
  /** The incarnation is new with this start, because the directory is a copy. */
  readonly isCopy: boolean;
  /** Idempotent. */
  release(): void;
}

export interface DataDirectoryOptions {
  readonly path: string;
  /** The id that the configuration asks for. */
  readonly siteId?: SiteId;
  readonly runtime: Runtime;
  readonly host: Host;
}

const OWNER_ONLY_DIRECTORY = 0o700;
const OWNER_ONLY_FILE = 0o600;
const MASTER_KEY_BYTES = 32;
const MARKER = 'marker';
const SITE_ID = /^[a-z0-9][a-z0-9-]{0,31}$/;
const INCARNATION = /^[0-9a-f]{16}$/;

/**
 * Makes the directory (0700) when it is not there, takes its lock, reads or mints identity and master key. Rejects `Locked` while
 * another process has it, `Corrupt` when a file is not what it must be, `InvalidConfig` when it belongs to another site.
 */
export async function openDataDirectory({ path, siteId, runtime, host }: DataDirectoryOptions): Promise<DataDirectory> {
  await runtime.files.mkdir(path, { permissions: OWNER_ONLY_DIRECTORY });
  const lock: DirectoryLock = host.lockDirectory(path);
  try {
    const known = await readSiteRecord(path, runtime);
    const masterKey = await openMasterKey(path, known !== undefined, runtime);
    if (known && siteId !== undefined && siteId !== known.site) throw foreignDirectory(path, siteId, known.site);
    const isCopy = known !== undefined && !(await hasMarker(path, known.marker, runtime, host));
    const record = known && !isCopy ? known : await createSiteRecord(path, known?.site ?? siteId, runtime, host);
    if (isCopy) warnOfCopy(path, known, record, runtime);
    const { site, incarnation } = record;
    return { path, site, incarnation, masterKey, isCopy, release: () => lock.release() };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** What either cannot tell does not count against it. */
async function hasMarker(
  path: string,
  known: FileIdentity | undefined,
  { files }: Runtime,
  host: Host,
): Promise<boolean> {
  const file = join(path, MARKER);
  if (known === undefined || (await files.stat(file)) === undefined) return false;
  const found = host.identifyFile(file);
  const isSame = (a: string | undefined, b: string | undefined): boolean =>
    a === undefined || b === undefined || a === b;
  return found.inode === known.inode && isSame(found.bornNs, known.bornNs) && isSame(found.machine, known.machine);
}

function warnOfCopy(
  path: string,
  { incarnation: before }: SiteRecord,
  { incarnation }: SiteRecord,
  { logger }: Runtime,
) {
  logger.warn(
    { path, before, incarnation },
    'this data directory is a copy: the site goes on under a new incarnation, so that what the original writes is not mixed up with it',
  );
}

function foreignDirectory(path: string, wanted: SiteId, found: SiteId): SkerryError {
  return new SkerryError(
    'InvalidConfig',
    `site.id: is ${wanted}, but the data directory ${path} belongs to site ${found} (hint: use another dataDir, or site.id: ${found})`,
    { details: { path, wanted, found } },
  );
}

async function readSiteRecord(path: string, { files }: Runtime): Promise<SiteRecord | undefined> {
  const file = join(path, 'site.json');
  const bytes = await files.readFile(file);
  if (bytes === undefined) return undefined;
  const record = parseRecord(bytes);
  if (record === undefined)
    throw new SkerryError('Corrupt', `${file} is damaged: it must hold format 1, site and incarnation`, {
      details: { file },
    });
  return record;
}

function parseRecord(bytes: Uint8Array): SiteRecord | undefined {
  try {
    const record = JSON.parse(new TextDecoder().decode(bytes)) as Partial<SiteRecord> | null;
    const valid =
      record?.format === 1 && SITE_ID.test(String(record.site)) && INCARNATION.test(String(record.incarnation));
    return valid ? (record as SiteRecord) : undefined;
  } catch {
    return undefined;
  }
}

async function createSiteRecord(
  path: string,
  siteId: SiteId | undefined,
  { files, random, clock }: Runtime,
  host: Host,
): Promise<SiteRecord> {
  const marker = join(path, MARKER);
  await files.writeFileAtomic(marker, new Uint8Array(0), { permissions: OWNER_ONLY_FILE });
  const record: SiteRecord = {
    format: 1,
    site: siteId ?? randomSiteId(random),
    incarnation: random.hex(8),
    createdAtMs: clock.wallMs(),
    marker: host.identifyFile(marker),
  };
  const bytes = new TextEncoder().encode(`${JSON.stringify(record, undefined, 2)}\n`);
  await files.writeFileAtomic(join(path, 'site.json'), bytes, { permissions: OWNER_ONLY_FILE });
  return record;
}

/** A site whose state went back in time is a new origin from its next start on. */
export async function renewIncarnation(
  { path, site }: Pick<DataDirectory, 'path' | 'site'>,
  runtime: Runtime,
  host: Host,
): Promise<void> {
  await createSiteRecord(path, site, runtime, host);
}

function randomSiteId(random: Random): SiteId {
  return `site-${random.hex(3)}`;
}

/** The key comes before `site.json`, so a directory with a record and no key has lost it. */
async function openMasterKey(path: string, isInitialised: boolean, { files, random }: Runtime): Promise<Uint8Array> {
  const file = join(path, 'master.key');
  const found = await files.readFile(file);
  if (found === undefined && isInitialised)
    throw new SkerryError(
      'Corrupt',
      `${file} is missing: without it the stored credentials cannot be read; restore it from a backup`,
      { details: { file } },
    );
  if (found !== undefined && found.length !== MASTER_KEY_BYTES)
    throw new SkerryError('Corrupt', `${file} must be ${MASTER_KEY_BYTES} bytes, it is ${found.length}`, {
      details: { file },
    });
  if (found !== undefined) return found;
  const key = random.bytes(MASTER_KEY_BYTES);
  await files.writeFileAtomic(file, key, { permissions: OWNER_ONLY_FILE });
  return key;
}
