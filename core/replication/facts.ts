/** What replication tells the owner of the site: facts that somebody must know or act upon. */
import type { Origin, SiteId, Stamp } from '../contracts/index.ts';

export type ReplicationFact =
  /**
   * A peer knows more of our origin than we do, or another history of it: this data directory was restored or cloned (rule
   * 12). Replication stands still, both ways. The owner mints a new incarnation and starts anew, before the next write.
   */
  | {
      readonly kind: 'fenced';
      readonly by: SiteId;
      readonly ownSeq: number;
      readonly knownSeq: number;
      /** True: op `knownSeq` is another one there. */
      readonly diverged: boolean;
    }
  /** Two live sites have one site id. They refuse each other. */
  | { readonly kind: 'duplicate-site'; readonly site: SiteId; readonly origins: readonly Origin[] }
  /** Ops of an origin are not applied for now; see `Quarantined`. */
  | { readonly kind: 'quarantined'; readonly quarantined: Quarantined }
  | { readonly kind: 'released'; readonly origin: Origin }
  /** The peer no longer has ops that we lack (rule 14). */
  | {
      readonly kind: 'must-bootstrap';
      readonly peer: SiteId;
      readonly origin: Origin;
      readonly trimmedTo: number;
    };

export type FencedFact = Extract<ReplicationFact, { readonly kind: 'fenced' }>;

/** Ops of one origin that wait outside, with everything behind them (rule 11). */
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
}

export type OnFact = (fact: ReplicationFact) => void;
