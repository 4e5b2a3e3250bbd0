/** What replication remembers over restarts and learns of membership: a port that the owner of the site implements. */
import type { Origin } from '../contracts/index.ts';
import type { MemberRegister } from '../engine/members.ts';
import type { Cut } from '../engine/replica.ts';
import type { Watermark } from './protocol.ts';

export interface ReplicationState {
  /**
   * A cut whose `hlc` is at least the present wall clock, and durably so: no later op of this site will have a stamp at or
   * below it, not after a restart either. Without it a site that nobody writes to would hold up everybody's stability.
   */
  tick(): Promise<Cut>;
  /** What is stamped up to `wallMs` is no longer held back for being ahead of our clock, durably (rule 11). */
  letIn(wallMs: number): Promise<void>;
  loadWatermarks(): Promise<readonly Watermark[]>;
  /** Durable when it resolves. Replaces what was saved for the same origin. */
  saveWatermarks(marks: readonly Watermark[]): Promise<void>;
  /** Forgets reports and leases, durably. */
  forgetPeers(origins: readonly Origin[]): Promise<void>;
  /** Who is a member and who was removed. */
  memberRegisters(): Promise<readonly MemberRegister[]>;
  /** Whether this origin was removed: asked at every call of a peer. */
  isRemoved(origin: Origin): Promise<boolean>;
  /** Records this site as a member, durably, unless it is recorded or was removed. Rejects as writes do. */
  join(): Promise<void>;
  /** Records that these origins are no longer members, durably. */
  removeMembers(origins: readonly Origin[]): Promise<void>;
  /** Unix milliseconds of the first op of each origin that has ops here, where that is still known. */
  firstOps(): Promise<Readonly<Record<Origin, number>>>;
  /** True while a snapshot is being taken in: this site reports no watermark (rule 15). */
  bootstrapping(): boolean;
}
