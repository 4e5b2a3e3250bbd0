/**
 * This site among the members: it records itself, takes earlier incarnations of itself out, lets nobody in who was removed or
 * brings what is too old, and finds out when it was removed itself.
 */
import {
  isSkerryError,
  type Clock,
  type Hlc,
  type Logger,
  type Origin,
  type PeerIdentity,
  type SiteId,
  type VersionVector,
} from '../contracts/index.ts';
import { evicted, type MemberRegister } from '../engine/members.ts';
import type { Replica } from '../engine/replica.ts';
import { originSite } from '../engine/stamp.ts';
import { coversVector, seqOf } from '../engine/vector.ts';
import { refusal, type Applicant } from './admission.ts';
import type { EvictedFact } from './facts.ts';
import type { ReplicationOptions } from './options.ts';
import type { ReplicationState } from './state.ts';
import type { Watermarks } from './watermarks.ts';

export interface MembershipDeps {
  readonly self: PeerIdentity;
  readonly replica: Pick<Replica, 'cut'>;
  readonly state: Pick<ReplicationState, 'memberRegisters' | 'isRemoved' | 'firstOps' | 'join' | 'removeMembers'>;
  readonly watermarks: Pick<Watermarks, 'lastReport' | 'isReporting' | 'begin'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly options: ReplicationOptions;
  readonly onEvicted: (fact: EvictedFact) => void;
}

/** An earlier incarnation of this site: its last report, and since when there was no other. */
interface Ghost {
  readonly report: Hlc | undefined;
  readonly sinceMs: number;
}

/** That somebody was removed, as it is told to it. */
export interface EvictionNotice {
  readonly origin: Origin;
  readonly knownSeq: number;
}

/** Who tells, and what it has. */
export interface Teller {
  readonly site: SiteId;
  readonly vector: VersionVector;
}

export class Membership {
  readonly #deps: MembershipDeps;
  readonly #ghosts = new Map<Origin, Ghost>();
  #hasJoined = false;
  #wasRefused = false;
  #joining: Promise<void> | undefined;

  constructor(deps: MembershipDeps) {
    this.#deps = deps;
  }

  /** `undefined`: it was not removed. */
  async noticeFor(origin: Origin): Promise<EvictionNotice | undefined> {
    const { state, replica } = this.#deps;
    if (!(await state.isRemoved(origin))) return undefined;
    return { origin, knownSeq: seqOf((await replica.cut()).vector, origin) };
  }

  /** `Conflict` with reason `evicted` for an origin that was removed. */
  async admit({ origin }: PeerIdentity): Promise<void> {
    const { state, replica } = this.#deps;
    if (await state.isRemoved(origin)) throw evicted(origin, (await replica.cut()).vector);
  }

  /** `Conflict` for who must not come in, by what it says of itself: see admission.ts. */
  async judge(other: Applicant): Promise<void> {
    const { replica, state, self, options, watermarks } = this.#deps;
    const { vector, hlc } = await replica.cut();
    const refused = refusal(
      {
        origin: self.origin,
        vector,
        firstOpMs: await state.firstOps(),
        hlc,
        registers: await state.memberRegisters(),
        admitMs: options.tombstoneGraceMs / 2,
        isReporting: watermarks.isReporting(),
        lastReport: (origin) => watermarks.lastReport(origin),
      },
      other,
    );
    if (refused !== undefined) throw refused;
  }

  /** A peer says that an origin was removed: is it ours? */
  async heed({ site: by, vector: theirs }: Teller, { origin, knownSeq }: EvictionNotice): Promise<void> {
    const { self, replica, onEvicted } = this.#deps;
    if (origin !== self.origin) return;
    const { vector } = await replica.cut();
    onEvicted({ kind: 'evicted', by, ownSeq: seqOf(vector, self.origin), knownSeq, vector: theirs });
  }

  /**
   * Records this site, unless it was removed. A site that may not write now, since its clock is not trusted for one, does so later;
   * until then nothing is stable where its ops are.
   */
  async join(): Promise<void> {
    if (!this.#hasJoined) await (this.#joining ??= this.#join().finally(() => (this.#joining = undefined)));
  }

  /** Something was written here, so that perhaps all may be written. Costs nothing once this site is recorded. */
  joinSoon(): void {
    if (this.#hasJoined || this.#joining !== undefined) return;
    this.join().catch((error: unknown) => this.#deps.logger.error({ err: error }, 'this site could not be recorded'));
  }

  async #join(): Promise<void> {
    const { state, logger } = this.#deps;
    try {
      await state.join();
      this.#hasJoined = true;
    } catch (error) {
      if (!isSkerryError(error)) throw error;
      if (!this.#wasRefused)
        logger.warn({ err: error }, 'this site could not be recorded as a member; it is tried again');
      this.#wasRefused = true;
    }
  }

  /**
   * Call it now and then while peers are in reach; `theirs` is what one of them has: once we have it too, this site reports. Takes out earlier incarnations of this site:
   * when we have what the peer has of them, and nothing new was heard of them for so long that they are not alive elsewhere.
   */
  async tend(theirs: VersionVector = {}): Promise<void> {
    await this.join();
    const { self, state, replica, logger, watermarks } = this.#deps;
    const { vector } = await replica.cut();
    if (Object.keys(theirs).length > 0 && coversVector(vector, theirs)) await watermarks.begin();
    const origins = earlier(self, await state.memberRegisters(), Object.keys(vector));
    const gone = origins.filter((origin) => this.#isSilent(origin) && seqOf(vector, origin) >= seqOf(theirs, origin));
    if (gone.length === 0) return;
    await state.removeMembers(gone);
    logger.info({ origins: gone }, 'earlier incarnations of this site are no longer members');
  }

  #isSilent(origin: Origin): boolean {
    const { watermarks, clock, options } = this.#deps;
    const report = watermarks.lastReport(origin)?.hlc;
    const known = this.#ghosts.get(origin);
    const nowMs = clock.monotonicMs();
    if (known !== undefined && known.report === report)
      return nowMs - known.sinceMs >= 2 * (options.longPollMs + options.callTimeoutMs);
    this.#ghosts.set(origin, { report, sinceMs: nowMs });
    return false;
  }
}

/** Other incarnations of this site that are members, or have ops here and no record. */
function earlier(
  self: PeerIdentity,
  registers: readonly MemberRegister[],
  withOps: readonly Origin[],
): readonly Origin[] {
  const removed = new Set(registers.filter(({ isMember }) => !isMember).map(({ origin }) => origin));
  const all = new Set([...registers.map(({ origin }) => origin), ...withOps]);
  return [...all].filter(
    (origin) => originSite(origin) === self.site && origin !== self.origin && !removed.has(origin),
  );
}
