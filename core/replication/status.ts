/** How far a peer and we are apart. */
import type { Hlc, PeerStatus, SiteId, VersionVector } from '../contracts/index.ts';
import { HLC_ZERO, hlcWallMs } from '../engine/hlc.ts';
import { seqOf } from '../engine/vector.ts';
import type { PeerView } from './peer-view.ts';

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
