/** The row that every commit writes: the site's clock, and what it has applied. An empty store has none, which is a site before its first op. */
import type { MetaReader, VersionVector } from '../contracts/index.ts';
import { HLC_ZERO } from './hlc.ts';
import { clockKey } from './keys.ts';
import { decodeRecord, type ClockRecord } from './records.ts';
import type { Txn } from './txn.ts';
import { EMPTY_VECTOR } from './vector.ts';

const NO_CLOCK: ClockRecord = Object.freeze({ hlc: HLC_ZERO, vector: EMPTY_VECTOR });

export const decodeClock = (row: Uint8Array | undefined): ClockRecord =>
  row ? decodeRecord<ClockRecord>(row) : NO_CLOCK;

/** The same as a decision sees it, as the store has it: of what the commit authors and applies its context tells. */
export const clockIn = (txn: Txn): ClockRecord => txn.record<ClockRecord>(clockKey) ?? NO_CLOCK;

export async function readClock(reader: Pick<MetaReader, 'get'>): Promise<ClockRecord> {
  const [row] = await reader.get([clockKey]);
  return decodeClock(row);
}

/** What the site has applied. */
export async function readVector(reader: Pick<MetaReader, 'get'>): Promise<VersionVector> {
  return (await readClock(reader)).vector;
}
