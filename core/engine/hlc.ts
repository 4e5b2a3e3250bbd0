/**
 * Hybrid logical clock (Kulkarni et al., "Logical Physical Clocks and Consistent Snapshots", 2014): 48-bit wall milliseconds
 * and a 16-bit counter, written as 16 lower-case hex digits so that string order is time order. Where the primary of a
 * primary-replica fleet was ever moved, readings also carry the fencing epoch in front, `p` and 8 hex digits: the highest-order part of the
 * clock. So whatever was written under an old epoch orders, and loses, before everything under a newer one, whatever the wall
 * clocks said, while order still follows causality: who has seen an epoch writes under it.
 */
import { SkerryError, type Hlc } from '../contracts/index.ts';

const COUNTER_LIMIT = 0x10000;
const WALL_LIMIT = 2 ** 48;
const PATTERN = /^(?:p[0-9a-f]{8})?[0-9a-f]{16}$/;
const READING_LENGTH = 16;
const EPOCH_MAX = 0xffff_ffff;

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
  return Number.parseInt(hlc.slice(-READING_LENGTH, -4), 16);
}

export function hlcCounter(hlc: Hlc): number {
  return Number.parseInt(hlc.slice(-4), 16);
}

const epochPart = (hlc: Hlc): string => hlc.slice(0, -READING_LENGTH);

/** Fencing epoch: 0 until a primary is moved. */
export function hlcEpoch(hlc: Hlc): number {
  return Number.parseInt(epochPart(hlc).slice(1) || '0', 16);
}

/** The same reading under the next epoch: after every reading of this one. */
export function raiseEpoch(hlc: Hlc): Hlc {
  const epoch = hlcEpoch(hlc) + 1;
  if (epoch > EPOCH_MAX) throw new SkerryError('ClockUntrusted', 'the fencing epoch cannot rise any more');
  return `p${epoch.toString(16).padStart(8, '0')}${hlc.slice(-READING_LENGTH)}`;
}

/** The next reading for a local event: strictly after `last`, at the wall clock when that is ahead. A full counter borrows a millisecond. */
export function nextHlc(last: Hlc, wallMs: number): Hlc {
  const lastWall = hlcWallMs(last);
  const wall = Math.floor(wallMs);
  const epoch = epochPart(last);
  if (wall > lastWall) return epoch + formatHlc(wall, 0);
  const counter = hlcCounter(last) + 1;
  return epoch + (counter < COUNTER_LIMIT ? formatHlc(lastWall, counter) : formatHlc(lastWall + 1, 0));
}

/** Merge on receipt: the clock never falls behind an op that was applied. */
export function mergeHlc(last: Hlc, seen: Hlc): Hlc {
  return last >= seen ? last : seen;
}
