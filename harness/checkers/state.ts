/** What lies on a site's disk is what the reference model makes of the ops that it applied: nothing lost, nothing back again. */
import type { MetaReader, Op } from '../../core/contracts/index.ts';
import { bucketKey, conflictPrefix, headKey, tupleRange, versionPrefix } from '../../core/engine/keys.ts';
import {
  decodeRecord,
  type BucketRecord,
  type ConflictRecord,
  type HeadRecord,
  type Register,
  type VersionRecord,
} from '../../core/engine/records.ts';
import type { Checker, SiteView, WorldView } from './checker.ts';
import { scanAll } from './dump.ts';
import { bucketsOf, keysOf, modelBucket, modelKey, modelRegisters, type ModelKey } from './model.ts';

export function stateChecker(): Checker {
  const looked = new Map<string, number>();
  const look = async (view: WorldView): Promise<void> => {
    for (const site of view.sites) {
      const { ops } = site.record;
      const name = `${site.name}.${site.incarnation}`;
      if (site.record.isMerging || looked.get(name) === ops.length) continue;
      looked.set(name, ops.length);
      await checkSite(site, view);
    }
  };
  return { name: 'state', onLook: look, atEnd: look };
}

async function checkSite({ name, record, meta, keepsLittle }: SiteView, view: WorldView): Promise<void> {
  // a copy: the site goes on only after this, but the array is its own
  const ops = [...record.ops];
  const fail = (message: string): void => view.fail('state', `${name}: ${message}`);
  for (const bucket of bucketsOf(ops)) await checkBucket(meta.reader, ops, bucket, fail);
  const counts = { heads: 0, versions: 0 };
  for (const [bucket, key] of keysOf(ops)) {
    const model = modelKey(ops, bucket, key);
    if (model.live.length > 0) counts.heads++;
    counts.versions += Math.max(0, model.live.length - 1);
    if (model.losers.length > 0) view.mark('conflict kept');
    await checkKey(meta.reader, bucket, key, model, fail);
  }
  await checkRegisters(meta.reader, ops, keepsLittle, fail);
  for (const space of ['heads', 'versions'] as const) {
    const rows = (await scanAll(meta.reader, space)).length;
    if (rows !== counts[space]) fail(`${rows} rows in ${space}, the model has ${counts[space]}`);
  }
}

type Fail = (message: string) => void;

async function checkBucket(reader: MetaReader, ops: readonly Op[], bucket: string, fail: Fail): Promise<void> {
  const model = modelBucket(ops, bucket);
  const [row] = await reader.get([bucketKey(bucket)]);
  if ((row !== undefined) !== model.exists) {
    return fail(`bucket ${bucket} is ${row ? 'there' : 'gone'}, the model says otherwise`);
  }
  if (row === undefined) return;
  const record = decodeRecord<BucketRecord>(row);
  if (model.owner !== undefined && record.owner !== model.owner)
    fail(`bucket ${bucket} is ${record.owner}'s, the model says ${model.owner}'s`);
  if (model.settings !== undefined) compareSettings(`bucket ${bucket}`, record.settings, model.settings, fail);
}

async function checkRegisters(reader: MetaReader, ops: readonly Op[], forgets: boolean, fail: Fail): Promise<void> {
  const model = modelRegisters(ops);
  const rows = await scanAll(reader, 'registers');
  const stored = new Map(
    rows.map(({ key, value }) => [Buffer.from(key).toString('utf8'), decodeRecord<Register>(value)]),
  );
  for (const [name, { stamp, isSet }] of model) {
    const register = stored.get(name);
    // a removal that is stable is forgotten
    if (!isSet && forgets && register === undefined) continue;
    const is = register && register.value !== null;
    if (register?.stamp !== stamp || is !== isSet)
      fail(`register ${name} is of ${register?.stamp ?? 'nobody'}, the model says ${stamp}`);
  }
  for (const name of stored.keys()) if (!model.has(name)) fail(`no op made the register ${name}`);
}

async function checkKey(reader: MetaReader, bucket: string, key: string, model: ModelKey, fail: Fail): Promise<void> {
  const at = `${bucket}/${key}`;
  const [headRow] = await reader.get([headKey(bucket, key)]);
  const head = headRow && decodeRecord<HeadRecord>(headRow);
  const older = await reader.scan({ space: 'versions', ...tupleRange(versionPrefix(bucket, key)), limit: 1000 });
  const stored: VersionRecord[] = [
    ...(head ? [head] : []),
    ...older.map(({ value }) => decodeRecord<VersionRecord>(value)),
  ];
  const stamps = stored.map(({ stamp }) => stamp).join(' ');
  const wanted = model.live.map(({ stamp }) => stamp).join(' ');
  if (stamps !== wanted) return fail(`${at} has [${stamps}], the model [${wanted}]`);
  stored.forEach((version, i) => {
    const { put, settings } = model.live[i] as ModelKey['live'][number];
    compareSettings(`${at} ${version.stamp}`, version.settings ?? {}, settings, fail);
    if (version.content?.etag !== put.content?.etag || (version.marker === true) !== put.marker) {
      fail(`${at} ${version.stamp} is not what its op says`);
    }
  });
  const conflicts = await reader.scan({ space: 'conflicts', ...tupleRange(conflictPrefix(bucket, key)), limit: 1000 });
  const losers = conflicts.map(({ value }) => decodeRecord<ConflictRecord>(value)).filter(({ loser }) => loser);
  const listed = losers.map(({ stamp }) => stamp).toSorted();
  if (listed.join(' ') !== model.losers.join(' ')) {
    fail(`${at} lists lost versions [${listed.join(' ')}], the model [${model.losers.join(' ')}]`);
  }
}

function compareSettings(
  at: string,
  stored: Readonly<Partial<Record<string, Register>>>,
  model: ReadonlyMap<string, unknown>,
  fail: Fail,
): void {
  const names = new Set([...Object.keys(stored), ...model.keys()]);
  for (const name of names) {
    // what was never set and what was cleared read the same
    const [is, wanted] = [stored[name]?.value, model.get(name)].map((value) => JSON.stringify(value ?? null));
    if (is !== wanted) fail(`${at}: ${name} is ${is}, the model says ${wanted}`);
  }
}
