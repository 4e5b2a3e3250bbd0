/**
 * The stable frontier: what nobody can still ship an older op for (rule 14; causal stability, Baquero, Almeida, Shoker:
 * "Making Operation-based CRDTs Operation-based", 2014). Pure.
 */
import type { Dot, Hlc, Origin, SiteId, Stamp, VersionVector } from '../contracts/index.ts';
import type { MemberRegister } from '../engine/members.ts';
import { originSite, stampDot, stampHlc } from '../engine/stamp.ts';
import { coversDot, coversVector, meetVectors } from '../engine/vector.ts';
import type { Watermark } from './protocol.ts';

export interface Frontier {
  /** Every member has applied these ops. */
  readonly vector: VersionVector;
  /** Every member's clock is at or past this reading: what it writes from now on is stamped later. */
  readonly hlc: Hlc;
}

export interface Cluster {
  readonly registers: readonly MemberRegister[];
  /** Sites that this one is told to call. */
  readonly peers: readonly SiteId[];
}

/**
 * The frontier that these reports prove, or `undefined` when they prove none. A member has not reported, or has something that we
 * (`own`) lack, which may hold older ops than those in question. Somebody who may be a member is not recorded: a configured peer, or an origin that
 * has ops here. Or a member has not heard of all that is recorded: it may still let in who was removed, and what a newcomer brings.
 */
export function stableFrontier(
  own: Watermark,
  { registers, peers }: Cluster,
  marks: ReadonlyMap<Origin, Watermark>,
): Frontier | undefined {
  const recorded = new Map(registers.map((register) => [register.origin, register]));
  const sites = new Set(registers.map(({ origin }) => originSite(origin)));
  if (recorded.get(own.origin)?.isMember !== true || recorded.size === 1) return undefined;
  if (!peers.every((site) => sites.has(site))) return undefined;
  if (!Object.keys(own.vector).every((origin) => recorded.has(origin))) return undefined;
  let frontier: Frontier = own;
  for (const { origin } of registers.filter(({ isMember }) => isMember)) {
    const mark = origin === own.origin ? own : marks.get(origin);
    if (mark === undefined || !coversVector(own.vector, mark.vector)) return undefined;
    if (!registers.every(({ stamp }) => coversDot(mark.vector, stampDot(stamp)))) return undefined;
    frontier = {
      vector: meetVectors(frontier.vector, mark.vector),
      hlc: mark.hlc < frontier.hlc ? mark.hlc : frontier.hlc,
    };
  }
  return frontier;
}

/** Is the op of this stamp stable? Then its tombstone may go. */
export function isStable(frontier: Frontier, stamp: Stamp): boolean {
  const dot: Dot = stampDot(stamp);
  return coversDot(frontier.vector, dot) && stampHlc(stamp) <= frontier.hlc;
}
