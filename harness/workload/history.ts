/** What clients saw: the other half of what the checkers judge by. */
import type { Stamp } from '../../core/contracts/index.ts';
import type { ClientOp } from './steps.ts';

/** One call of a client. A step may make several. */
export interface CallRecord {
  readonly step: string;
  readonly site: string;
  readonly op: ClientOp;
  readonly beganMs: number;
  /** Ops that the site had applied when the call began, and when it ended. */
  readonly appliedBefore: number;
  readonly appliedAfter: number;
  readonly outcome: Outcome;
}

export type Outcome =
  | { readonly kind: 'done'; readonly seen: Seen }
  /** Refused with this code: nothing was changed. */
  | { readonly kind: 'refused'; readonly code: string; readonly message: string }
  /** The site crashed under the call. */
  | { readonly kind: 'lost' }
  /** Nobody was there to answer. */
  | { readonly kind: 'down' };

/** What a successful call told the client. */
export type Seen =
  | { readonly type: 'written'; readonly stamp: Stamp; readonly etag: string; readonly size: number }
  | { readonly type: 'read'; readonly stamp: Stamp; readonly sha256: string; readonly wanted: string | undefined }
  /** A read that waited for a write: what was written elsewhere, and the stamp or code that was answered. */
  | { readonly type: 'caused'; readonly wanted: Stamp; readonly answer: string }
  | { readonly type: 'deleted'; readonly versionId: string | undefined }
  | { readonly type: 'listed'; readonly rows: readonly string[] }
  | { readonly type: 'nothing' };
