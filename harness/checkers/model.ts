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
  const changes = mine.filter((op): op is Op<VersionSetting> => op.body.type === 'version.setting');
  const removed = new Set(removals.filter((op) => takesEffect(op, changes)).map(({ body }) => body.target));
  const register = [
    ...puts.filter(({ body }) => body.nullVersion),
    ...removals.filter(({ body }) => body.target === null),
  ].sort(newer);
  const owner = register[0];
  const live = puts.filter((op) => (op.body.nullVersion ? op === owner : !removed.has(op.stamp))).sort(newer);
  const losers = puts.filter(
    (op) => op.body.nullVersion && op !== owner && !removed.has(op.stamp) && !register.some((other) => saw(other, op)),
  );
  return {
    live: live.map((op) => ({ stamp: op.stamp, put: op.body, settings: settingsOf(changes, op) })),
    losers: losers.map(({ stamp }) => stamp).toSorted(),
  };
}

/** A removal from a bucket with Object Lock is void if a lock that lasts past it was set and neither had seen the other (rule 10). */
function takesEffect(removal: Op<VersionRemove>, changes: readonly Op<VersionSetting>[]): boolean {
  if (removal.body.tentative !== true) return true;
  return !changes.some(
    (change) =>
      change.body.target === removal.body.target &&
      lockedUntilMs(change.body) > wallMsOf(removal.stamp) &&
      !saw(removal, change) &&
      !saw(change, removal),
  );
}

/** Removals that a lock voided. */
export function voidedRemovals(ops: readonly Op[]): readonly Op[] {
  const changes = ops.filter((op): op is Op<VersionSetting> => op.body.type === 'version.setting');
  return ops.filter((op) => op.body.type === 'version.remove' && !takesEffect(op as Op<VersionRemove>, changes));
}

function lockedUntilMs({ name, value }: Pick<VersionSetting, 'name' | 'value'>): number {
  if (name === 'legalHold') return value === 'ON' ? Number.POSITIVE_INFINITY : 0;
  return name === 'retention' ? (retentionOf(value)?.until ?? 0) : 0;
}

interface ModelRetention {
  readonly mode: string;
  readonly until: number;
}

const retentionOf = (value: Json | undefined): ModelRetention | undefined =>
  (value ?? undefined) as unknown as ModelRetention | undefined;

const wallMsOf = (stamp: string): number => Number.parseInt(readingOf(stamp).slice(-16, -4), 16);
const readingOf = (stamp: string): string => stamp.slice(0, stamp.indexOf('!'));

/** Last writer wins, but COMPLIANCE in force is not shortened, and of two holds of one moment the one that is on wins. */
function settingsOf(changes: readonly Op<VersionSetting>[], put: Op<VersionPut>): ReadonlyMap<string, Json> {
  const settings = new Map(
    Object.entries(put.body.settings ?? {}).map(([name, value]) => [name, { value, stamp: put.stamp }]),
  );
  for (const { body, stamp } of changes.toSorted(newer).toReversed()) {
    if (body.target !== put.stamp) continue;
    const known = settings.get(body.name);
    const isKept = known !== undefined && holdsAgainst(known, body, stamp);
    settings.set(body.name, { value: isKept ? known.value : body.value, stamp });
  }
  return new Map([...settings].map(([name, { value }]) => [name, value]));
}

function holdsAgainst(
  known: { readonly value: Json; readonly stamp: string },
  body: VersionSetting,
  stamp: string,
): boolean {
  if (body.name === 'legalHold')
    return known.value === 'ON' && body.value !== 'ON' && readingOf(known.stamp) === readingOf(stamp);
  const before = body.name === 'retention' ? retentionOf(known.value) : undefined;
  if (before?.mode !== 'COMPLIANCE') return false;
  const after = retentionOf(body.value);
  return before.until > Math.max(wallMsOf(stamp), after?.mode === 'COMPLIANCE' ? after.until : 0);
}

export interface ModelBucket {
  readonly exists: boolean;
  /** Of the smallest creation that no removal has seen; absent when there is none. */
  readonly owner?: string;
  /** Absent where ops that had not seen each other removed the bucket and wrote to it: then only existence is modelled. */
  readonly settings?: ReadonlyMap<string, Json>;
  /** Created with Object Lock: versioning is on, whatever the setting says. Absent as `settings` is. */
  readonly isLocked?: boolean;
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
  const isKept = (op: Op): boolean => !removals.some((removal) => saw(removal, op));
  const first = history.find((op) => op.body.type === 'bucket.create' && isKept(op))?.body;
  const owner = first?.type === 'bucket.create' ? { owner: first.owner } : {};
  if (removals.every(isOrdered)) return { ...sequential(history), ...owner };
  const keeps = ({ body }: Op): boolean => {
    if (body.type === 'bucket.setting') return body.value !== null;
    return body.type === 'bucket.create';
  };
  const newest = new Map(history.map((op) => [op.body.type === 'bucket.setting' ? op.body.name : op.stamp, op]));
  const hasContent = keysOf(mine).some(([, key]) => {
    const { live, losers } = modelKey(mine, bucket, key);
    return live.length + losers.length > 0;
  });
  return { exists: hasContent || [...newest.values()].some((op) => keeps(op) && isKept(op)), ...owner };
}

function sequential(history: readonly Op[]): ModelBucket {
  let settings: Map<string, Json> | undefined;
  let isLocked = false;
  for (const { body } of history) {
    if (body.type === 'bucket.create') settings ??= new Map();
    if (body.type === 'bucket.remove') settings = undefined;
    if (body.type === 'bucket.setting') settings?.set(body.name, body.value);
    isLocked = settings !== undefined && (isLocked || (body.type === 'bucket.create' && body.objectLock === true));
  }
  return settings === undefined ? { exists: false } : { exists: true, settings, isLocked };
}

/** Principals, policies and members: kind and id to the stamp and the kind of change that hold (last writer wins). */
export function modelRegisters(
  ops: readonly Op[],
): ReadonlyMap<string, { readonly stamp: string; readonly isSet: boolean }> {
  const registers = new Map<string, { readonly stamp: string; readonly isSet: boolean }>();
  for (const { body, stamp } of ops.toSorted(newer).toReversed()) {
    if (!('id' in body)) continue;
    const [kind, verb] = body.type.split('.') as [string, string];
    registers.set(`${kind}\0${body.id}`, { stamp, isSet: verb === 'put' });
  }
  return registers;
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
