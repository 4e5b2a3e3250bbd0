/**
 * Locators: `segment.offset.headerLength.dataLength.check` in base 36. The check is keyed by the segment's random salt, so a
 * locator that this store never gave out is told from one whose record is damaged, without reading anything.
 */
import type { Locator } from '../../core/contracts/index.ts';
import { RECORD_DATA_MAX_BYTES, RECORD_HEADER_MAX_BYTES, SEGMENT_MAX_BYTES } from './format.ts';
import type { IndexEntry } from './format.ts';

export interface Place extends IndexEntry {
  readonly segment: number;
  readonly check: number;
}

const PATTERN = /^(?:0|[1-9a-z][0-9a-z]{0,9})(?:\.(?:0|[1-9a-z][0-9a-z]{0,6})){4}$/u;
const RADIX = 36;

/** MurmurHash3's mixing steps: not cryptographic, enough to reject what is mistyped, stale or from another store. */
function mix(hash: number, value: number): number {
  const scrambled = Math.imul(Math.imul(value, 0xcc9e2d51) ^ (value >>> 15), 0x1b873593);
  const mixed = Math.imul(hash ^ scrambled, 0x85ebca6b);
  return mixed ^ (mixed >>> 13);
}

/** What `check` must be for a record of the segment with `salt`. */
export function checkOf(place: IndexEntry, salt: number): number {
  const hash = mix(mix(mix(salt, place.offset), place.headerLength), place.dataLength);
  return (Math.imul(hash, 0xc2b2ae35) ^ (hash >>> 16)) >>> 0;
}

export function encodeLocator(segment: number, entry: IndexEntry, salt: number): Locator {
  const check = checkOf(entry, salt).toString(RADIX);
  const { offset, headerLength, dataLength } = entry;
  return `${segment.toString(RADIX)}.${offset.toString(RADIX)}.${headerLength.toString(RADIX)}.${dataLength.toString(RADIX)}.${check}`;
}

/** `undefined` when no store of this kind ever makes such a locator. */
export function parseLocator(locator: Locator): Place | undefined {
  if (typeof locator !== 'string' || !PATTERN.test(locator)) return undefined;
  const [segment = 0, offset = 0, headerLength = 0, dataLength = 0, check = 0] = locator
    .split('.')
    .map((part) => Number.parseInt(part, RADIX));
  if (!Number.isSafeInteger(segment) || offset > SEGMENT_MAX_BYTES) return undefined;
  if (headerLength > RECORD_HEADER_MAX_BYTES || dataLength > RECORD_DATA_MAX_BYTES) return undefined;
  return { segment, offset, headerLength, dataLength, check };
}
