/** What a site holds, summed over the counters that commits keep. */
import type { MetaReader } from '../contracts/index.ts';
import { NO_COUNTS } from './heads.ts';
import { decodeRecord, type CounterRecord } from './records.ts';
import { scanPages } from './scan-pages.ts';

export interface SiteCounts extends CounterRecord {
  readonly buckets: number;
}

const PAGE = 1000;

export async function countAll(reader: MetaReader): Promise<SiteCounts> {
  let sum: CounterRecord = NO_COUNTS;
  await forEachRow(reader, 'counters', (value) => {
    const counts = decodeRecord<CounterRecord>(value);
    sum = {
      objects: sum.objects + counts.objects,
      objectBytes: sum.objectBytes + counts.objectBytes,
      versions: sum.versions + counts.versions,
      versionBytes: sum.versionBytes + counts.versionBytes,
    };
  });
  let buckets = 0;
  await forEachRow(reader, 'buckets', () => buckets++);
  return { ...sum, buckets };
}

async function forEachRow(
  reader: MetaReader,
  space: 'counters' | 'buckets',
  visit: (value: Uint8Array) => void,
): Promise<void> {
  for await (const rows of scanPages(reader, { space, limit: PAGE })) for (const row of rows) visit(row.value);
}
