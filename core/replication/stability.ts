/**
 * The stable frontier: what nobody can still ship an older op for (rule 14; causal stability, Baquero, Almeida, Shoker:
 * "Making Operation-based CRDTs Operation-based", 2014). Pure.
 */
import type { Dot, Hlc, Origin, Stamp, VersionVector } from '../contracts/index.ts';
import { stampDot, stampHlc } from '../engine/stamp.ts';
import { coversDot, coversVector, meetVectors } from '../engine/vector.ts';
import type { Watermark } from './protocol.ts';

export interface Frontier {
  /** Every member has applied these ops. */
  readonly vector: VersionVector;
  /** Every member's clock is at or past this reading: what it writes from now on is stamped later. */
  readonly hlc: Hlc;
}

/**
 * The frontier that these reports prove, or `undefined` when they prove none: a member has not reported, or has something that we
 * (`own`) lack, which may hold older ops than those in question.
 */
export function stableFrontier(
  own: Watermark,
  members: readonly Origin[],
  marks: ReadonlyMap<Origin, Watermark>,
): Frontier | undefined {
  let frontier: Frontier = own;
  for (const member of members) {
    const mark = member === own.origin ? own : marks.get(member);
    if (mark === undefined || !coversVector(own.vector, mark.vector)) return undefined;
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
