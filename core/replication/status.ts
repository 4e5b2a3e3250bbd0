/** How far a peer and we are apart. */
import type {
  Clock,
  Hlc,
  PeerStatus,
  Quarantined,
  ReplicationStatus,
  SiteId,
  VersionVector,
} from '../contracts/index.ts';
import { HLC_ZERO, hlcWallMs } from '../engine/hlc.ts';
import type { Replica } from '../engine/replica.ts';
import { originSite, stampDot, stampHlc } from '../engine/stamp.ts';
import { seqOf } from '../engine/vector.ts';
import type { Callers } from './callers.ts';
import type { Held } from './facts.ts';
import type { LeaseKeeper } from './lease-keeper.ts';
import type { PeerView } from './peer-view.ts';

/** Versions counted at most. */
export const PENDING_COUNT_MAX = 1000;

export interface OwnView {
  readonly hlc: Hlc;
  readonly vector: VersionVector;
  readonly chunkBytes: Readonly<Record<SiteId, number>>;
  readonly bytesBySite: ReadonlyMap<SiteId, number>;
  readonly leases: Pick<LeaseKeeper, 'leftMs'>;
  readonly callers: Pick<Callers, 'lastCallMs'>;
  readonly clock: Clock;
}

export function peerStatus(view: PeerView, own: OwnView): PeerStatus {
  const opsBehind = lacking(own.vector, view.vector);
  const { site, url, state, opsReceived, opsPushed, bytesReceived, bytesPushed, skewMs, origin } = view;
  const leaseMs = origin === undefined ? undefined : own.leases.leftMs(origin);
  const lastCallMs = own.callers.lastCallMs(site);
  return {
    site,
    url,
    state,
    opsBehind,
    secondsBehind: opsBehind === 0 ? 0 : distanceSeconds(view.hlc, view.seenHlc === HLC_ZERO ? own.hlc : view.seenHlc),
    opsAhead: lacking(view.vector, own.vector),
    bytesBehind: own.bytesBySite.get(site) ?? 0,
    clockSkewMs: skewMs,
    opsReceived,
    opsPushed,
    bytesReceived,
    bytesPushed,
    chunkBytesFetched: own.chunkBytes[site] ?? 0,
    ...(view.lastContactMs === undefined ? {} : { lastContactMs: view.lastContactMs }),
    ...(lastCallMs === undefined ? {} : { lastCallMs }),
    ...(view.lastError === undefined ? {} : { lastError: view.lastError }),
    ...(view.behindSince === undefined ? {} : { behindSinceMs: view.behindSince.wallMs }),
    ...(view.caughtUpInMs === undefined ? {} : { caughtUpInMs: view.caughtUpInMs }),
    ...(leaseMs === undefined ? {} : { leaseExpiresAtMs: Math.round(own.clock.wallMs() + leaseMs) }),
  };
}

/** Call it whenever it is known what the peer has: how long we lack some of it. */
export function noteDistance(view: PeerView, own: VersionVector, clock: Clock): void {
  const monotonicMs = clock.monotonicMs();
  if (lacking(own, view.vector) > 0) view.behindSince ??= { wallMs: clock.wallMs(), monotonicMs };
  else if (view.behindSince !== undefined) {
    view.caughtUpInMs = Math.round(monotonicMs - view.behindSince.monotonicMs);
    delete view.behindSince;
  }
}

interface PendingNow {
  readonly pending: ReplicationStatus['pending'];
  /** By the site that wrote them. */
  readonly bytesBySite: ReadonlyMap<SiteId, number>;
}

/** What hangs below a manifest node that is here counts as unfetched. */
export async function pendingStatus(replica: Pick<Replica, 'missing' | 'pending'>, clock: Clock): Promise<PendingNow> {
  const versions = await replica.pending(PENDING_COUNT_MAX);
  const hashes = new Set(versions.flatMap(({ entries }) => entries.map(({ hash }) => hash)));
  const missing = new Set(await replica.missing([...hashes]));
  const bytesBySite = new Map<SiteId, number>();
  for (const { stamp, entries } of versions) {
    const site = originSite(stampDot(stamp).origin);
    const lacks = entries.filter(({ hash, span }) => span !== undefined || missing.has(hash));
    const sum = lacks.reduce((total, { length, span }) => total + (span ?? length), 0);
    bytesBySite.set(site, (bytesBySite.get(site) ?? 0) + sum);
  }
  const [oldest] = versions;
  const oldestMs = oldest === undefined ? 0 : clock.wallMs() - hlcWallMs(stampHlc(oldest.stamp));
  const pending = {
    versions: versions.length,
    atLeast: versions.length === PENDING_COUNT_MAX,
    bytes: [...bytesBySite.values()].reduce((sum, one) => sum + one, 0),
    oldestSeconds: Math.max(0, oldestMs) / 1000,
  };
  return { pending, bytesBySite };
}

/** With how many ops wait, by what peers told. */
export function heldBack(
  quarantine: readonly Held[],
  own: VersionVector,
  views: readonly PeerView[],
): readonly Quarantined[] {
  return quarantine.map((held) => {
    const known = views.reduce((most, { vector }) => Math.max(most, seqOf(vector, held.origin)), 0);
    return { ...held, ops: Math.max(stampDot(held.stamp).seq, known) - seqOf(own, held.origin) };
  });
}

/** Ops that `other` covers and `vector` does not. */
export function lacking(vector: VersionVector, other: VersionVector): number {
  return Object.keys(other).reduce((sum, origin) => sum + Math.max(0, seqOf(other, origin) - seqOf(vector, origin)), 0);
}

function distanceSeconds(ahead: Hlc, behind: Hlc): number {
  return Math.max(0, hlcWallMs(ahead) - hlcWallMs(behind)) / 1000;
}
