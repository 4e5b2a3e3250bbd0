/** What a site keeps for its peers, as replication uses it: a port that the engine's `keeping` fits. */
import type { Leases } from '../engine/leases.ts';
import type { CutSource } from '../engine/merge-cut.ts';
import type { MergingRecord } from '../engine/records.ts';
import type { CutServer } from '../engine/snapshot.ts';

export interface Kept {
  /** Snapshots of this site. */
  readonly cuts: Pick<CutServer, 'open' | 'find' | 'page' | 'release'>;
  /** Of this site's oplog. */
  readonly leases: Leases;
  /** Takes a peer's snapshot in; see `mergeCut`. */
  merge(source: CutSource, signal?: AbortSignal): Promise<void>;
  /** The snapshot that this site is in the middle of. */
  merging(): Promise<MergingRecord | undefined>;
}
