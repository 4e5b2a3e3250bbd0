/**
 * Time from the future does not get in (rule 11): no op, snapshot or watermark moves a site's clock, or what it remembers of
 * others, further past its own wall clock than is allowed; and a wall clock that was set forward gets into no stamp.
 */
import { watermarkPrefix } from '../../core/engine/keys.ts';
import { decodeRecord } from '../../core/engine/records.ts';
import type { ClockChange } from '../sim/clock.ts';
import type { Commit } from '../sim/site-record.ts';
import type { Checker, SiteView, WorldView } from './checker.ts';

/** The last 16 digits of a reading begin with the wall clock. */
const wallMsOf = (hlc: string): number => Number.parseInt(hlc.slice(-16, -4), 16);
/** By what the clock said before a jump may be decided what is committed so much later. */
const DECIDING_MS = 2000;
/** A peer is believed that its clock agrees by what it said so long ago. */
const AGREEING_MS = 10_000;
/** A full counter borrows a millisecond. */
const SLACK_MS = 1;

export function futureChecker(maxClockDriftMs: number): Checker {
  return {
    name: 'future',
    onCommit(commit, view) {
      const { site, before, after } = commit;
      const clock = view.sites.find(({ name }) => name === site.name)?.clock;
      if (clock === undefined) return;
      const latestMs = clock.latestMs(DECIDING_MS) + maxClockDriftMs + SLACK_MS;
      const isLate = (hlc: string): boolean => wallMsOf(hlc) > latestMs;
      for (const { stamp, dot } of commit.ops)
        if (dot.origin !== `${site.name}.${site.incarnation}` && isLate(stamp.slice(0, stamp.indexOf('!'))))
          view.fail('future', `${site.name} let in ${stamp}, ${latestMs} is the latest that it may`);
      if (after !== undefined && after.hlc > (before?.hlc ?? '') && isLate(after.hlc))
        view.fail('future', `the clock of ${site.name} was moved to ${after.hlc}, past ${latestMs}`);
      checkWatermarks(commit, view, isLate);
      checkOwn(commit, view, maxClockDriftMs);
    },
  };
}

function checkWatermarks({ site, writes }: Commit, view: WorldView, isLate: (hlc: string) => boolean): void {
  const prefix = watermarkPrefix();
  for (const { space, key, value } of writes) {
    if (space !== 'peers' || value === undefined || !Buffer.from(key).subarray(0, prefix.length).equals(prefix))
      continue;
    const { hlc } = decodeRecord<{ readonly hlc: string }>(value);
    if (isLate(hlc)) view.fail('future', `${site.name} took in a watermark of ${hlc}`);
    else view.mark('watermark taken in');
  }
}

/**
 * Nothing is said where the clock was set more than once since the process began: the guard may have believed what came between. Nor
 * while another site's clock says the same: then it vouches for this one.
 */
function checkOwn({ site, ops }: Commit, view: WorldView, maxClockDriftMs: number): void {
  const own = view.sites.find(({ name }) => name === site.name);
  const change = own === undefined ? undefined : onlyChangeOf(own);
  if (change === undefined || change.byMs <= maxClockDriftMs + SLACK_MS) return;
  const others = view.sites.filter(({ name }) => name !== site.name);
  const sinceMs = view.nowMs() - change.atMs + AGREEING_MS;
  // or it was stamped before
  const latestMs = Math.max(change.wallMs, ...others.map(({ clock }) => clock.latestMs(sinceMs)));
  for (const { stamp, dot } of ops)
    if (
      dot.origin === `${site.name}.${site.incarnation}` &&
      wallMsOf(stamp.slice(0, stamp.indexOf('!'))) > latestMs + maxClockDriftMs + SLACK_MS
    )
      view.fail('future', `${site.name} stamped ${stamp} by a clock that was set forward by ${change.byMs} ms`);
}

function onlyChangeOf({ clock, startedMs, servesSinceMs }: SiteView): ClockChange | undefined {
  const [change, more] = clock.changesSince(startedMs);
  if (change === undefined || more !== undefined || servesSinceMs === undefined) return undefined;
  return change.atMs > servesSinceMs ? change : undefined;
}
