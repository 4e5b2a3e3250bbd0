/** What a client does, as plain data: a plan holds nothing else, so that it can be printed, cut and run again. */
import type { BucketSettingName } from '../../core/contracts/index.ts';

/** Bytes that a write carries: the content is a function of these two. */
export interface Body {
  readonly content: number;
  readonly size: number;
}

/** `untilMs` is Unix time. */
export type Lock =
  | { readonly name: 'legalHold'; readonly value: 'ON' | 'OFF' }
  | { readonly name: 'retention'; readonly mode: 'COMPLIANCE' | 'GOVERNANCE'; readonly untilMs: number };

/** What a conditional write asks for. `current`: the ETag that the client reads just before. */
export type Condition = 'absent' | 'current';

interface OnKey {
  readonly bucket: string;
  readonly key: string;
}

export type ClientOp =
  | { readonly type: 'createBucket'; readonly bucket: string; readonly objectLock?: boolean }
  | { readonly type: 'deleteBucket'; readonly bucket: string }
  | { readonly type: 'setting'; readonly bucket: string; readonly name: BucketSettingName; readonly value: string }
  | (OnKey & {
      readonly type: 'put';
      readonly body: Body;
      readonly condition?: Condition;
      readonly tag?: string;
      /** The body comes in pieces with pauses in between, and maybe breaks off. */
      readonly stream?: { readonly pieceBytes: number; readonly pauseMs: number; readonly breaksOff: boolean };
    })
  | (OnKey & { readonly type: 'get'; readonly pauseMs?: number })
  | (OnKey & { readonly type: 'delete' })
  /** `pick`, in [0, 1), chooses among the versions that a listing shows. */
  | (OnKey & { readonly type: 'deleteVersion'; readonly pick: number })
  | (OnKey & { readonly type: 'tags'; readonly name: 'tags' | 'acl'; readonly value: string; readonly pick?: number })
  /** Object Lock on one of the versions. */
  | (OnKey & { readonly type: 'lock'; readonly pick: number; readonly lock: Lock })
  | { readonly type: 'deleteMany'; readonly bucket: string; readonly keys: readonly string[] }
  /** An access key is made, changed or removed. */
  | { readonly type: 'key'; readonly id: string; readonly change: 'create' | 'disable' | 'policy' | 'remove' }
  /** A write, and then a read at another site of a state that includes it. */
  | (OnKey & { readonly type: 'causal'; readonly body: Body; readonly toSite: string })
  | (OnKey & { readonly type: 'copy'; readonly toBucket: string; readonly toKey: string })
  | (OnKey & {
      readonly type: 'multipart';
      readonly parts: readonly Body[];
      readonly ending: 'complete' | 'abort' | 'leave' | 'completeTwice';
      /** This part is sent again while the upload is being completed, with this content. */
      readonly resend?: { readonly part: number; readonly body: Body };
      readonly pauseMs: number;
    })
  | { readonly type: 'list'; readonly bucket: string }
  | { readonly type: 'collectGarbage' };

export interface ClientStep {
  /** Unique within the plan; written into the metadata of what it writes. */
  readonly id: string;
  readonly atMs: number;
  readonly site: string;
  readonly op: ClientOp;
}
