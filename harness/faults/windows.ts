/** Faults as plain data: when, where, how bad. A plan lists them; the world begins and ends them. */
import type { CrashPoint, DiskFaultKind } from '../sim/disk-faults.ts';
import type { LinkQuality } from '../sim/network.ts';

export type Fault =
  /** Power cut at a moment, and back after `downMs`. */
  | { readonly kind: 'crash'; readonly site: string; readonly survival: number; readonly downMs: number }
  /** Power cut when the site reaches a point inside a commit for the nth time from now. */
  | {
      readonly kind: 'crashAt';
      readonly site: string;
      readonly point: CrashPoint;
      readonly nth: number;
      readonly survival: number;
      readonly downMs: number;
    }
  /** Clean stop and start. */
  | { readonly kind: 'restart'; readonly site: string; readonly downMs: number }
  | {
      readonly kind: 'disk';
      readonly site: string;
      readonly what: DiskFaultKind;
      readonly rate: number;
      readonly forMs: number;
    }
  | { readonly kind: 'clockJump'; readonly site: string; readonly byMs: number }
  | { readonly kind: 'clockFreeze'; readonly site: string; readonly forMs: number }
  /** One direction, or both. */
  | {
      readonly kind: 'cut';
      readonly from: string;
      readonly to: string;
      readonly bothWays: boolean;
      readonly forMs: number;
    }
  | {
      readonly kind: 'link';
      readonly from: string;
      readonly to: string;
      readonly quality: LinkQuality;
      readonly forMs: number;
    }
  /** A backup of the site is taken; where it is to be taken from later. */
  | { readonly kind: 'backUp'; readonly site: string }
  /** Its disks are what they were in the backup. `isNoticed`: the next start sees that they are a copy. */
  | { readonly kind: 'restore'; readonly site: string; readonly downMs: number; readonly isNoticed: boolean }
  /** A copy of its disks is started as well, under the same id; it is gone after a while, and what nobody took from it with it. */
  | { readonly kind: 'clone'; readonly site: string; readonly isNoticed: boolean; readonly forMs: number }
  /** All disks of the site are lost. */
  | { readonly kind: 'wipe'; readonly site: string; readonly downMs: number };

export type FaultKind = Fault['kind'];

export interface PlannedFault {
  readonly id: string;
  readonly atMs: number;
  readonly fault: Fault;
}
