/** How replication of a site is, in numbers that people can act upon. JSON-safe. */
import type { Hlc, Origin, SiteId, Stamp, VersionVector } from './model.ts';
import type { Integrity } from './validation.ts';

export type PeerState =
  /** Not yet reached since the start, or lost and tried again. */
  | 'connecting'
  | 'connected'
  /** It no longer has what we lack: its snapshot is asked for. */
  | 'must-bootstrap'
  /** Its snapshot is being taken. */
  | 'bootstrapping'
  /** It has our site id, or says that ours is in use twice. */
  | 'duplicate-site'
  /** One of us was removed from the cluster. */
  | 'evicted'
  /** One of us is new and brings data that is too old to be let in. */
  | 'not-a-member'
  | 'stopped';

export interface PeerStatus {
  readonly site: SiteId;
  readonly url: string;
  readonly state: PeerState;
  /** Ops that it has and we lack, as far as it told. */
  readonly opsBehind: number;
  /** How far the clock of the last op that came is behind its clock; 0 when nothing is lacking. */
  readonly secondsBehind: number;
  /** Ops that we have and it lacks, as far as it told. */
  readonly opsAhead: number;
  /** Unix milliseconds of the last answer of it. */
  readonly lastContactMs?: number;
  /** Unix milliseconds of the last call by it. */
  readonly lastCallMs?: number;
  /** Its wall clock minus ours, milliseconds. */
  readonly clockSkewMs: number;
  readonly lastError?: string;
  /** Ops that it brought first. */
  readonly opsReceived: number;
  readonly opsPushed: number;
  /** Of op pages. */
  readonly bytesReceived: number;
  readonly bytesPushed: number;
  readonly chunkBytesFetched: number;
  /** Bytes of versions that it wrote and that are still to be fetched, from whomever; at most so many. */
  readonly bytesBehind: number;
  /** Since when it has ops that we lack, Unix milliseconds, as far as was noticed. */
  readonly behindSinceMs?: number;
  /** How long it took the last time until we had all that it had, once that was noticed. */
  readonly caughtUpInMs?: number;
  /** Ops that it may still ask for are kept until then, Unix milliseconds. */
  readonly leaseExpiresAtMs?: number;
}

/** Ops of one origin that wait outside, with everything behind them. */
export interface Quarantined {
  readonly origin: Origin;
  /**
   * `clock`: stamped too far ahead of our clock; `behind`: comes after such an op of another origin; `refused`: the engine cannot
   * apply it.
   */
  readonly reason: 'clock' | 'behind' | 'refused';
  /** The first op that waits. */
  readonly stamp: Stamp;
  readonly sinceMs: number;
  /** When it is tried again, Unix milliseconds of our clock. */
  readonly retryAtMs: number;
  /** Attempts that found it not yet applicable. */
  readonly attempts: number;
  /** Ops of it that peers have and this site has not, as far as they told. */
  readonly ops: number;
}

/** A peer knows more of our origin than we do, or another history of it: this data directory was restored or cloned. */
export interface Fenced {
  readonly by: SiteId;
  readonly ownSeq: number;
  readonly knownSeq: number;
  /** True: op `knownSeq` is another one there, or the last one here is. */
  readonly diverged: boolean;
  /**
   * Peers that know more, but no longer have the op that would prove it to be the same history. Without such a proof the site stands
   * still until an operator decides.
   */
  readonly unproven?: readonly SiteId[];
  /** Up to here the two histories are the same, as far as could be found out. */
  readonly sharedSeq?: number;
  /** What no other site has from here, where the histories differ. */
  readonly onlyHere?: {
    readonly ops: number;
    /** `bucket/key` or another entity, each once, at most 100. */
    readonly names: readonly string[];
  };
}

/** This site was removed from the cluster. */
export interface Evicted {
  /** Who told. */
  readonly by: SiteId;
  /** Own ops; those after `knownSeq` are nowhere else, as far as is known. */
  readonly ownSeq: number;
  readonly knownSeq: number;
}

export interface FetchCounters {
  readonly completedVersions: number;
  readonly fetchedChunks: number;
  readonly fetchedBytes: number;
  /** Bytes of completed versions' chunks that were here already, by content. */
  readonly savedBytes: number;
  /** Chunks whose bytes were not what was asked for. */
  readonly badChunks: number;
  readonly fetchedBytesBySite: Readonly<Record<SiteId, number>>;
}

/** Taking a peer's snapshot in place of ops. */
export interface BootstrapStatus {
  readonly from: SiteId;
  /**
   * `gap`: the peer no longer has the ops; `behind`: there are too many; `unfinished`: one was begun before; `operator`: somebody
   * said so.
   */
  readonly reason: 'gap' | 'behind' | 'unfinished' | 'operator';
  /** `waiting`: it broke and goes on by itself, unless `hint` says what a person has to do. */
  readonly state: 'running' | 'waiting' | 'done';
  /** Unix milliseconds. */
  readonly startedMs: number;
  readonly endedMs?: number;
  /** That came, since this process began with it. */
  readonly entities: number;
  readonly bytes: number;
  /** What came last: buckets come first, then objects in order of bucket and key. */
  readonly at?: string;
  readonly problem?: string;
  readonly hint?: string;
}

export interface ReplicationStatus {
  readonly site: SiteId;
  readonly origin: Origin;
  readonly vector: VersionVector;
  /** What peers may call, where the site listens. */
  readonly addresses: readonly string[];
  /** Set while replication stands still because the site is to become a new origin, or cannot. */
  readonly fenced?: Fenced;
  /** What the site wrote as other origins and lacks still: `seq` up to which. It accepts no writes before all is here. */
  readonly takesBack?: VersionVector;
  /** Set once this site heard that it was removed from the cluster. */
  readonly evicted?: Evicted;
  readonly peers: readonly PeerStatus[];
  /** Of the last snapshot that was taken, if any since the start. */
  readonly bootstrap?: BootstrapStatus;
  readonly quarantine: readonly Quarantined[];
  readonly pending: {
    /** Versions whose bytes are not all here; `atLeast` when there are more than were counted. */
    readonly versions: number;
    readonly atLeast: boolean;
    /** Bytes of those that were counted that are still to be fetched; at most so many. */
    readonly bytes: number;
    /** Age of the oldest, by its stamp. */
    readonly oldestSeconds: number;
  };
  readonly fetch: FetchCounters;
  /** Losers of conflicts that nobody has resolved, by bucket; buckets without any are absent. */
  readonly conflicts?: Readonly<Record<string, number>>;
  /** Why this site accepts no writes now, where that is so. */
  readonly writesRefused?: string;
  /** What the background check found, and damage to stored bytes. */
  readonly integrity: Integrity;
  /** What is stable: tombstones below may go. Absent while nothing is known to be. */
  readonly stable?: { readonly hlc: Hlc; readonly vector: VersionVector };
}

export interface PulledOnce {
  /** Ops that were applied. */
  readonly applied: number;
  /** Versions whose bytes are still missing, at most 1,000 counted. */
  readonly pendingVersions: number;
}

export interface PushedOnce {
  /** Ops that the peer took. */
  readonly pushed: number;
}
