/** What the store knows of one segment file. Segments are named by number alone; nothing in a path comes from outside. */
import type { Locator } from '../../core/contracts/index.ts';
import { encodeLocator } from './locator.ts';
import type { IndexEntry, SegmentHeader } from './format.ts';

const NAME_PATTERN = /^segment-([0-9a-f]{12})\.skc$/u;

export function segmentName(number: number): string {
  return `segment-${number.toString(16).padStart(12, '0')}.skc`;
}

/** `undefined` for a file that is no segment. */
export function segmentNumberOf(name: string): number | undefined {
  const hex = NAME_PATTERN.exec(name)?.[1];
  return hex === undefined ? undefined : Number.parseInt(hex, 16);
}

export interface SegmentFacts {
  /** Where records end. */
  readonly endOffset: number;
  readonly recordBytes: number;
}

export class Segment implements SegmentHeader {
  readonly number: number;
  readonly salt: number;
  readonly path: string;
  /** Where records end; all locators point below. */
  endOffset: number;
  /** Bytes of all records, dead ones included. */
  recordBytes: number;
  deadBytes = 0;
  /** No more records will come: it may be deleted when all are dead. */
  isComplete = false;
  /** Offsets of freed records: freeing twice must count once. */
  readonly freed = new Set<number>();
  /** There are dead records that the file beside the segment does not list yet. */
  isDeadListStale = false;

  constructor(header: SegmentHeader, path: string, facts: SegmentFacts) {
    this.number = header.number;
    this.salt = header.salt;
    this.path = path;
    this.endOffset = facts.endOffset;
    this.recordBytes = facts.recordBytes;
  }

  locatorOf(entry: IndexEntry): Locator {
    return encodeLocator(this.number, entry, this.salt);
  }

  /** Counts the record as dead; nothing when it is already. */
  markDead(entry: IndexEntry): void {
    if (this.freed.has(entry.offset)) return;
    this.freed.add(entry.offset);
    this.deadBytes += entry.headerLength + entry.dataLength;
    this.isDeadListStale = true;
  }

  /** The end, dead records all, is gone from the file. */
  cutTo(endOffset: number, records: readonly IndexEntry[]): void {
    for (const { offset, headerLength, dataLength } of records) {
      this.freed.delete(offset);
      this.deadBytes -= headerLength + dataLength;
      this.recordBytes -= headerLength + dataLength;
    }
    this.endOffset = endOffset;
    this.isDeadListStale = true;
  }

  get isDead(): boolean {
    return this.isComplete && this.deadBytes >= this.recordBytes;
  }
}

/** A segment file that says nothing credible about itself. It is kept, reported, and otherwise left alone. */
export interface UnreadableSegment {
  readonly number: number;
  readonly path: string;
  readonly reason: string;
}

/** All segments of a store, by number. */
export class SegmentTable {
  readonly #segments = new Map<number, Segment>();
  readonly #unreadable = new Map<number, UnreadableSegment>();
  #lastNumber = 0;

  get(number: number): Segment | undefined {
    return this.#segments.get(number);
  }

  unreadable(number: number): UnreadableSegment | undefined {
    return this.#unreadable.get(number);
  }

  add(segment: Segment): void {
    this.#segments.set(segment.number, segment);
    this.#lastNumber = Math.max(this.#lastNumber, segment.number);
  }

  addUnreadable(segment: UnreadableSegment): void {
    this.#unreadable.set(segment.number, segment);
    this.#lastNumber = Math.max(this.#lastNumber, segment.number);
  }

  delete(segment: Segment): void {
    this.#segments.delete(segment.number);
  }

  /** A number that no segment has or had since the store was opened. */
  nextNumber(): number {
    this.#lastNumber += 1;
    return this.#lastNumber;
  }

  values(): IterableIterator<Segment> {
    return this.#segments.values();
  }

  /** Numbers of all segments, readable or not, from `first` on, ascending. */
  numbersFrom(first: number): number[] {
    const all = [...this.#segments.keys(), ...this.#unreadable.keys()];
    return all.filter((number) => number >= first).sort((a, b) => a - b);
  }
}
