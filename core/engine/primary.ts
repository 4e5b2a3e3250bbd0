/**
 * One site accepts writes (primary-replica). Who it is, is a register that every site replicates; before the first `promote` it is what the
 * configuration says. The decision falls inside the commit: once a site has seen that another is primary, none of its own writes
 * gets in. Moving the primary raises the fencing epoch of the clock, so that whatever the old one still accepts, not knowing, loses
 * to everything the new one writes, and is kept and listed like any conflict.
 */
import {
  SkerryError,
  type Json,
  type MetaKey,
  type MetaReader,
  type ObjectService,
  type OpBody,
  type PrimaryRole,
  type SiteId,
  type WriterRule,
} from '../contracts/index.ts';
import type { Committer, WriteGate } from './committer.ts';
import { hlcEpoch, raiseEpoch } from './hlc.ts';
import { registerKey } from './keys.ts';
import { decodeRecord, type Register } from './records.ts';

const ID = 'primary';
const row: MetaKey = registerKey('policy', ID);

export interface PrimaryDeps {
  readonly siteId: SiteId;
  readonly reader: MetaReader;
  readonly writers: WriterRule;
}

/** Buckets and objects are the primary's; keys, policies and members may be administered anywhere. */
const isGated = ({ type }: OpBody): boolean => type.startsWith('bucket.') || type.startsWith('version.');

export function createWriteGate(deps: Pick<PrimaryDeps, 'siteId' | 'writers'>): WriteGate {
  return {
    keys: [row],
    check(txn, body) {
      if (isGated(body)) refuseReplica(deps, roleOf(deps, txn.record<Register>(row)));
    },
  };
}

function roleOf({ writers }: Pick<PrimaryDeps, 'writers'>, register: Register | undefined): PrimaryRole | undefined {
  if (register && register.value !== null) return register.value as unknown as PrimaryRole;
  const { primary, primaryUrl } = writers;
  return primary === undefined ? undefined : { site: primary, epoch: 0, ...(primaryUrl ? { url: primaryUrl } : {}) };
}

function refuseReplica({ siteId }: Pick<PrimaryDeps, 'siteId'>, role: PrimaryRole | undefined): void {
  if (role?.site === siteId) return;
  const name = role === undefined ? 'the primary' : `the primary ${role.site}`;
  const where = role?.url === undefined ? name : `${name} at ${role.url}`;
  throw new SkerryError('AccessDenied', `site ${siteId} is a replica and accepts no writes: write to ${where}`, {
    details: {
      role: 'replica',
      ...(role ? { primary: role.site, epoch: role.epoch } : {}),
      ...(role?.url === undefined ? {} : { primaryUrl: role.url }),
    },
  });
}

export async function readPrimary(deps: Omit<PrimaryDeps, 'siteId'>): Promise<PrimaryRole | undefined> {
  const [value] = await deps.reader.get([row]);
  return roleOf(deps, value && decodeRecord<Register>(value));
}

/** Where a site hands its clients' writes to: it is a replica that forwards, and knows where. */
export async function forwardTarget(
  siteId: SiteId,
  writers: WriterRule | undefined,
  primary: () => Promise<PrimaryRole | undefined>,
): Promise<{ readonly site: SiteId; readonly url: string } | undefined> {
  if (writers?.forwards !== true) return undefined;
  const role = await primary();
  if (role?.url === undefined || role.site === siteId) return undefined;
  return { site: role.site, url: role.url };
}

/** Makes this site the primary, under a new epoch unless it is the primary already. */
export function promote(deps: PrimaryDeps & { readonly committer: Committer }): Promise<PrimaryRole> {
  const { siteId, writers, committer } = deps;
  return committer.commit<PrimaryRole>({
    reads: { keys: [row] },
    appended: [],
    decide({ txn, clock, moveClock, author }) {
      const known = roleOf(deps, txn.record<Register>(row));
      if (known?.site === siteId) return known;
      const last = clock();
      const hlc = raiseEpoch(last.hlc);
      moveClock({ ...last, hlc });
      const url = writers.url === undefined ? {} : { url: writers.url };
      const role: PrimaryRole = { site: siteId, epoch: hlcEpoch(hlc), ...url };
      author({ type: 'policy.put', id: ID, value: { ...role } satisfies Json });
      return role;
    },
  });
}

type WriteName =
  | 'createBucket'
  | 'deleteBucket'
  | 'putBucketSetting'
  | 'putObject'
  | 'copyObject'
  | 'deleteObject'
  | 'putVersionSetting'
  | 'createUpload'
  | 'putPart'
  | 'copyPart'
  | 'completeUpload'
  | 'resolveConflict';

/** Every write that would only be refused at its commit, after its body was taken in. */
const WRITES: Readonly<Record<WriteName, true>> = {
  createBucket: true,
  deleteBucket: true,
  putBucketSetting: true,
  putObject: true,
  copyObject: true,
  deleteObject: true,
  putVersionSetting: true,
  createUpload: true,
  putPart: true,
  copyPart: true,
  completeUpload: true,
  resolveConflict: true,
};

/** The same service, with writes at a replica refused before anything is done. */
export function refuseEarly(objects: ObjectService, deps: PrimaryDeps): ObjectService {
  type Method = (...args: unknown[]) => Promise<unknown>;
  const guarded = Object.keys(WRITES).map((name) => {
    const write = objects[name as WriteName] as Method;
    const guard: Method = async (...args) => {
      refuseReplica(deps, await readPrimary(deps));
      return write.apply(objects, args);
    };
    return [name, guard] as const;
  });
  return { ...objects, ...(Object.fromEntries(guarded) as Pick<ObjectService, WriteName>) };
}
