/** Whether what a site says of itself lets it in (decision 27). Pure. */
import { SkerryError, type Hlc, type Origin, type SiteId, type VersionVector } from '../contracts/index.ts';
import { hlcWallMs } from '../engine/hlc.ts';
import { evicted, type MemberRegister } from '../engine/members.ts';
import { originSite, stampDot } from '../engine/stamp.ts';
import { coversDot, seqOf } from '../engine/vector.ts';
import type { Watermark } from './protocol.ts';

/** What this site goes by. */
export interface Standing {
  readonly origin: Origin;
  readonly vector: VersionVector;
  readonly hlc: Hlc;
  readonly registers: readonly MemberRegister[];
  /** A newcomer may bring data that is this old. */
  readonly admitMs: number;
  readonly lastReport: (origin: Origin) => Watermark | undefined;
}

/** What the other one said of itself. */
export interface Applicant {
  readonly site: SiteId;
  readonly origin: Origin;
  readonly vector: VersionVector;
  /** Unix milliseconds of the first op of each origin, where it still knows. */
  readonly firstOpMs?: Readonly<Record<Origin, number>> | undefined;
}

/**
 * `Conflict` to be thrown, or `undefined` for who may come in: members, who was let in before, and anybody where this site is new itself. Reason `evicted`: this origin was removed from the cluster. `not-a-member`:
 * it is new and brings data so old that some member may have forgotten removals that are newer.
 */
export function refusal(own: Standing, other: Applicant): SkerryError | undefined {
  const register = own.registers.find(({ origin }) => origin === other.origin);
  if (register?.isMember === false) return evicted(other.origin, own.vector);
  if (register !== undefined || own.lastReport(other.origin) !== undefined || isNew(own, other.vector))
    return undefined;
  const members = new Set(own.registers.filter(({ isMember }) => isMember).map(({ origin }) => origin));
  const brought = Object.keys(other.vector).filter(
    (origin) => !members.has(origin) && seqOf(other.vector, origin) > seqOf(own.vector, origin),
  );
  const tooOld = brought.find((origin) => (other.firstOpMs?.[origin] ?? 0) < oldestMs(own, origin));
  return tooOld === undefined ? undefined : notAMember(other.site, tooOld);
}

/**
 * The oldest op of an unknown origin that is let in. While another incarnation of its site is a member nothing that is newer than the last
 * report of that one can have been forgotten.
 */
function oldestMs({ hlc, admitMs, registers, lastReport }: Standing, newcomer: Origin): number {
  const siblings = registers.filter(({ origin, isMember }) => isMember && originSite(origin) === originSite(newcomer));
  const reported = siblings
    .map(({ origin }) => lastReport(origin))
    .map((report) => (report ? hlcWallMs(report.hlc) : 0));
  return Math.min(hlcWallMs(hlc) - admitMs, ...reported);
}

/**
 * This site is alone; or no member is known to have heard of it, so that nobody can have gone by what it reported, and the other one
 * knows every member that it knows.
 */
function isNew({ origin: own, registers, lastReport }: Standing, theirs: VersionVector): boolean {
  const record = registers.find(({ origin }) => origin === own);
  const others = registers.filter(({ origin, isMember }) => isMember && origin !== own);
  const isHeardOf = others.some(
    ({ origin }) => record !== undefined && coversDot(lastReport(origin)?.vector ?? {}, stampDot(record.stamp)),
  );
  return !isHeardOf && others.every(({ stamp }) => coversDot(theirs, stampDot(stamp)));
}

function notAMember(site: SiteId, origin: Origin): SkerryError {
  const from = originSite(origin) === site ? '' : `, of ${origin},`;
  return new SkerryError(
    'Conflict',
    `${site} is not a member and brings data${from} from before removals that were forgotten here may have been made`,
    {
      details: {
        reason: 'not-a-member',
        site,
        origin,
        hint: `start ${site} with an empty data directory, then copy its data in with an S3 client`,
      },
    },
  );
}
