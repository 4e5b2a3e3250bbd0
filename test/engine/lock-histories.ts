/** Random histories of versions under Object Lock, and the reference: what is live and set, from the set of ops alone. */
import * as fc from 'fast-check';
import type {
  Json,
  Op,
  OpBody,
  Retention,
  Stamp,
  VersionPut,
  VersionRemove,
  VersionSetting,
} from '../../core/contracts/index.ts';
import { hlcWallMs } from '../../core/engine/hlc.ts';
import type { VersionRecord } from '../../core/engine/records.ts';
import { stampHlc } from '../../core/engine/stamp.ts';
import { coversDot } from '../../core/engine/vector.ts';
import { MiniSite } from './mini-site.ts';
import { content } from './support.ts';

const SITES = ['a', 'b', 'c'] as const;

type Action =
  | { readonly do: 'put'; readonly marker: boolean }
  | { readonly do: 'remove'; readonly which: number; readonly bypass: boolean; readonly tentative: boolean }
  | { readonly do: 'hold'; readonly which: number; readonly value: 'ON' | 'OFF' }
  | { readonly do: 'retain'; readonly which: number; readonly mode: Retention['mode']; readonly forMs: number }
  | { readonly do: 'release'; readonly which: number }
  | { readonly do: 'tag'; readonly which: number; readonly value: string }
  | { readonly do: 'sync'; readonly from: number };

export interface LockStep {
  readonly site: number;
  /** How long after the step before. */
  readonly afterMs: number;
  readonly action: Action;
}

const which = fc.nat(3);
const actions: fc.Arbitrary<Action> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ do: fc.constant('put' as const), marker: fc.boolean() }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('remove' as const),
      which,
      bypass: fc.boolean(),
      tentative: fc.integer({ min: 0, max: 7 }).map((n) => n > 0),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('hold' as const), which, value: fc.constantFrom('ON', 'OFF') }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('retain' as const),
      which,
      mode: fc.constantFrom('COMPLIANCE', 'GOVERNANCE'),
      forMs: fc.integer({ min: 1, max: 20 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('release' as const), which }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('tag' as const), which, value: fc.constantFrom('x', 'y') }) },
  { weight: 7, arbitrary: fc.record({ do: fc.constant('sync' as const), from: fc.nat(2) }) },
);

export const lockSteps = (maxLength: number): fc.Arbitrary<LockStep[]> =>
  fc.array(fc.record({ site: fc.nat(2), afterMs: fc.nat(3), action: actions }), { maxLength, size: 'max' });

export async function lockHistory(plan: readonly LockStep[]): Promise<readonly Op[]> {
  const sites = await Promise.all(SITES.map((site) => MiniSite.open(site)));
  const ops: Op[] = [];
  let nowMs = 0;
  for (const { site, afterMs, action } of plan) {
    nowMs += afterMs;
    const here = sites[site] as MiniSite;
    if (action.do === 'sync') {
      await here.pull(ops, sites[action.from] as MiniSite);
      continue;
    }
    const body = await bodyOf(here, action, ops.length, nowMs);
    if (body) ops.push(await here.write(body, nowMs));
  }
  return ops;
}

const AT = { bucket: 'bkt', key: 'k' } as const;

async function bodyOf(
  site: MiniSite,
  action: Exclude<Action, { do: 'sync' }>,
  serial: number,
  nowMs: number,
): Promise<OpBody | undefined> {
  if (action.do === 'put') {
    const { marker } = action;
    const body = marker ? {} : { content: content(`body-${serial}`) };
    return { type: 'version.put', ...AT, nullVersion: false, marker, owner: 'o', modifiedAtMs: serial, ...body };
  }
  const versions = await site.versions(AT.bucket);
  const version = versions[action.which % Math.max(1, versions.length)];
  if (!version) return undefined;
  const { stamp: target } = version;
  const set = (name: VersionSetting['name'], value: Json): OpBody => ({
    type: 'version.setting',
    ...AT,
    target,
    name,
    value,
  });
  switch (action.do) {
    case 'remove': {
      if (isLocked(version, nowMs, action.bypass)) return undefined;
      const tentative = action.tentative && !version.marker;
      return { type: 'version.remove', ...AT, target, ...(tentative ? { tentative } : {}) };
    }
    case 'hold':
      return set('legalHold', action.value);
    case 'retain':
      return set('retention', { mode: action.mode, until: nowMs + action.forMs });
    case 'release':
      return isLocked(version, nowMs, true) ? undefined : set('retention', null);
    case 'tag':
      return set('tags', action.value);
  }
}

const retentionIn = (value: Json | undefined): Retention | undefined => (value as unknown as Retention) ?? undefined;

function isLocked({ settings }: VersionRecord, nowMs: number, bypass: boolean): boolean {
  const retention = retentionIn(settings?.retention?.value);
  const isRetained = retention !== undefined && retention.until > nowMs && !(retention.mode === 'GOVERNANCE' && bypass);
  return settings?.legalHold?.value === 'ON' || isRetained;
}

const wallOf = ({ stamp }: Op): number => hlcWallMs(stampHlc(stamp));
const sees = (later: Op, earlier: Op): boolean => coversDot(later.deps, earlier.dot);

export const putsIn = (ops: readonly Op[]): readonly Op<VersionPut>[] =>
  ops.filter((op): op is Op<VersionPut> => op.body.type === 'version.put');

export const removalsIn = (ops: readonly Op[], target: Stamp): readonly Op<VersionRemove>[] =>
  ops.filter((op): op is Op<VersionRemove> => op.body.type === 'version.remove' && op.body.target === target);

const settingsIn = (ops: readonly Op[], target: Stamp, name: string): readonly Op<VersionSetting>[] =>
  ops
    .filter(
      (op): op is Op<VersionSetting> =>
        op.body.type === 'version.setting' && op.body.target === target && op.body.name === name,
    )
    .toSorted((a, b) => (a.stamp < b.stamp ? -1 : 1));

/** Rule 10: a lock was set that the removal had not seen and that had not seen the removal, and lasts past it. */
export function isVoid(ops: readonly Op[], removal: Op<VersionRemove>): boolean {
  const target = removal.body.target ?? '';
  const locks = [...settingsIn(ops, target, 'legalHold'), ...settingsIn(ops, target, 'retention')].filter(
    ({ body: { value } }) => value === 'ON' || (retentionIn(value)?.until ?? 0) > wallOf(removal),
  );
  return removal.body.tentative === true && locks.some((lock) => !sees(removal, lock) && !sees(lock, removal));
}

export const liveIn = (ops: readonly Op[]): readonly Stamp[] =>
  putsIn(ops)
    .filter(({ stamp }) => removalsIn(ops, stamp).every((removal) => isVoid(ops, removal)))
    .map(({ stamp }) => stamp)
    .toSorted();

/** COMPLIANCE: the latest date of all, unless it was over when something else was set after it. */
export function retentionOn(ops: readonly Op[], target: Stamp): Json | undefined {
  const set = settingsIn(ops, target, 'retention');
  const last = set.at(-1);
  if (!last) return undefined;
  const strict = set.flatMap(({ body: { value } }) => {
    const retention = retentionIn(value);
    return retention?.mode === 'COMPLIANCE' ? [retention.until] : [];
  });
  const until = Math.max(0, ...strict);
  const isStrict = retentionIn(last.body.value)?.mode === 'COMPLIANCE' || until > wallOf(last);
  return isStrict ? { mode: 'COMPLIANCE', until } : last.body.value;
}

/** The last one; of those of one time of the clock a hold. */
export function holdOn(ops: readonly Op[], target: Stamp): Json | undefined {
  const set = settingsIn(ops, target, 'legalHold');
  const last = set.at(-1);
  if (!last) return undefined;
  const tied = set.filter(({ stamp }) => stampHlc(stamp) === stampHlc(last.stamp));
  return tied.some(({ body }) => body.value === 'ON') ? 'ON' : last.body.value;
}
