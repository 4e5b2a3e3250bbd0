/**
 * The reference model: what a set of ops means, in as few lines as can be. It shares no code with the engine and knows no order of
 * arrival, so that whatever the engine makes of the same set must agree with it.
 */
import type { Json, Op, VersionPut, VersionRemove, VersionSetting } from '../../core/contracts/index.ts';

export interface ModelVersion {
  readonly stamp: string;
  readonly put: VersionPut;
  readonly settings: ReadonlyMap<string, Json>;
}

export interface ModelKey {
  /** Newest first; the first is current. */
  readonly live: readonly ModelVersion[];
  /** Stamps of null versions that lost their register to an op that had not seen them. */
  readonly losers: readonly string[];
}

const newer = (a: { readonly stamp: string }, b: { readonly stamp: string }): number => (a.stamp < b.stamp ? 1 : -1);

/** Had the author of `later` seen `earlier`? */
export function saw(later: Op, earlier: Op): boolean {
  return (later.deps[earlier.dot.origin] ?? 0) >= earlier.dot.seq;
}

export function modelKey(ops: readonly Op[], bucket: string, key: string): ModelKey {
  const mine = ops.filter(({ body }) => 'key' in body && body.bucket === bucket && body.key === key);
  const puts = mine.filter((op): op is Op<VersionPut> => op.body.type === 'version.put');
  const removals = mine.filter((op): op is Op<VersionRemove> => op.body.type === 'version.remove');
  const removed = new Set(removals.map(({ body }) => body.target));
  const register = [
    ...puts.filter(({ body }) => body.nullVersion),
    ...removals.filter(({ body }) => body.target === null),
  ].sort(newer);
  const owner = register[0];
  const live = puts.filter((op) => (op.body.nullVersion ? op === owner : !removed.has(op.stamp))).sort(newer);
  const losers = puts.filter((op) => op.body.nullVersion && op !== owner && !register.some((other) => saw(other, op)));
  return {
    live: live.map((op) => ({ stamp: op.stamp, put: op.body, settings: settingsOf(mine, op) })),
    losers: losers.map(({ stamp }) => stamp).toSorted(),
  };
}

function settingsOf(mine: readonly Op[], put: Op<VersionPut>): ReadonlyMap<string, Json> {
  const changes = mine.filter(
    (op): op is Op<VersionSetting> => op.body.type === 'version.setting' && op.body.target === put.stamp,
  );
  const first = Object.entries(put.body.settings ?? {});
  const later = changes.toSorted(newer).toReversed();
  return new Map([...first, ...later.map(({ body }): [string, Json] => [body.name, body.value])]);
}

export interface ModelBucket {
  readonly exists: boolean;
  /** Absent where ops that had not seen each other removed the bucket and wrote to it: then only existence is modelled. */
  readonly settings?: ReadonlyMap<string, Json>;
}

/** A removal undoes what it has seen; a creation, a setting or content that none has seen keeps the bucket (rule 8). */
export function modelBucket(ops: readonly Op[], bucket: string): ModelBucket {
  const mine = ops
    .filter(({ body }) => 'bucket' in body && body.bucket === bucket)
    .toSorted(newer)
    .toReversed();
  const history = mine.filter(({ body }) => body.type.startsWith('bucket.'));
  const removals = history.filter(({ body }) => body.type === 'bucket.remove');
  const isOrdered = (removal: Op): boolean =>
    mine.every((op) => op === removal || (op.stamp < removal.stamp ? saw(removal, op) : saw(op, removal)));
  if (removals.every(isOrdered)) return sequential(history);
  const isKept = (op: Op): boolean => !removals.some((removal) => saw(removal, op));
  const keeps = ({ body }: Op): boolean => {
    if (body.type === 'bucket.setting') return body.value !== null;
    return body.type === 'bucket.create';
  };
  const newest = new Map(history.map((op) => [op.body.type === 'bucket.setting' ? op.body.name : op.stamp, op]));
  const hasContent = keysOf(mine).some(([, key]) => {
    const { live, losers } = modelKey(mine, bucket, key);
    return live.length + losers.length > 0;
  });
  return { exists: hasContent || [...newest.values()].some((op) => keeps(op) && isKept(op)) };
}

function sequential(history: readonly Op[]): ModelBucket {
  let settings: Map<string, Json> | undefined;
  for (const { body } of history) {
    if (body.type === 'bucket.create') settings ??= new Map();
    if (body.type === 'bucket.remove') settings = undefined;
    if (body.type === 'bucket.setting') settings?.set(body.name, body.value);
  }
  return { exists: settings !== undefined, ...(settings === undefined ? {} : { settings }) };
}

/** Every (bucket, key) that the ops name. */
export function keysOf(ops: readonly Op[]): readonly (readonly [string, string])[] {
  const keys = new Map<string, readonly [string, string]>();
  for (const { body } of ops) if ('key' in body) keys.set(`${body.bucket}\0${body.key}`, [body.bucket, body.key]);
  return [...keys.values()];
}

export function bucketsOf(ops: readonly Op[]): readonly string[] {
  return [...new Set(ops.flatMap(({ body }) => ('bucket' in body ? [body.bucket] : [])))];
}
