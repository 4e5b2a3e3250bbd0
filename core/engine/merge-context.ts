/** What merging a snapshot's entity works on. */
import type { Stamp, VersionVector } from '../contracts/index.ts';
import type { ApplyContext } from './apply-context.ts';
import type { Visibility } from './records.ts';
import { stampDot } from './stamp.ts';
import { coversDot } from './vector.ts';

export interface MergeContext extends Pick<ApplyContext, 'txn' | 'effects'> {
  /** What this site had applied. */
  readonly own: VersionVector;
  /** What the snapshot covers. */
  readonly cut: VersionVector;
  /** When versions are shown whose bytes have to be fetched; default `complete`. */
  readonly visibility?: Visibility | undefined;
}

export const covers = (vector: VersionVector, stamp: Stamp): boolean => coversDot(vector, stampDot(stamp));
