/** Counters that commits keep equal a recount. */
import {
  decodeRecord,
  type ConflictRecord,
  type CounterRecord,
  type VersionRecord,
} from '../../core/engine/records.ts';
import type { Checker, WorldView } from './checker.ts';
import { canonicalJson, scanAll } from './dump.ts';

/** Versions that lost the null-version register are counted apart. */
const NONE = { objects: 0, objectBytes: 0, versions: 0, versionBytes: 0, losers: 0 };
type Counts = typeof NONE;

export function counterChecker(): Checker {
  const look = async (view: WorldView): Promise<void> => {
    for (const { name, meta } of view.sites) {
      const counted = new Map<string, Counts>();
      for (const space of ['heads', 'versions'] as const) {
        for (const { key, value } of await scanAll(meta.reader, space)) {
          add(countsOf(counted, bucketOf(key)), decodeRecord<VersionRecord>(value), space === 'heads');
        }
      }
      for (const { key, value } of await scanAll(meta.reader, 'conflicts')) {
        if (decodeRecord<ConflictRecord>(value).loser) countsOf(counted, bucketOf(key)).losers++;
      }
      const stored = new Map<string, Counts>();
      for (const { key, value } of await scanAll(meta.reader, 'counters')) {
        stored.set(Buffer.from(key).toString('utf8'), { ...NONE, ...decodeRecord<CounterRecord>(value) });
      }
      const [is, wanted] = [stored, counted].map((counts) => canonicalJson(Object.fromEntries(counts)));
      if (is !== wanted) view.fail('counters', `${name} counts ${is}, there are ${wanted}`);
    }
  };
  return { name: 'counters', onLook: look, atEnd: look };
}

const bucketOf = (key: Uint8Array): string => Buffer.from(key.subarray(0, key.indexOf(0))).toString('utf8');

function countsOf(counted: Map<string, Counts>, bucket: string): Counts {
  const counts = counted.get(bucket) ?? { ...NONE };
  counted.set(bucket, counts);
  return counts;
}

function add(counts: Counts, version: VersionRecord, isHead: boolean): void {
  const size = version.content?.size ?? 0;
  counts.versions++;
  counts.versionBytes += size;
  if (isHead && version.marker !== true) counts.objects++;
  if (isHead) counts.objectBytes += size;
}
