/** What replication remembers over restarts: reports of other members, who is one, and a clock that moves without writes. */
import { isSkerryError, type MetaReader, type Origin, type VersionVector } from '../contracts/index.ts';
import type { Committer } from './committer.ts';
import { hlcWallMs, nextHlc } from './hlc.ts';
import { leaseKey, mergingKey, trimmedKey, watermarkKey } from './keys.ts';
import { readReports, type MemberReport } from './member-reports.ts';
import type { Members } from './members.ts';
import type { Cut } from './replica-types.ts';
import type { ClockRecord } from './records.ts';
import { EMPTY_VECTOR } from './vector.ts';

export interface ReplicaState {
  /** Reads what `bootstrapping` tells. Call once, before the rest. */
  open(): Promise<void>;
  /**
   * A cut whose `hlc` is at least the wall clock, durably: every later op of this site is past it, after a restart too. While
   * the wall clock is not to be trusted it is the cut as it stands.
   */
  tick(): Promise<Cut>;
  /**
   * What is stamped up to `wallMs` is no longer held back for being ahead of our clock, durably: an operator knows that the clock it was
   * stamped with is gone or set right. Our own clock goes as far ahead with it, and so may what we stamp.
   */
  letIn(wallMs: number): Promise<void>;
  loadWatermarks(): Promise<readonly MemberReport[]>;
  /** Durable when it resolves. Replaces what was saved for the same origin. */
  saveWatermarks(marks: readonly MemberReport[]): Promise<void>;
  /** Forgets reports and leases of these, durably. */
  forgetPeers(origins: readonly Origin[]): Promise<void>;
  /** Origins of all members, this site's own included. */
  members(): Promise<readonly Origin[]>;
  memberRegisters: Members['registers'];
  isRemoved: Members['isRemoved'];
  join: Members['join'];
  removeMembers: Members['removeOrigins'];
  firstOps: Members['firstOps'];
  /** A snapshot is being taken in. */
  bootstrapping(): boolean;
  /** From now on one is, before anything of it is here. */
  enterBootstrap(): void;
  /** Reads anew whether one still is. */
  refresh(): Promise<void>;
}

export interface ReplicaStateDeps {
  readonly reader: MetaReader;
  readonly committer: Committer;
  /** Another one once the site is renewed. */
  readonly origin: Origin;
  readonly members: Members;
  /** Throws `ClockUntrusted` when this site's clock is not to be trusted. */
  readonly checkClock: (clock: ClockRecord) => void;
}

export function createReplicaState(deps: ReplicaStateDeps): ReplicaState {
  const { reader, committer, members, checkClock } = deps;
  let isBootstrapping = false;

  async function refresh(): Promise<void> {
    isBootstrapping = (await reader.get([mergingKey]))[0] !== undefined;
  }

  return {
    open: refresh,
    refresh,
    bootstrapping: () => isBootstrapping,
    enterBootstrap: () => void (isBootstrapping = true),
    tick: () =>
      committer.commit({
        reads: { keys: [trimmedKey] },
        appended: [],
        decide({ txn, nowMs, clock, moveClock }) {
          const before = clock();
          const isBehind = hlcWallMs(before.hlc) < Math.floor(nowMs);
          if (isBehind && isTrusted(checkClock, before)) moveClock({ ...before, hlc: nextHlc(before.hlc, nowMs) });
          const { hlc, vector } = clock();
          return { hlc, vector, trimmed: txn.record<VersionVector>(trimmedKey) ?? EMPTY_VECTOR };
        },
      }),
    letIn: (wallMs) =>
      committer.commit({
        reads: {},
        appended: [],
        decide({ clock, moveClock }) {
          moveClock({ ...clock(), letInMs: Math.max(wallMs, clock().letInMs ?? 0) });
        },
      }),
    loadWatermarks: () => readReports(reader),
    saveWatermarks: (marks) =>
      committer.commit({
        reads: {},
        appended: [],
        decide({ txn }) {
          for (const mark of marks) txn.put(watermarkKey(mark.origin), mark);
        },
      }),
    forgetPeers: (origins) =>
      committer.commit({
        reads: {},
        appended: [],
        decide({ txn }) {
          for (const origin of origins) for (const key of [watermarkKey(origin), leaseKey(origin)]) txn.remove(key);
        },
      }),
    async members() {
      const registers = await members.registers();
      const others = registers.filter(({ isMember }) => isMember).map(({ origin }) => origin);
      return [...new Set([deps.origin, ...others])];
    },
    memberRegisters: () => members.registers(),
    isRemoved: (origin) => members.isRemoved(origin),
    join: () => members.join(),
    removeMembers: (origins) => members.removeOrigins(origins),
    firstOps: () => members.firstOps(),
  };
}

function isTrusted(checkClock: ReplicaStateDeps['checkClock'], clock: ClockRecord): boolean {
  try {
    checkClock(clock);
    return true;
  } catch (error) {
    if (isSkerryError(error, 'ClockUntrusted')) return false;
    throw error;
  }
}
