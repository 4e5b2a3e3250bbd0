/**
 * Hybrid logical clock (Kulkarni et al., "Logical Physical Clocks and Consistent Snapshots", 2014): 48-bit wall milliseconds
 * and a 16-bit counter, written as 16 lower-case hex digits so that string order is time order.
 */
import { SkerryError, type Hlc } from '../contracts/index.ts';

const COUNTER_LIMIT = 0x10000;
const WALL_LIMIT = 2 ** 48;
const PATTERN = /^[0-9a-f]{16}$/;

/** Before every reading. */
export const HLC_ZERO: Hlc = '0000000000000000';

export function formatHlc(wallMs: number, counter: number): Hlc {
  if (!Number.isInteger(wallMs) || wallMs < 0 || wallMs >= WALL_LIMIT) {
    throw new SkerryError('ClockUntrusted', `wall clock ${wallMs} ms does not fit in 48 bits`, { details: { wallMs } });
  }
  return wallMs.toString(16).padStart(12, '0') + counter.toString(16).padStart(4, '0');
}

export function isHlc(text: string): text is Hlc {
  return PATTERN.test(text);
}

/** Wall part, Unix milliseconds. */
export function hlcWallMs(hlc: Hlc): number {
  return Number.parseInt(hlc.slice(0, 12), 16);
}

export function hlcCounter(hlc: Hlc): number {
  return Number.parseInt(hlc.slice(12), 16);
}

/** The next reading for a local event: strictly after `last`, at the wall clock when that is ahead. A full counter borrows a millisecond. */
export function nextHlc(last: Hlc, wallMs: number): Hlc {
  const lastWall = hlcWallMs(last);
  const wall = Math.floor(wallMs);
  if (wall > lastWall) return formatHlc(wall, 0);
  const counter = hlcCounter(last) + 1;
  return counter < COUNTER_LIMIT ? formatHlc(lastWall, counter) : formatHlc(lastWall + 1, 0);
}

/** Merge on receipt: the clock never falls behind an op that was applied. */
export function mergeHlc(last: Hlc, seen: Hlc): Hlc {
  return last >= seen ? last : seen;
}
