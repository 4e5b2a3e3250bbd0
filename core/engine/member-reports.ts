/** What members reported of themselves, as it is remembered over restarts. */
import type { Hlc, MetaReader, Origin, VersionVector } from '../contracts/index.ts';
import { tupleRange, watermarkPrefix } from './keys.ts';
import { decodeRecord } from './records.ts';
import { scanPages } from './scan-pages.ts';

/** What a member reports of itself: what it has applied, and a clock that all its later ops are past. */
export interface MemberReport {
  readonly origin: Origin;
  readonly hlc: Hlc;
  readonly vector: VersionVector;
}

const PAGE = 1000;

/** The last one of each origin. */
export async function readReports(reader: MetaReader): Promise<readonly MemberReport[]> {
  const reports: MemberReport[] = [];
  for await (const rows of scanPages(reader, { space: 'peers', ...tupleRange(watermarkPrefix()), limit: PAGE }))
    reports.push(...rows.map(({ value }) => decodeRecord<MemberReport>(value)));
  return reports;
}
