/** What replication remembers over restarts: reports of other members, who is one, and a clock that moves without writes. */
import {
  isSkerryError,
  type Hlc,
  type MetaReader,
  type MetaRow,
  type Origin,
  type VersionVector,
} from '../contracts/index.ts';
import type { Committer } from './committer.ts';
import { hlcWallMs, nextHlc } from './hlc.ts';
import { mergingKey, registerKey, trimmedKey, tupleRange, watermarkKey, watermarkPrefix } from './keys.ts';
import type { Cut } from './replica-types.ts';
import { decodeRecord, type Register } from './records.ts';
import { scanPages } from './scan-pages.ts';
import { EMPTY_VECTOR } from './vector.ts';

/** What a member reports of itself: what it has applied, and a clock that all its later ops are past. */
export interface MemberReport {
  readonly origin: Origin;
  readonly hlc: Hlc;
  readonly vector: VersionVector;
}

export interface ReplicaState {
  /** Reads what `bootstrapping` tells. Call once, before the rest. */
  open(): Promise<void>;
  /**
   * A cut whose `hlc` is at least the wall clock, durably: every later op of this site is past it, after a restart too. While
   * the wall clock is not to be trusted it is the cut as it stands.
   */
  tick(): Promise<Cut>;
  loadWatermarks(): Promise<readonly MemberReport[]>;
  /** Durable when it resolves. Replaces what was saved for the same origin. */
  saveWatermarks(marks: readonly MemberReport[]): Promise<void>;
  /** Origins of all members, this site's own included: `member` registers by origin, those with a value. */
  members(): Promise<readonly Origin[]>;
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
  /** Throws `ClockUntrusted` when this site's clock is not to be trusted. */
  readonly checkClock: (hlc: Hlc) => void;
}

const PAGE = 1000;

export function createReplicaState(deps: ReplicaStateDeps): ReplicaState {
  const { reader, committer, checkClock } = deps;
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
          if (isBehind && isTrusted(checkClock, before.hlc)) moveClock({ ...before, hlc: nextHlc(before.hlc, nowMs) });
          const { hlc, vector } = clock();
          return { hlc, vector, trimmed: txn.record<VersionVector>(trimmedKey) ?? EMPTY_VECTOR };
        },
      }),
    async loadWatermarks() {
      const prefix = watermarkPrefix();
      const rows = await readRange(reader, 'peers', prefix);
      return rows.map(({ value }) => decodeRecord<MemberReport>(value));
    },
    saveWatermarks: (marks) =>
      committer.commit({
        reads: {},
        appended: [],
        decide({ txn }) {
          for (const mark of marks) txn.put(watermarkKey(mark.origin), mark);
        },
      }),
    async members() {
      const prefix = Buffer.from(registerKey('member', '').key);
      const rows = await readRange(reader, 'registers', prefix);
      const named = rows.filter(({ value }) => decodeRecord<Register>(value).value !== null);
      const origins = named.map(({ key }) => Buffer.from(key.subarray(prefix.length)).toString('utf8'));
      return [...new Set([deps.origin, ...origins])];
    },
  };
}

function isTrusted(checkClock: (hlc: Hlc) => void, hlc: Hlc): boolean {
  try {
    checkClock(hlc);
    return true;
  } catch (error) {
    if (isSkerryError(error, 'ClockUntrusted')) return false;
    throw error;
  }
}

async function readRange(
  reader: MetaReader,
  space: 'peers' | 'registers',
  prefix: Uint8Array,
): ReturnType<MetaReader['scan']> {
  const found: MetaRow[] = [];
  for await (const rows of scanPages(reader, { space, ...tupleRange(prefix), limit: PAGE })) found.push(...rows);
  return found;
}
