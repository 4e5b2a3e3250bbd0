/** What a site keeps in its data directory besides its stores: the lock, who it is, and its master key. */
import { join } from 'node:path';
import {
  SkerryError,
  type Incarnation,
  type Origin,
  type Random,
  type Runtime,
  type SiteId,
  type VersionVector,
} from '../contracts/index.ts';
import { isOrigin, originOf } from '../engine/stamp.ts';
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
  readonly missing?: MissingPast;
}

/**
 * Ops that this site wrote as another origin and may not have any more: up to which `seq`, or `null` while nobody could be asked. They
 * come back from peers, and no write is accepted before (rule 12).
 */
export type MissingPast = Readonly<Record<Origin, number | null>>;

export interface DataDirectory {
  readonly path: string;
  readonly site: SiteId;
  /** Another one after `renew`. */
  readonly incarnation: Incarnation;
  /** 32 bytes. Encrypts the secrets of identities. */
  readonly masterKey: Uint8Array;
  /** The incarnation is new with this start, because the directory is a copy. */
  readonly isCopy: boolean;
  /** Empty but for a site that came back as a new origin. Recorded: a start remembers it. */
  readonly missing: MissingPast;
  /**
   * The site is a new origin from now on, durably; `knownSeq`: what others have of the one that it was. What it lacks of `also` is
   * missing from the same moment on.
   */
  renew(knownSeq?: number, also?: VersionVector): Promise<void>;
  /** Records what is still missing; `{}`: all is here. */
  setMissing(missing: MissingPast): Promise<void>;
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
    const record = known && !isCopy ? known : await createSiteRecord(path, known ?? siteId, runtime, host);
    if (isCopy) warnOfCopy(path, known, record, runtime);
    return Object.assign(keepRecord(path, record, runtime), { path, masterKey, isCopy, release: () => lock.release() });
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
      record?.format === 1 &&
      SITE_ID.test(String(record.site)) &&
      INCARNATION.test(String(record.incarnation)) &&
      isMissingPast(record.missing ?? {});
    return valid ? (record as SiteRecord) : undefined;
  } catch {
    return undefined;
  }
}

function isMissingPast(missing: unknown): boolean {
  if (typeof missing !== 'object' || missing === null) return false;
  return Object.entries(missing).every(
    ([origin, seq]) => isOrigin(origin) && (seq === null || Number.isSafeInteger(seq)),
  );
}

/** A new site, or a new origin with the past of `before`. */
async function createSiteRecord(
  path: string,
  before: SiteRecord | SiteId | undefined,
  runtime: Runtime,
  host: Host,
): Promise<SiteRecord> {
  const { files, random, clock } = runtime;
  const marker = join(path, MARKER);
  await files.writeFileAtomic(marker, new Uint8Array(0), { permissions: OWNER_ONLY_FILE });
  const fresh = { format: 1, createdAtMs: clock.wallMs(), marker: host.identifyFile(marker) } as const;
  const record: SiteRecord =
    typeof before === 'object'
      ? { ...renewed(before, runtime), ...fresh }
      : { ...fresh, site: before ?? randomSiteId(random), incarnation: newIncarnation(random) };
  await writeRecord(path, record, runtime);
  return record;
}

const newIncarnation = (random: Random): Incarnation => random.hex(8);

/** The marker stays: should the site stop right here, its next start finds this record to be its own. */
function renewed(before: SiteRecord, { random }: Runtime, knownSeq?: number, also: VersionVector = {}): SiteRecord {
  const origin = originOf(before.site, before.incarnation);
  const missing = { ...before.missing, [origin]: knownSeq ?? null, ...also };
  return { ...before, incarnation: newIncarnation(random), missing };
}

async function writeRecord(path: string, record: SiteRecord, { files }: Runtime): Promise<void> {
  const bytes = new TextEncoder().encode(`${JSON.stringify(record, undefined, 2)}\n`);
  await files.writeFileAtomic(join(path, 'site.json'), bytes, { permissions: OWNER_ONLY_FILE });
}

type KeptRecord = Pick<DataDirectory, 'site' | 'incarnation' | 'missing' | 'renew' | 'setMissing'>;

function keepRecord(path: string, opened: SiteRecord, runtime: Runtime): KeptRecord {
  let record = opened;
  const keep = async (next: SiteRecord): Promise<void> => {
    await writeRecord(path, next, runtime);
    record = next;
  };
  return {
    site: opened.site,
    get incarnation() {
      return record.incarnation;
    },
    get missing() {
      return record.missing ?? {};
    },
    renew: (knownSeq, also) => keep(renewed(record, runtime, knownSeq, also)),
    setMissing: (missing) => keep({ ...record, missing }),
  };
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
