/**
 * Conflicts and causality as the object service shows them (rules 6 and 18). A key is in conflict while a version of it is
 * neither current nor seen by any later write of the key; every site with the same vector lists the same ones.
 */
import type { SiteId, Stamp } from './model.ts';

/** One side of a conflict. */
export interface ConflictSide {
  /**
   * Of the stamp, also for null versions. While a loser is listed, `openObject`, `headObject` and `copyObject` (as source)
   * find it by this id.
   */
  readonly versionId: string;
  readonly stamp: Stamp;
  /** Who wrote it. */
  readonly site: SiteId;
  /** Unix milliseconds. Of a removal: its clock reading. */
  readonly writtenAtMs: number;
  /** `removal`: no version at all, the null version was removed while versioning was off. Only winners are removals. */
  readonly kind: 'object' | 'marker' | 'removal';
  readonly nullVersion: boolean;
  /** Canonical id; absent on removals. */
  readonly owner?: string;
  /** Bytes; objects only. */
  readonly size?: number;
  /** Without quotes; objects only. */
  readonly etag?: string;
  /** Its bytes have not arrived at this site. */
  readonly pending?: true;
}

export interface ConflictedKey {
  readonly bucket: string;
  readonly key: string;
  /** What is current: the largest stamp (rule 5). */
  readonly winner: ConflictSide;
  /** Newest first, at least one. */
  readonly losers: readonly ConflictSide[];
  /** The conflict resolver's verdict on what the losers are. */
  readonly shownAs: 'conflict' | 'sibling';
}

export interface ListConflictsInput {
  readonly bucket: string;
  readonly prefix?: string;
  /** Strictly after this key in byte order. */
  readonly after?: string;
  /** 1 to 1,000. */
  readonly limit: number;
}

export interface KeyRef {
  readonly bucket: string;
  readonly key: string;
}

export interface ConflictPage {
  /** Byte order of the keys. */
  readonly entries: readonly ConflictedKey[];
  readonly truncated: boolean;
  /** Last key of this page: pass it as `after`. Absent when not truncated. */
  readonly next?: string;
}

export interface ResolveConflictInput {
  readonly bucket: string;
  readonly key: string;
  /**
   * `current`: the winner stays and the losers go. A version id of a listed side: that one becomes current. `all`: the winner stays current
   * and no side is lost: what is not a version of its own already is written anew, as a version of the key where versioning is
   * enabled, else as an object `<key>~conflict~<versionId>`.
   */
  readonly choose: 'current' | 'all' | (string & {});
  /** Owner of what is written anew beside the key; the key itself keeps the chosen side's. */
  readonly owner: string;
}

export interface ResolvedConflict {
  /** Losers that are not listed any more. */
  readonly ended: number;
  /** What is current now; absent when nothing is. Shown as in WriteResult. */
  readonly versionId?: string;
  /** Where `all` put the losers that would have been lost. */
  readonly kept: readonly { readonly key: string; readonly versionId: string }[];
  readonly causality: string;
}

/** What a causal read is about, as far as the caller can tell. */
export interface CausalScope {
  readonly bucket?: string;
  /** One object: it must be there with its bytes. */
  readonly key?: string;
  /** A listing: everything under the prefix must be there with its bytes. */
  readonly prefix?: string;
}

export interface ConflictService {
  /** Keys in conflict, 1 to 1,000 a page. `NoSuchBucket`. */
  listConflicts(input: ListConflictsInput): Promise<ConflictPage>;
  /** `NotFound` when the key is not in conflict. */
  getConflict(ref: KeyRef): Promise<ConflictedKey>;
  /**
   * Version ids of the losers that the resolver shows as siblings of the current version, newest first; none when it does not show them
   * or the key is not in conflict.
   */
  listSiblings(ref: KeyRef): Promise<readonly string[]>;
  /**
   * Ends a conflict by ordinary writes that have seen all of it, in one transaction; so it ends on every site. `NotFound` when the key is not
   * in conflict or the side is not listed, `Conflict` (repeat) when another write came between, `Unavailable` when bytes that it needs have not
   * arrived.
   */
  resolveConflict(input: ResolveConflictInput): Promise<ResolvedConflict>;
  /** Unresolved losers by bucket; buckets without any are absent. Costs a pass over all of them. */
  countConflicts(): Promise<Readonly<Record<string, number>>>;

  /** Opaque token of what this site has applied so far (rule 18). */
  causality(): Promise<string>;
  /**
   * Resolves once this site's state includes what the token says, and what readers of the scope see does too. `InvalidArgument` for a
   * token that no site made, `Unavailable` with `retryAfterMs` after `timeoutMs` (default 5,000), `Aborted` by the signal.
   */
  waitFor(
    token: string,
    scope?: CausalScope,
    options?: { readonly timeoutMs?: number; readonly signal?: AbortSignal },
  ): Promise<void>;
}
