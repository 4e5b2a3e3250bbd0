/** Random histories of two buckets at three sites, and the reference: what there is, from the set of ops alone. */
import * as fc from 'fast-check';
import type { Op, OpBody, VersionPut } from '../../core/contracts/index.ts';
import { coversDot } from '../../core/engine/vector.ts';
import { winner } from './histories.ts';
import { MiniSite } from './mini-site.ts';
import { content } from './support.ts';

const SITES = ['a', 'b', 'c'] as const;
export const BUCKETS = ['one', 'two'] as const;
const KEYS = ['k', 'l'] as const;

type Action =
  /** `blindly`: although the bucket exists, as no client can. */
  | { readonly do: 'create'; readonly objectLock: boolean; readonly blindly: boolean }
  | { readonly do: 'remove' }
  | { readonly do: 'set'; readonly name: 'policy' | 'cors'; readonly value: string | null }
  | { readonly do: 'put'; readonly key: string; readonly nullVersion: boolean; readonly marker: boolean }
  | { readonly do: 'remove-null'; readonly key: string }
  | { readonly do: 'remove-version'; readonly which: number }
  | { readonly do: 'sync'; readonly from: number };

export interface BucketStep {
  readonly site: number;
  readonly bucket: string;
  readonly action: Action;
}

const key = fc.constantFrom(...KEYS);
const actions: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('create' as const),
      objectLock: fc.boolean(),
      blindly: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('remove' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('set' as const),
      name: fc.constantFrom('policy', 'cors'),
      value: fc.constantFrom('x', 'y', null),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('put' as const), key, nullVersion: fc.boolean(), marker: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('remove-null' as const), key }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('remove-version' as const), which: fc.nat(5) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('sync' as const), from: fc.nat(2) }) },
);

export const bucketSteps = (maxLength: number): fc.Arbitrary<BucketStep[]> =>
  fc.array(
    fc.record({
      site: fc.nat(2),
      bucket: fc.oneof({ weight: 5, arbitrary: fc.constant('one') }, { weight: 1, arbitrary: fc.constant('two') }),
      action: actions,
    }),
    { maxLength, size: 'max' },
  );

/** The ops that three sites write, each refusing what its own rows do not allow. */
export async function bucketHistory(plan: readonly BucketStep[]): Promise<readonly Op[]> {
  const sites = await Promise.all(SITES.map((site) => MiniSite.open(site)));
  const ops: Op[] = [];
  for (const { site, bucket, action } of plan) {
    const here = sites[site] as MiniSite;
    if (action.do === 'sync') {
      await here.pull(ops, sites[action.from] as MiniSite);
      continue;
    }
    for (const body of await bodiesOf(here, bucket, action, ops.length)) ops.push(await here.write(body));
  }
  return ops;
}

async function bodiesOf(
  site: MiniSite,
  bucket: string,
  action: Exclude<Action, { do: 'sync' }>,
  serial: number,
): Promise<readonly OpBody[]> {
  const exists = (await site.bucket(bucket)) !== undefined;
  if (action.do === 'create') {
    if (exists && !action.blindly) return [];
    const { objectLock } = action;
    return [{ type: 'bucket.create', bucket, owner: `o${serial}`, createdAtMs: serial, objectLock }];
  }
  if (!exists) return [];
  switch (action.do) {
    case 'remove':
      return removal(site, bucket);
    case 'set':
      return [{ type: 'bucket.setting', bucket, name: action.name, value: action.value }];
    case 'put': {
      const { key: at, nullVersion, marker } = action;
      const body = marker ? {} : { content: content(`body-${serial}`) };
      return [{ type: 'version.put', bucket, key: at, nullVersion, marker, owner: 'o', modifiedAtMs: serial, ...body }];
    }
    case 'remove-null':
      return [{ type: 'version.remove', bucket, key: action.key, target: null }];
    case 'remove-version': {
      const versions = await site.versions(bucket);
      const { stamp, nullVersion } = versions[action.which % Math.max(1, versions.length)] ?? {};
      if (stamp === undefined) return [];
      // the key is not in the record: both are tried, one of them has it
      return KEYS.map((at) => ({ type: 'version.remove', bucket, key: at, target: nullVersion ? null : stamp }));
    }
  }
}

/** As `deleteBucket` does: only what is empty, and what lost a conflict ends with it. */
async function removal(site: MiniSite, bucket: string): Promise<readonly OpBody[]> {
  if ((await site.versions(bucket)).length > 0) return [];
  const losers = KEYS.map((at): OpBody => ({ type: 'version.remove', bucket, key: at, target: null }));
  return [...losers, { type: 'bucket.remove', bucket }];
}

const seesIt =
  ({ dot }: Op) =>
  ({ deps }: Op): boolean =>
    coversDot(deps, dot);

const ofType = <T extends OpBody['type']>(ops: readonly Op[], bucket: string, type: T): readonly Op[] =>
  ops.filter(({ body }) => body.type === type && 'bucket' in body && body.bucket === bucket);

const newest = (ops: readonly Op[]): Op | undefined => ops.toSorted((a, b) => (a.stamp < b.stamp ? 1 : -1))[0];

/** Live versions, or null versions that lost to what had not seen them. */
export function hasContent(ops: readonly Op[], bucket: string): boolean {
  return KEYS.some((at) => {
    const ofKey = ops.filter(({ body }) => 'key' in body && body.key === at && body.bucket === bucket);
    const register = ofKey.filter(({ body }) =>
      body.type === 'version.put' ? body.nullVersion : body.type === 'version.remove' && body.target === null,
    );
    const nulls = register.filter((op): op is Op<VersionPut> => op.body.type === 'version.put');
    const isLost = (op: Op): boolean => op !== newest(register) && !register.some(seesIt(op));
    return winner(ofKey) !== undefined || nulls.some(isLost);
  });
}

export interface ExpectedBucket {
  readonly owner: string;
  readonly objectLock: boolean;
  readonly settings: Readonly<Record<string, unknown>>;
}

/** The bucket that a set of ops makes, or `undefined` for none. */
export function expectedBucket(ops: readonly Op[], bucket: string): ExpectedBucket | undefined {
  const creates = ofType(ops, bucket, 'bucket.create');
  const removes = ofType(ops, bucket, 'bucket.remove');
  const settings = ofType(ops, bucket, 'bucket.setting');
  const isRemoved = (op: Op): boolean => removes.some(seesIt(op));
  const isOver = (op: Op): boolean => isRemoved(op) && creates.some(seesIt(op));
  const names = new Set(settings.map(({ body }) => ('name' in body ? body.name : '')));
  const registers = [...names].map((name) =>
    newest(settings.filter(({ body }) => 'name' in body && body.name === name)),
  );
  const current = registers.filter((op): op is Op => op !== undefined);
  const left = creates.filter((op) => !isRemoved(op));
  if (left.length === 0 && current.every(isRemoved) && !hasContent(ops, bucket)) return undefined;
  const present = left.length > 0 ? left : creates.filter((op) => !isOver(op));
  const first = present.toSorted((a, b) => (a.stamp < b.stamp ? -1 : 1))[0]?.body;
  const holds = current.filter((op) => !isOver(op) && !(isRemoved(op) && left.length > 0));
  return {
    owner: first?.type === 'bucket.create' ? first.owner : '',
    objectLock: present.some(({ body }) => body.type === 'bucket.create' && body.objectLock),
    settings: Object.fromEntries(
      holds.flatMap(({ body }) =>
        body.type === 'bucket.setting' && body.value !== null ? [[body.name, body.value]] : [],
      ),
    ),
  };
}
