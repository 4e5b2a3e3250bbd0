/** What is known of a peer, for the loops that serve it and for status. */
import {
  SkerryError,
  type Hlc,
  type Origin,
  type PeerState,
  type SiteId,
  type VersionVector,
} from '../contracts/index.ts';
import { HLC_ZERO } from '../engine/hlc.ts';

/** Written by the one peer that it belongs to. */
export interface PeerView {
  state: PeerState;
  readonly site: SiteId;
  readonly url: string;
  /** Who answered last. */
  origin?: Origin;
  /** What it had when it last said so, and what came from it since. */
  vector: VersionVector;
  hlc: Hlc;
  /** Clock of the last op that came from it. */
  seenHlc: Hlc;
  /** Its wall clock minus ours, milliseconds. */
  skewMs: number;
  /** Unix milliseconds; absent before the first answer. */
  lastContactMs?: number;
  lastError?: string;
  /** Unix and monotonic milliseconds: it was found then that it has what we lack. */
  behindSince?: { readonly wallMs: number; readonly monotonicMs: number };
  caughtUpInMs?: number;
  opsReceived: number;
  opsPushed: number;
  bytesReceived: number;
  bytesPushed: number;
}

export function newPeerView(site: SiteId, url: string): PeerView {
  return {
    state: 'connecting',
    site,
    url,
    vector: {},
    hlc: HLC_ZERO,
    seenHlc: HLC_ZERO,
    skewMs: 0,
    opsReceived: 0,
    opsPushed: 0,
    bytesReceived: 0,
    bytesPushed: 0,
  };
}

export function unknownPeer(name: SiteId, known: readonly SiteId[]): SkerryError {
  const peers = known.length === 0 ? 'it has none' : `its peers: ${known.toSorted().join(', ')}`;
  return new SkerryError('NotFound', `${name} is not a peer of this site; ${peers}`);
}
