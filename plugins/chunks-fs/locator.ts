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

const FIELD_COUNT = 5;
const FIELD_MAX_CHARACTERS = 10;
const DOT = 46;

/** 0 to 35, or NaN for what is no lower-case digit of base 36. */
function digitOf(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  return code >= 97 && code <= 122 ? code - 87 : Number.NaN;
}

/** Character by character: a regular expression and a split cost a microsecond on every small read. */
function parseFields(text: string): readonly number[] | undefined {
  const fields: number[] = [];
  let value = 0;
  let count = 0;
  for (let at = 0; at <= text.length; at += 1) {
    const code = at === text.length ? DOT : text.charCodeAt(at);
    if (code === DOT) {
      if (count === 0) return undefined;
      fields.push(value);
      value = 0;
      count = 0;
      continue;
    }
    // one spelling a number: a zero may only stand alone
    if (count === FIELD_MAX_CHARACTERS || (count === 1 && value === 0)) return undefined;
    value = value * RADIX + digitOf(code);
    count += 1;
  }
  return fields.length === FIELD_COUNT && fields.every(Number.isSafeInteger) ? fields : undefined;
}

/** `undefined` when no store of this kind ever makes such a locator. */
export function parseLocator(locator: Locator): Place | undefined {
  const fields = typeof locator === 'string' && locator.length <= 128 ? parseFields(locator) : undefined;
  if (fields === undefined) return undefined;
  const [segment = 0, offset = 0, headerLength = 0, dataLength = 0, check = 0] = fields;
  if (offset > SEGMENT_MAX_BYTES || headerLength > RECORD_HEADER_MAX_BYTES) return undefined;
  return dataLength > RECORD_DATA_MAX_BYTES ? undefined : { segment, offset, headerLength, dataLength, check };
}
