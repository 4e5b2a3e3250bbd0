/** Random histories of one key: what three sites write while they now and then see each other's ops. */
import * as fc from 'fast-check';
import type { Op, OpBody, Stamp, VersionPut } from '../../core/contracts/index.ts';
import { Author, content } from './support.ts';

const SITES = ['a', 'b', 'c'] as const;
type Action =
  | { readonly do: 'put'; readonly nullVersion: boolean; readonly marker: boolean }
  | { readonly do: 'remove-null' }
  | { readonly do: 'remove'; readonly which: number }
  | { readonly do: 'tag'; readonly which: number; readonly value: string }
  | { readonly do: 'key'; readonly value: string | null }
  | { readonly do: 'promote' }
  | { readonly do: 'sync'; readonly from: number };
export interface Step {
  readonly site: number;
  readonly action: Action;
}

const actions: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('put' as const), nullVersion: fc.boolean(), marker: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('remove-null' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('remove' as const), which: fc.nat(5) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('tag' as const), which: fc.nat(5), value: fc.constantFrom('x', 'y') }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('key' as const), value: fc.constantFrom('k', null) }) },
  { weight: 1, arbitrary: fc.constant({ do: 'promote' as const }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('sync' as const), from: fc.nat(2) }) },
);
export const steps = (maxLength: number): fc.Arbitrary<Step[]> =>
  // without `size` fast-check keeps arrays at about ten
  fc.array(fc.record({ site: fc.nat(2), action: actions }), { maxLength, size: 'max' });

/** The ops that three sites write while they now and then see each other's. */
export function history(plan: readonly Step[]): readonly Op[] {
  const authors = SITES.map((site) => new Author(site));
  const ops: Op[] = [];
  for (const { site, action } of plan) {
    const author = authors[site] as Author;
    if (action.do === 'sync') {
      const other = authors[action.from] as Author;
      for (const op of ops) if (other.has(op) && author.mayApply(op)) author.see(op);
      continue;
    }
    if (action.do === 'promote') author.raiseEpoch();
    const seen = ops.filter((op) => author.has(op) && op.body.type === 'version.put').map((op) => op.stamp);
    const body = bodyOf(action, seen, ops.length);
    if (body) ops.push(author.write(body));
  }
  return ops;
}

function bodyOf(action: Exclude<Action, { do: 'sync' }>, seen: readonly Stamp[], serial: number): OpBody | undefined {
  const at = { bucket: 'bkt', key: 'k' };
  switch (action.do) {
    case 'put': {
      const { nullVersion, marker } = action;
      return {
        type: 'version.put',
        ...at,
        nullVersion,
        marker,
        owner: 'o',
        modifiedAtMs: serial,
        ...(marker ? {} : { content: content(`body-${serial}`) }),
      };
    }
    case 'remove-null':
      return { type: 'version.remove', ...at, target: null };
    case 'remove':
    case 'tag': {
      const target = seen[action.which % Math.max(1, seen.length)];
      if (target === undefined) return undefined;
      return action.do === 'remove'
        ? { type: 'version.remove', ...at, target }
        : { type: 'version.setting', ...at, target, name: 'tags', value: action.value };
    }
    case 'promote':
      return { type: 'policy.put', id: 'primary', value: serial };
    case 'key':
      return action.value === null
        ? { type: 'principal.remove', id: 'p' }
        : { type: 'principal.put', id: 'p', value: action.value };
  }
}

/** The 30-line reference: which version is current, from the set of ops alone. */
export function winner(ops: readonly Op[]): Stamp | undefined {
  const removals = ops.flatMap(({ body, stamp }) =>
    body.type === 'version.remove' ? [{ target: body.target, stamp }] : [],
  );
  const puts = ops.filter((op): op is Op<VersionPut> => op.body.type === 'version.put');
  const newestNull = puts
    .filter(({ body }) => body.nullVersion)
    .map(({ stamp }) => stamp)
    .toSorted()
    .at(-1);
  const live = puts.filter(({ body, stamp }) => {
    if (body.nullVersion && stamp !== newestNull) return false;
    return !removals.some((removal) =>
      body.nullVersion ? removal.target === null && removal.stamp > stamp : removal.target === stamp,
    );
  });
  return live
    .map(({ stamp }) => stamp)
    .toSorted()
    .at(-1);
}
