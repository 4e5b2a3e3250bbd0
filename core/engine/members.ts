/**
 * Who belongs to the cluster (rule 14). Each origin has a register `member/<origin>`: its site writes it once, when it first
 * replicates; a removal, by an operator or by the site's next incarnation, is recorded in its place and stays for ever.
 * An origin that was removed writes no more and is taken from no more; what it had shipped remains.
 */
import {
  SkerryError,
  type Incarnation,
  type MemberInfo,
  type MetaReader,
  type Op,
  type Origin,
  type SiteId,
  type Stamp,
  type VersionVector,
} from '../contracts/index.ts';
import { readVector } from './clock-row.ts';
import type { CommitContext, Committer, WriteGate } from './committer.ts';
import { hlcWallMs } from './hlc.ts';
import { oplogKey, registerKey, tupleRange } from './keys.ts';
import { readReports } from './member-reports.ts';
import { decodeRecord, type Register } from './records.ts';
import { registerIn } from './registers.ts';
import { scanPages } from './scan-pages.ts';
import { originSite, stampDot, stampHlc } from './stamp.ts';
import type { Txn } from './txn.ts';

const KIND = 'member';
const PAGE = 1000;

/** What the register of a member holds. */
interface MemberValue {
  readonly site: SiteId;
  readonly incarnation: Incarnation;
  readonly joinedAtMs: number;
}

/** What is recorded of one origin. */
export interface MemberRegister {
  readonly origin: Origin;
  /** False: it was removed. */
  readonly isMember: boolean;
  /** Of the op that wrote it last. */
  readonly stamp: Stamp;
  /** Unix milliseconds, of members. */
  readonly joinedAtMs?: number;
}

export interface Members {
  /** All that is recorded, removals too. */
  registers(): Promise<readonly MemberRegister[]>;
  /** One read, for whoever asks at every call. */
  isRemoved(origin: Origin): Promise<boolean>;
  /** Records this site, durably, unless it is recorded or was removed. Rejects as any write does. */
  join(): Promise<void>;
  /** Removes these origins, durably. One that was removed already, and this site's own, are passed over. */
  removeOrigins(origins: readonly Origin[]): Promise<void>;
  /**
   * Unix milliseconds of the first op of each origin that has ops here, other than what records members; origins whose first op was
   * trimmed are left out.
   */
  firstOps(): Promise<Readonly<Record<Origin, number>>>;
  /** For people: whoever is recorded or has ops here. */
  list(): Promise<readonly MemberInfo[]>;
  /**
   * Removes a member, or all of a site id; what was removed. `NotFound` when there is none, `InvalidArgument` for this site
   * itself: only others can go on without it.
   */
  remove(name: SiteId | Origin): Promise<readonly MemberInfo[]>;
}

export interface MembersDeps {
  readonly reader: MetaReader;
  readonly committer: Committer;
  readonly self: Self;
}

export interface Self {
  /** Another one once the site is renewed. */
  readonly origin: Origin;
}

export function createMembers(deps: MembersDeps): Members {
  const { reader, committer } = deps;
  const registers = (): Promise<readonly MemberRegister[]> => readRegisters(reader);

  const removeOrigins = (origins: readonly Origin[]): Promise<void> =>
    committer.commit({
      reads: { keys: origins.map((one) => memberKey(one)) },
      appended: [],
      decide(context) {
        for (const one of origins) if (one !== deps.self.origin) removeOne(context, one);
      },
    });

  return {
    registers,
    async isRemoved(origin) {
      const [row] = await reader.get([memberKey(origin)]);
      return row !== undefined && decodeRecord<Register>(row).value === null;
    },
    removeOrigins,
    join: () => join(deps),
    firstOps: () => readFirstOps(reader),
    list: () => listMembers(deps),
    async remove(name) {
      const named = (await listMembers(deps)).filter(({ site, origin: one }) => site === name || one === name);
      if (named.some(({ self }) => self))
        throw new SkerryError('InvalidArgument', `${name} is this site: remove it at another one`);
      const left = named.filter(({ state }) => state !== 'removed').map((member) => member.origin);
      if (left.length === 0) throw new SkerryError('NotFound', notFound(name, named.length > 0));
      await removeOrigins(left);
      return (await listMembers(deps)).filter((member) => left.includes(member.origin));
    },
  };
}

const notFound = (name: string, wasRemoved: boolean): string =>
  wasRemoved ? `${name} was removed already` : `there is no member ${name}`;

function join({ committer, self: { origin } }: MembersDeps): Promise<void> {
  const key = memberKey(origin);
  const site = originSite(origin);
  return committer.commit({
    reads: { keys: [key] },
    appended: [],
    decide({ txn, nowMs, author }) {
      if (txn.record<Register>(key)) return;
      const value: MemberValue = { site, incarnation: origin.slice(site.length + 1), joinedAtMs: Math.floor(nowMs) };
      author({ type: 'member.put', id: origin, value: { ...value } });
    },
  });
}

function removeOne({ txn, author }: CommitContext, origin: Origin): void {
  if (registerIn(txn, KIND, origin)?.value !== null) author({ type: 'member.remove', id: origin });
}

/** Whether the origin was removed, by the records of this transaction. */
export function isRemoved(txn: Txn, origin: Origin): boolean {
  return registerIn(txn, KIND, origin)?.value === null;
}

/** What a decision reads that asks whether an origin was removed. */
export const memberKey = (origin: Origin): ReturnType<typeof registerKey> => registerKey(KIND, origin);

/** A removed origin writes nothing more: nobody would take it. Then `next` is asked. */
export function memberGate(self: Self, next: WriteGate | undefined): WriteGate {
  return {
    get keys() {
      return [memberKey(self.origin), ...(next?.keys ?? [])];
    },
    check(txn, body) {
      if (isRemoved(txn, self.origin)) throw evictedWrite();
      next?.check(txn, body);
    },
  };
}

const evictedWrite = (): SkerryError =>
  new SkerryError('Unavailable', 'this site accepts no writes: it was removed from the cluster', {
    details: { reason: 'evicted' },
  });

/** `Conflict`: ops are not taken from an origin that was removed. `vector`: what is here, of its own ops too. */
export function evicted(origin: Origin, vector: VersionVector): SkerryError {
  return new SkerryError('Conflict', `${origin} was removed from the cluster: it must come back as a new incarnation`, {
    details: { reason: 'evicted', origin, vector },
  });
}

async function readRegisters(reader: MetaReader): Promise<readonly MemberRegister[]> {
  const prefix = Buffer.from(registerKey(KIND, '').key);
  const found: MemberRegister[] = [];
  for await (const rows of scanPages(reader, { space: 'registers', ...tupleRange(prefix), limit: PAGE }))
    for (const { key, value } of rows) {
      const origin = Buffer.from(key.subarray(prefix.length)).toString('utf8');
      found.push(memberRegister(origin, decodeRecord<Register>(value)));
    }
  return found;
}

function memberRegister(origin: Origin, { value, stamp }: Register): MemberRegister {
  if (value === null) return { origin, isMember: false, stamp };
  const { joinedAtMs } = value as unknown as Partial<MemberValue>;
  return { origin, isMember: true, stamp, ...(typeof joinedAtMs === 'number' ? { joinedAtMs } : {}) };
}

/** A site begins by recording itself, which no removal can touch: what it wrote next counts. */
const FIRST_OPS = [1, 2, 3];
/** The largest time that a clock can tell: of an origin that has written nothing else. */
const NOT_YET_MS = 2 ** 48 - 1;

async function readFirstOps(reader: MetaReader): Promise<Readonly<Record<Origin, number>>> {
  const vector = await readVector(reader);
  const found = await Promise.all(
    Object.keys(vector).map(async (origin) => [origin, await readFirstOp(reader, origin, vector)] as const),
  );
  return Object.fromEntries(found.filter(([, ms]) => ms !== undefined)) as Readonly<Record<Origin, number>>;
}

async function readFirstOp(reader: MetaReader, origin: Origin, vector: VersionVector): Promise<number | undefined> {
  const rows = await reader.get(FIRST_OPS.map((seq) => oplogKey(origin, seq)));
  if (rows[0] === undefined) return undefined;
  const ops = rows.flatMap((row) => (row ? [decodeRecord<Op>(row)] : []));
  const first = ops.find(({ body }) => !body.type.startsWith('member.'));
  if (first === undefined && (vector[origin] ?? 0) <= ops.length) return NOT_YET_MS;
  const counted = first ?? ops.at(-1);
  return counted && hlcWallMs(stampHlc(counted.stamp));
}

async function listMembers({ reader, self }: MembersDeps): Promise<readonly MemberInfo[]> {
  const [registers, reports, vector] = await Promise.all([
    readRegisters(reader),
    readReports(reader),
    readVector(reader),
  ]);
  const recorded = new Map(registers.map((register) => [register.origin, register]));
  const reported = new Map(reports.map((report) => [report.origin, report]));
  const origins = new Set([...recorded.keys(), ...Object.keys(vector)]);
  return [...origins].toSorted().map((origin): MemberInfo => {
    const report = origin === self.origin ? undefined : reported.get(origin);
    return {
      site: originSite(origin),
      origin,
      self: origin === self.origin,
      ops: vector[origin] ?? 0,
      ...stateOf(recorded.get(origin)),
      ...(report === undefined ? {} : { lastReportMs: hlcWallMs(report.hlc) }),
    };
  });
}

function stateOf(register: MemberRegister | undefined) {
  if (register === undefined) return { state: 'unknown' as const };
  const { isMember, stamp, joinedAtMs } = register;
  if (isMember) return { state: 'member' as const, ...(joinedAtMs === undefined ? {} : { joinedAtMs }) };
  return {
    state: 'removed' as const,
    removedAtMs: hlcWallMs(stampHlc(stamp)),
    removedBy: originSite(stampDot(stamp).origin),
  };
}
