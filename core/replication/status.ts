/** How replication is, in numbers that people can act upon. JSON-safe. */
import type { Hlc, Origin, SiteId, VersionVector } from '../contracts/index.ts';
import { HLC_ZERO, hlcWallMs } from '../engine/hlc.ts';
import { seqOf } from '../engine/vector.ts';
import type { FencedFact, Quarantined } from './facts.ts';
import type { FetchCounters } from './fetcher.ts';
import type { PeerState, PeerView } from './peer-view.ts';

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
  /** Unix milliseconds of the last answer of it, and of the last call by it. */
  readonly lastContactMs?: number;
  readonly lastCallMs?: number;
  /** Its wall clock minus ours. */
  readonly clockSkewMs: number;
  readonly lastError?: string;
  readonly opsReceived: number;
  readonly opsPushed: number;
  readonly bytesReceived: number;
  readonly bytesPushed: number;
  /** Bytes of chunks, part of `bytesReceived` or received outside a pull. */
  readonly chunkBytesFetched: number;
}

export interface ReplicationStatus {
  readonly site: SiteId;
  readonly origin: Origin;
  readonly vector: VersionVector;
  readonly fenced?: FencedFact;
  readonly peers: readonly PeerStatus[];
  readonly quarantine: readonly Quarantined[];
  readonly pending: {
    /** Versions whose bytes are not all here; `atLeast` when there are more than were counted. */
    readonly versions: number;
    readonly atLeast: boolean;
    /** Age of the oldest, by its stamp. */
    readonly oldestSeconds: number;
  };
  readonly fetch: FetchCounters;
  /** What is stable: tombstones below may go. Absent while nothing is known to be. */
  readonly stable?: { readonly hlc: Hlc; readonly vector: VersionVector };
}

export interface OwnView {
  readonly hlc: Hlc;
  readonly vector: VersionVector;
  readonly chunkBytes: Readonly<Record<SiteId, number>>;
}

export function peerStatus(view: PeerView, own: OwnView, lastCallMs: number | undefined): PeerStatus {
  const opsBehind = lacking(own.vector, view.vector);
  const { site, url, state, opsReceived, opsPushed, bytesReceived, bytesPushed, skewMs } = view;
  return {
    site,
    url,
    state,
    opsBehind,
    secondsBehind: opsBehind === 0 ? 0 : distanceSeconds(view.hlc, view.seenHlc === HLC_ZERO ? own.hlc : view.seenHlc),
    opsAhead: lacking(view.vector, own.vector),
    clockSkewMs: skewMs,
    opsReceived,
    opsPushed,
    bytesReceived,
    bytesPushed,
    chunkBytesFetched: own.chunkBytes[site] ?? 0,
    ...(view.lastContactMs === undefined ? {} : { lastContactMs: view.lastContactMs }),
    ...(lastCallMs === undefined ? {} : { lastCallMs }),
    ...(view.lastError === undefined ? {} : { lastError: view.lastError }),
  };
}

/** Ops that `other` covers and `vector` does not. */
export function lacking(vector: VersionVector, other: VersionVector): number {
  return Object.keys(other).reduce((sum, origin) => sum + Math.max(0, seqOf(other, origin) - seqOf(vector, origin)), 0);
}

function distanceSeconds(ahead: Hlc, behind: Hlc): number {
  return Math.max(0, hlcWallMs(ahead) - hlcWallMs(behind)) / 1000;
}
