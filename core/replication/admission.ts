/** Whether what a site says of itself lets it in (decision 27). Pure. */
import { SkerryError, type Hlc, type Origin, type SiteId, type VersionVector } from '../contracts/index.ts';
import { hlcWallMs } from '../engine/hlc.ts';
import { evicted, type MemberRegister } from '../engine/members.ts';
import { originSite, stampDot, stampHlc } from '../engine/stamp.ts';
import { coversDot, seqOf } from '../engine/vector.ts';
import type { Watermark } from './protocol.ts';

/** What this site goes by. */
export interface Standing {
  readonly origin: Origin;
  readonly vector: VersionVector;
  /** As an applicant says it. */
  readonly firstOpMs: Readonly<Record<Origin, number>>;
  readonly hlc: Hlc;
  readonly registers: readonly MemberRegister[];
  /** A newcomer may bring data that is this old. */
  readonly admitMs: number;
  /** It has met others: they go by what it reports, and it by what they do. */
  readonly isReporting: boolean;
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
 * `Conflict` to be thrown, or `undefined` for who may come in: a member that has heard of another one, and before this site has met others
 * whoever knows all members that it knows, since then it may be the newcomer itself. Reason `evicted`: this origin was removed from
 * the cluster. `not-a-member`: it is new and brings data so old that some member may have forgotten removals that are newer.
 */
export function refusal(own: Standing, other: Applicant): SkerryError | undefined {
  const register = own.registers.find(({ origin }) => origin === other.origin);
  if (register?.isMember === false) return evicted(other.origin, own.vector);
  const tooOld = strangers(own, other, register).find(
    (origin) => (other.firstOpMs?.[origin] ?? 0) < oldestMs(own, other, origin),
  );
  return tooOld === undefined ? undefined : notAMember(other.site, tooOld);
}

/** Origins of which it brings ops that we lack, and that need to be young. */
function strangers(own: Standing, other: Applicant, register: MemberRegister | undefined): readonly Origin[] {
  const members = own.registers.filter(({ isMember }) => isMember);
  const others = members.filter(({ origin }) => origin !== own.origin && origin !== other.origin);
  const isSeen = ({ stamp }: MemberRegister): boolean => coversDot(other.vector, stampDot(stamp));
  if (!own.isReporting && others.every(isSeen)) return [];
  const brought = Object.keys(other.vector).filter(
    (origin) =>
      seqOf(other.vector, origin) > seqOf(own.vector, origin) && !members.some((member) => member.origin === origin),
  );
  const isOneOfUs = register !== undefined && members.some((member) => member !== register && isSeen(member));
  if (!isOneOfUs) return lacksNothingOld(own, other) ? [] : brought;
  // It joined after the removal, not knowing of it, and let in who was removed: nobody waited for what that one wrote before.
  return brought.filter((origin) => own.registers.some((one) => one.origin === origin && register.stamp > one.stamp));
}

/**
 * All that we know and it does not is younger than what may be forgotten, so no member that waits for our reports has forgotten
 * anything that it lacks: new sites that met each other before they met the old one. Records beyond our vector are of a snapshot
 * that is being taken in, of which nobody can say how old it is.
 */
function lacksNothingOld({ vector, firstOpMs, hlc, admitMs, registers }: Standing, other: Applicant): boolean {
  const sinceMs = hlcWallMs(hlc) - admitMs;
  const isYoung = (origin: Origin): boolean => (firstOpMs[origin] ?? 0) >= sinceMs;
  const isWhole = registers.every(({ stamp }) => [vector, other.vector].some((one) => coversDot(one, stampDot(stamp))));
  const lacked = Object.keys(vector).filter((origin) => seqOf(vector, origin) > seqOf(other.vector, origin));
  return isWhole && lacked.every(isYoung);
}

/**
 * The oldest op of a stranger that is let in. Whoever is a member since long may have let it in then. While an earlier incarnation of a
 * newcomer's site is a member, nothing that is newer than the last report of that one can have been forgotten.
 */
function oldestMs({ hlc, admitMs, registers, lastReport }: Standing, { origin }: Applicant, stranger: Origin): number {
  const register = registers.find((one) => one.origin === origin);
  if (register !== undefined) return Math.min(hlcWallMs(hlc), hlcWallMs(stampHlc(register.stamp))) - admitMs;
  const earlier = registers.filter((one) => one.isMember && originSite(one.origin) === originSite(stranger));
  const reports = (stranger === origin ? earlier : []).map((one) => lastReport(one.origin)?.hlc);
  return Math.min(hlcWallMs(hlc) - admitMs, ...reports.map((report) => (report ? hlcWallMs(report) : 0)));
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
