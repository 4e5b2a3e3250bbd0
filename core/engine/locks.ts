/**
 * Object Lock between sites (rules 7 and 10). Pure: what two values of a register become, and whether a removal that had
 * not seen a lock takes effect. Source for the modes: Amazon S3 User Guide, "Locking objects with Object Lock".
 */
import type { Json, Retention, Stamp, VersionSettingName } from '../contracts/index.ts';
import { hlcWallMs } from './hlc.ts';
import type { LockMark, Register, Removal, VersionRecord } from './records.ts';
import { stampDot, stampHlc } from './stamp.ts';
import { coversDot } from './vector.ts';

const wallMsOf = (stamp: Stamp): number => hlcWallMs(stampHlc(stamp));

export function retentionOf(value: Json | undefined): Retention | undefined {
  const retention = value as Partial<Retention> | null | undefined;
  return typeof retention === 'object' && typeof retention?.until === 'number' ? (retention as Retention) : undefined;
}

export const isHold = (value: Json | undefined): boolean => value === 'ON' || value === true;

/** What a setting is when both were written: commutative, associative, idempotent. */
export function mergeSetting(name: VersionSettingName, known: Register | undefined, set: Register): Register {
  if (!known) return set;
  const [earlier, later] = known.stamp < set.stamp ? [known, set] : [set, known];
  if (name === 'retention') return mergeRetentions(earlier, later);
  if (name === 'legalHold') return mergeHolds(earlier, later);
  return later;
}

/** Last writer wins, but COMPLIANCE in force is never shortened or taken away: of two the later date holds. */
function mergeRetentions(earlier: Register, later: Register): Register {
  const [before, after] = [retentionOf(earlier.value), retentionOf(later.value)];
  if (before?.mode !== 'COMPLIANCE') return later;
  const holdsUntilMs = Math.max(wallMsOf(later.stamp), after?.mode === 'COMPLIANCE' ? after.until : 0);
  return before.until > holdsUntilMs ? { value: earlier.value, stamp: later.stamp } : later;
}

/** Last writer wins; at one time of the clock the hold wins, whichever site has the larger name. */
function mergeHolds(earlier: Register, later: Register): Register {
  const isTie = stampHlc(earlier.stamp) === stampHlc(later.stamp);
  return isTie && isHold(earlier.value) && !isHold(later.value) ? earlier : later;
}

export function lockMark(name: VersionSettingName, { value, stamp }: Register): LockMark | undefined {
  if (name === 'legalHold') return isHold(value) ? { stamp } : undefined;
  const retention = name === 'retention' ? retentionOf(value) : undefined;
  return retention && { stamp, untilMs: retention.until };
}

export function withSetting(version: VersionRecord, name: VersionSettingName, set: Register): VersionRecord {
  const settings = { ...version.settings, [name]: mergeSetting(name, version.settings?.[name], set) };
  const mark = version.nullVersion ? undefined : lockMark(name, set);
  return { ...version, settings, ...(mark ? { locks: addLock(version.locks ?? [], mark) } : {}) };
}

/** One mark stands for an earlier one of its origin that ends no later: who has not seen the earlier has not seen it either. */
export function addLock(marks: readonly LockMark[], mark: LockMark): readonly LockMark[] {
  if (marks.some((other) => standsFor(other, mark))) return marks;
  const left = marks.filter((other) => !standsFor(mark, other));
  return [...left, mark].toSorted((a, b) => (a.stamp < b.stamp ? -1 : 1));
}

function standsFor(mark: LockMark, other: LockMark): boolean {
  const [dot, otherDot] = [stampDot(mark.stamp), stampDot(other.stamp)];
  return dot.origin === otherDot.origin && dot.seq >= otherDot.seq && endOf(mark) >= endOf(other);
}

const endOf = ({ untilMs }: LockMark): number => untilMs ?? Number.POSITIVE_INFINITY;

/** Was the lock set unseen by the removal, and does it last past it? */
export function isVoidedBy(removal: Removal, mark: LockMark): boolean {
  return endOf(mark) > wallMsOf(removal.stamp) && !coversDot(removal.deps, stampDot(mark.stamp));
}

/** Under a legal hold or a retention that is in force. */
export function isLocked(
  { settings }: Pick<VersionRecord, 'settings'>,
  nowMs: number,
  bypassGovernance = false,
): boolean {
  const retention = retentionOf(settings?.retention?.value);
  const isRetained = retention && retention.until > nowMs && !(retention.mode === 'GOVERNANCE' && bypassGovernance);
  return isHold(settings?.legalHold?.value) || isRetained === true;
}
