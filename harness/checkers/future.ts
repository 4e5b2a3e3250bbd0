/**
 * Time from the future does not get in (rule 11): no op, snapshot or watermark moves a site's clock, or what it remembers of
 * others, further past its own wall clock than is allowed.
 */
import { watermarkPrefix } from '../../core/engine/keys.ts';
import { decodeRecord } from '../../core/engine/records.ts';
import type { Commit } from '../sim/site-record.ts';
import type { Checker, WorldView } from './checker.ts';

/** The last 16 digits of a reading begin with the wall clock. */
const wallMsOf = (hlc: string): number => Number.parseInt(hlc.slice(-16, -4), 16);
/** By what the clock said before a jump may be decided what is committed so much later. */
const DECIDING_MS = 2000;
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
