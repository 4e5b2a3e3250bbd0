/** What replication tells the owner of the site: facts that somebody must know or act upon. */
import type { Evicted, Fenced, Origin, Quarantined, SiteId, VersionVector } from '../contracts/index.ts';

export type ReplicationFact =
  /**
   * A peer knows more of our origin than we do, or another history of it: this data directory was restored or cloned (rule
   * 12). Replication stands still, both ways. The owner mints a new incarnation and starts anew, before the next write.
   */
  | ({ readonly kind: 'fenced' } & Fenced)
  /** Two live sites have one site id. They refuse each other. Of one and the same origin: one is a clone of the other. */
  | { readonly kind: 'duplicate-site'; readonly site: SiteId; readonly origins: readonly Origin[] }
  /** Ops of an origin are not applied for now; see `Quarantined`. */
  | { readonly kind: 'quarantined'; readonly quarantined: Held }
  | { readonly kind: 'released'; readonly origin: Origin }
  /**
   * This origin was removed from the cluster and is taken in nowhere any more (rule 14). Told again when a peer is found that knows more of
   * its ops. Where all are known the owner may start anew with another incarnation; else what only this site has is at stake.
   */
  | ({
      readonly kind: 'evicted';
      /** What the one that told has. */
      readonly vector: VersionVector;
    } & Evicted)
  /** This site and the peer are each half filled with the other's snapshot: an operator has to say who goes first. */
  | { readonly kind: 'bootstrap-standoff'; readonly peer: SiteId }
  /** The peer no longer has ops that we lack (rule 14): its snapshot is taken. */
  | {
      readonly kind: 'must-bootstrap';
      readonly peer: SiteId;
      readonly origin: Origin;
      readonly trimmedTo: number;
    };

/** What is remembered of ops that wait; how many there are is told by peers. */
export type Held = Omit<Quarantined, 'ops'>;

export type EvictedFact = Extract<ReplicationFact, { readonly kind: 'evicted' }>;
export type FencedFact = Extract<ReplicationFact, { readonly kind: 'fenced' }>;

/** A peer said who it is, either way round, and is believed. */
export interface Handshake {
  readonly site: SiteId;
  readonly vector: VersionVector;
  /**
   * Set when its wall clock and ours were at most a fraction of what is tolerated apart: what ours was ahead of the monotonic clock then,
   * milliseconds. It may have jumped since.
   */
  readonly agreedOffsetMs?: number;
}

export type OnFact = (fact: ReplicationFact) => void;
