/** What checking a site found: its state against its own digest and its peers', its bytes against their hashes. JSON-safe. */
import type { ChunkHash, SiteId, Stamp, VersionVector } from './model.ts';

export interface ValidateInput {
  /** Peers to compare with; default all that are configured. `NotFound` for a site that is no peer. */
  readonly peers?: readonly SiteId[];
  /** Puts right what can be without losing anything that was acknowledged. */
  readonly repair?: boolean;
  /** Reads every chunk that versions refer to. */
  readonly deep?: boolean;
}

/** Part of the state that is compared as one. */
export type ValidatedEntity =
  | { readonly kind: 'version'; readonly bucket: string; readonly key: string; readonly stamp: Stamp }
  | { readonly kind: 'bucket'; readonly bucket: string }
  /** `of`: `principal`, `policy`, `member`. */
  | { readonly kind: 'register'; readonly of: string; readonly id: string };

export interface ValidationDifference {
  readonly entity: ValidatedEntity;
  /** Who has it: only this site, only the peer, or both, but not the same. */
  readonly has: 'ours' | 'theirs' | 'both';
  /** It was put right here; false: it was not asked for, or is to be put right at the peer, or by a person. */
  readonly repaired: boolean;
}

export interface PeerValidation {
  readonly peer: SiteId;
  /**
   * `equal`; `different`; `busy`: the two never had seen the same while it was waited, so that nothing can be said; `failed`: the peer
   * could not be asked.
   */
  readonly outcome: 'equal' | 'different' | 'busy' | 'failed';
  /** Ops that the peer had and this site lacked at the end, and the other way round; for `busy`. */
  readonly opsBehind?: number;
  readonly opsAhead?: number;
  /** For `failed`. */
  readonly error?: string;
  /** At most 1,000. What was repaired is listed too. */
  readonly differences: readonly ValidationDifference[];
  readonly differenceCount: number;
  readonly repairedCount: number;
  /** Leaves of the peer's digest that its own entities do not add up to: check that site. */
  readonly damagedDigestLeaves: number;
}

/** What this site's commits kept, against what is counted from its rows. */
export interface LocalValidation {
  /** Versions, buckets and registers. */
  readonly entities: number;
  /** Leaves of the digest that its entities do not add up to. */
  readonly damagedDigestLeaves: number;
  /** Buckets whose counters are wrong. */
  readonly wrongCounters: readonly string[];
  readonly repaired: boolean;
}

export interface BytesValidation {
  readonly chunks: number;
  readonly bytes: number;
  readonly versions: number;
  /** The first 1,000. */
  readonly bad: readonly {
    readonly bucket: string;
    readonly key: string;
    readonly stamp: Stamp;
    readonly hash: ChunkHash;
    readonly what: 'damaged' | 'missing';
    readonly repaired: boolean;
    /** Why it could not be repaired. */
    readonly reason?: string;
  }[];
  readonly badCount: number;
  readonly repairedCount: number;
  /** Damaged chunks that no version refers to. */
  readonly unheld: number;
}

export interface ValidationReport {
  readonly site: SiteId;
  readonly vector: VersionVector;
  /** Nothing is wrong, or nothing is any more: all peers that were asked are equal, the state adds up, the bytes are good. */
  readonly isSound: boolean;
  readonly local: LocalValidation;
  readonly peers: readonly PeerValidation[];
  readonly bytes?: BytesValidation;
  readonly tookMs: number;
}

export interface ValidationProgress {
  readonly stage: 'idle' | 'counting' | 'comparing' | 'repairing' | 'reading';
  /** Entities counted, or chunks read. */
  readonly done: number;
  readonly bytes?: number;
  readonly peer?: SiteId;
}

/** The last check that was asked for; one runs at a time. */
export interface ValidationState {
  readonly running: boolean;
  readonly progress: ValidationProgress;
  /** Of the last one that ended. */
  readonly report?: ValidationReport;
  readonly error?: { readonly code: string; readonly message: string };
}

/** The last background comparison of roots with a peer. */
export interface PeerCheck {
  readonly outcome: 'equal' | 'different' | 'busy' | 'failed';
  /** Unix milliseconds. */
  readonly atMs: number;
  /** Of the last one that said `equal`. */
  readonly equalAtMs?: number;
  readonly opsBehind?: number;
  readonly opsAhead?: number;
  readonly error?: string;
}

export interface Integrity {
  readonly peers: Readonly<Record<SiteId, PeerCheck>>;
  /** Records of stored bytes found damaged or gone since the start, and those replaced by good ones. */
  readonly damagedChunks: number;
  readonly repairedChunks: number;
}
