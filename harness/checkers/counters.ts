/** Counters that commits keep equal a recount. */
import type { VersionRecord } from '../../core/engine/records.ts';
import { decodeRecord, type CounterRecord } from '../../core/engine/records.ts';
import type { Checker, WorldView } from './checker.ts';
import { canonicalJson, scanAll } from './dump.ts';

type Counts = { -readonly [Name in keyof CounterRecord]: number };

export function counterChecker(): Checker {
  const look = async (view: WorldView): Promise<void> => {
    for (const { name, meta } of view.sites) {
      const counted = new Map<string, Counts>();
      for (const space of ['heads', 'versions'] as const) {
        for (const { key, value } of await scanAll(meta.reader, space)) {
          const bucket = Buffer.from(key.subarray(0, key.indexOf(0))).toString('utf8');
          add(counted, bucket, decodeRecord<VersionRecord>(value), space === 'heads');
        }
      }
      const stored = new Map<string, CounterRecord>();
      for (const { key, value } of await scanAll(meta.reader, 'counters')) {
        stored.set(Buffer.from(key).toString('utf8'), decodeRecord(value));
      }
      const [is, wanted] = [stored, counted].map((counts) => canonicalJson(Object.fromEntries(counts)));
      if (is !== wanted) view.fail('counters', `${name} counts ${is}, there are ${wanted}`);
    }
  };
  return { name: 'counters', onLook: look, atEnd: look };
}

function add(counted: Map<string, Counts>, bucket: string, version: VersionRecord, isHead: boolean): void {
  const counts = counted.get(bucket) ?? { objects: 0, objectBytes: 0, versions: 0, versionBytes: 0 };
  const size = version.content?.size ?? 0;
  counts.versions++;
  counts.versionBytes += size;
  if (isHead && version.marker !== true) counts.objects++;
  if (isHead) counts.objectBytes += size;
  counted.set(bucket, counts);
}
