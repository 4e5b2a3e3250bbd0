/**
 * What replication needs of a site's engine: ops to serve, the door for ops that arrive, the bytes that are still missing,
 * and chunks by content. Knows nothing of peers or protocols.
 */
import type {
  ChunkHash,
  Hlc,
  ManifestEntry,
  Op,
  Origin,
  RecordKind,
  Stamp,
  VersionVector,
  ChunkStore,
  Hashing,
  MetaReader,
} from '../contracts/index.ts';
import type { ApplyOutcome, Committer } from './committer.ts';
import type { Damage } from './damage.ts';
import type { Reclaimer } from './reclaim.ts';
import type { Visibility } from './records.ts';
import type { VersionRef } from './version-ref.ts';

export type { VersionRef };

/** A consistent reading of what a site has applied. */
export interface Cut {
  readonly hlc: Hlc;
  readonly vector: VersionVector;
  /** Highest `seq` by origin that this site's oplog no longer holds. */
  readonly trimmed: VersionVector;
  /** An operator let in what is stamped up to here, wall milliseconds. */
  readonly letInMs?: number;
}

/** An op on its way between sites; small bodies travel with it. */
export interface WireOp {
  readonly op: Op;
  /** The whole body of a `version.put` of at most `shipInlineMaxBytes`. */
  readonly body?: Uint8Array;
}

export type OpsPage =
  /** In stamp order, which is causal order: each after all that it had seen. `more`: ask again with a later vector. */
  | { readonly kind: 'ops'; readonly ops: readonly WireOp[]; readonly more: boolean }
  /** The asker lacks ops of `origin` that are trimmed here: it must bootstrap (rule 14). */
  | { readonly kind: 'gap'; readonly origin: Origin; readonly trimmedTo: number };

export interface PageLimit {
  readonly maxOps: number;
  /** Of encoded ops and bodies, roughly; at least one op is given. */
  readonly maxBytes: number;
}

export interface ApplyReport {
  /** In the order of the batch. */
  readonly outcomes: readonly ApplyOutcome[];
  /** What this site covers now. */
  readonly vector: VersionVector;
}

/** A version whose bytes are not all here. */
export interface PendingVersion extends VersionRef {
  /** Top entries of what is to be fetched: the manifest and the parts table. */
  readonly entries: readonly ManifestEntry[];
}

export interface FetchedChunk {
  readonly hash: ChunkHash;
  readonly kind: RecordKind;
  readonly bytes: Uint8Array;
}

export interface Replica extends OpServer, BatchApplier, ChunkMover {
  readonly origin: Origin;
}

export interface OpServer {
  cut(): Promise<Cut>;
  /** Ops that a site with the vector `have` lacks and this one has. */
  opsAfter(have: VersionVector, limit: PageLimit): Promise<OpsPage>;
}

export interface BatchApplier {
  /**
   * Applies a batch in one transaction, in its order, durably. An op that cannot be applied yet (`early`, `held`) changes nothing
   * and does not stop ops of other origins. Rejects `ChecksumMismatch` when an inline body is not what its op says, and applies nothing;
   * `Conflict` with reason `evicted`, and applies nothing, when `via`, who brings them, was removed from the cluster: once a
   * report of this site covers the removal, nothing comes from there any more.
   */
  apply(batch: readonly WireOp[], via?: Origin): Promise<ApplyReport>;
}

export interface ChunkMover {
  /** Versions with missing bytes, oldest first, after the given stamp; none only if there are none. Those that nobody needs are forgotten. */
  pending(limit: number, after?: Stamp): Promise<readonly PendingVersion[]>;
  /** Which of these chunks this site does not have, or has only damaged, in the given order. */
  missing(hashes: readonly ChunkHash[]): Promise<readonly ChunkHash[]>;
  /** Entries under a manifest node that is here. */
  children(entry: ManifestEntry): Promise<readonly ManifestEntry[]>;
  /**
   * Stores chunks that were fetched for a pending version, durably. `ChecksumMismatch` when bytes and hash differ, and stores none.
   * Chunks that are here already are ignored, unless they are damaged: then they take the place of those.
   */
  storeChunks(chunks: readonly FetchedChunk[]): Promise<void>;
  /** All bytes of a pending version are here: it becomes visible. Idempotent; a version that is gone is fine. */
  complete(version: PendingVersion): Promise<void>;
  /**
   * One chunk, checked, to serve to a peer; `undefined` when it is not here. A small body belongs to its version alone and is found
   * only through it: an asker that fetches for a version names it as `holder`. `Corrupt` for one that is damaged or gone.
   */
  readChunk(
    hash: ChunkHash,
    holder?: VersionRef,
  ): Promise<{ readonly kind: RecordKind; readonly bytes: Uint8Array } | undefined>;
}

export interface ReplicaDeps {
  readonly reader: MetaReader;
  readonly committer: Committer;
  readonly chunkStore: ChunkStore;
  readonly hashing: Hashing;
  readonly reclaimer: Reclaimer;
  readonly origin: Origin;
  /** Bodies up to this size travel with their op, bytes; default 8 KiB. */
  readonly shipInlineMaxBytes?: number;
  readonly damage: Damage;
  /** When versions that arrive are shown; default `complete`. */
  readonly visibility?: Visibility;
}
