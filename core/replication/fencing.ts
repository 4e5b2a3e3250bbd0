/**
 * Is it us that a peer knows? Both sides ask at every handshake (rule 12). What a peer knew before we looked at our own
 * vector can only be less than ours, unless our past was taken from us.
 */
import type { Dot, Origin, SiteId, Stamp, VersionVector } from '../contracts/index.ts';
import type { Cut, Replica } from '../engine/replica.ts';
import { stampDot } from '../engine/stamp.ts';
import { seqOf } from '../engine/vector.ts';
import type { FencedFact } from './facts.ts';

export interface Claim {
  readonly site: SiteId;
  readonly vector: VersionVector;
  /** The last op of ours that it has. */
  readonly yours?: Stamp | undefined;
}

/** Set when the peer's claim shows that this is not the whole history of our origin, or not the only one. */
export async function fenceAgainst(
  replica: Pick<Replica, 'origin' | 'cut' | 'opsAfter'>,
  claim: Claim,
): Promise<FencedFact | undefined> {
  const cut = await replica.cut();
  const knownSeq = seqOf(claim.vector, replica.origin);
  const ownSeq = seqOf(cut.vector, replica.origin);
  const fenced = { kind: 'fenced', by: claim.site, ownSeq, knownSeq, diverged: false } as const;
  if (knownSeq > ownSeq) return fenced;
  if (claim.yours === undefined) return undefined;
  const dot = stampDot(claim.yours);
  const own = dot.origin === replica.origin ? await stampAt(replica, cut, dot) : undefined;
  return own === undefined || own === claim.yours ? undefined : { ...fenced, diverged: true };
}

/** Stamp of the last op of `origin` that is here, unless there is none or it was trimmed. */
export async function lastStampOf(
  replica: Pick<Replica, 'opsAfter'>,
  cut: Cut,
  origin: Origin,
): Promise<Stamp | undefined> {
  const seq = seqOf(cut.vector, origin);
  return seq === 0 ? undefined : stampAt(replica, cut, { origin, seq });
}

/** Of the op of this dot, unless it is not here or was trimmed. */
export async function stampAt(replica: Pick<Replica, 'opsAfter'>, cut: Cut, dot: Dot): Promise<Stamp | undefined> {
  if (seqOf(cut.vector, dot.origin) < dot.seq || seqOf(cut.trimmed, dot.origin) >= dot.seq) return undefined;
  // All but the ops from this one on; others that were applied this moment may come along.
  const page = await replica.opsAfter(
    { ...cut.vector, [dot.origin]: dot.seq - 1 },
    { maxOps: 16, maxBytes: 64 * 1024 },
  );
  if (page.kind === 'gap') return undefined;
  return page.ops.find(({ op }) => op.dot.origin === dot.origin && op.dot.seq === dot.seq)?.op.stamp;
}
