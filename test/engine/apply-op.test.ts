import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import type { Op, OpBody, Stamp, VersionPut } from '../../core/contracts/index.ts';
import { headKey } from '../../core/engine/keys.ts';
import { coversDot } from '../../core/engine/vector.ts';
import { decodeRecord, type ConflictRecord, type HeadRecord } from '../../core/engine/records.ts';
import { Author, applyInOrder, content, dump, memoryStore } from './support.ts';

const SITES = ['a', 'b', 'c'] as const;
type Action =
  | { readonly do: 'put'; readonly nullVersion: boolean; readonly marker: boolean }
  | { readonly do: 'remove-null' }
  | { readonly do: 'remove'; readonly which: number }
  | { readonly do: 'tag'; readonly which: number; readonly value: string }
  | { readonly do: 'key'; readonly value: string | null }
  | { readonly do: 'sync'; readonly from: number };
interface Step {
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
  { weight: 4, arbitrary: fc.record({ do: fc.constant('sync' as const), from: fc.nat(2) }) },
);
const steps = (maxLength: number): fc.Arbitrary<Step[]> =>
  fc.array(fc.record({ site: fc.nat(2), action: actions }), { maxLength });

/** The ops that three sites write while they now and then see each other's. */
function history(plan: readonly Step[]): readonly Op[] {
  const authors = SITES.map((site) => new Author(site));
  const ops: Op[] = [];
  for (const { site, action } of plan) {
    const author = authors[site] as Author;
    if (action.do === 'sync') {
      const other = authors[action.from] as Author;
      for (const op of ops) if (other.has(op) && author.mayApply(op)) author.see(op);
      continue;
    }
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
    case 'key':
      return action.value === null
        ? { type: 'principal.remove', id: 'p' }
        : { type: 'principal.put', id: 'p', value: action.value };
  }
}

/** Every order in which a site may receive the ops: each after all that it depends on. */
function* causalOrders(ops: readonly Op[], applied: readonly Op[] = []): Generator<readonly Op[]> {
  if (applied.length === ops.length) yield applied;
  const author = new Author('observer');
  for (const op of applied) author.see(op);
  for (const op of ops) if (author.mayApply(op)) yield* causalOrders(ops, [...applied, op]);
}

/** The 30-line reference: which version is current, from the set of ops alone. */
function winner(ops: readonly Op[]): Stamp | undefined {
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

/** The reference for conflicts: a null version ends by an op of its register that saw it, any other by a put that saw it. */
function conflicts(ops: readonly Op[]): readonly Stamp[] {
  const current = winner(ops);
  const puts = ops.filter((op): op is Op<VersionPut> => op.body.type === 'version.put');
  const registerOps = ops.filter(({ body }) =>
    body.type === 'version.put' ? body.nullVersion : body.type === 'version.remove' && body.target === null,
  );
  const newestOfRegister = registerOps
    .map(({ stamp }) => stamp)
    .toSorted()
    .at(-1);
  const sawIt =
    ({ dot }: Op) =>
    ({ deps }: Op): boolean =>
      coversDot(deps, dot);
  const removed = (op: Op): boolean =>
    ops.some(({ body }) => body.type === 'version.remove' && body.target === op.stamp);
  return puts
    .filter((op) => {
      if (op.stamp === current) return false;
      if (op.body.nullVersion && op.stamp !== newestOfRegister) return !registerOps.some(sawIt(op));
      return !(removed(op) && !op.body.nullVersion) && !puts.some(sawIt(op));
    })
    .map(({ stamp }) => stamp)
    .toSorted();
}

interface State {
  readonly text: string;
  readonly current: Stamp | undefined;
  readonly conflicts: readonly Stamp[];
}

async function stateAfter(ops: readonly Op[]): Promise<State> {
  const store = await memoryStore();
  await applyInOrder(store, ops);
  const [row] = await store.get([headKey('bkt', 'k')]);
  const listed = await store.scan({ space: 'conflicts', limit: 1000 });
  return {
    text: await dump(store),
    current: row && decodeRecord<HeadRecord>(row).stamp,
    conflicts: listed.map(({ value }) => decodeRecord<ConflictRecord>(value).stamp).toSorted(),
  };
}

describe('applying ops', () => {
  test('rule 2: every causal order of up to four ops of three sites gives the same state', async () => {
    await fc.assert(
      fc.asyncProperty(steps(9), async (plan) => {
        const ops = history(plan).slice(0, 4);
        const states = new Set<string>();
        for (const order of causalOrders(ops)) states.add((await stateAfter(order)).text);
        assert.equal(states.size, 1);
      }),
      { numRuns: 400 },
    );
  });

  test('rule 2: long histories in two different orders give the same state', async () => {
    await fc.assert(
      fc.asyncProperty(steps(60), fc.infiniteStream(fc.nat(1000)), async (plan, picks) => {
        const ops = history(plan);
        const shuffled = someOrder(ops, picks);
        assert.equal((await stateAfter(shuffled)).text, (await stateAfter(ops)).text);
      }),
      { numRuns: 200 },
    );
  });

  test('rule 5: the current version is the live version with the largest stamp', async () => {
    await fc.assert(
      fc.asyncProperty(steps(40), async (plan) => {
        const ops = history(plan);
        assert.equal((await stateAfter(ops)).current, winner(ops));
      }),
      { numRuns: 300 },
    );
  });

  test('rule 6: listed as conflicts are exactly the versions that are not current and that no later write of the key has seen', async () => {
    await fc.assert(
      fc.asyncProperty(steps(40), async (plan) => {
        const ops = history(plan);
        assert.deepEqual((await stateAfter(ops)).conflicts, conflicts(ops));
      }),
      { numRuns: 400 },
    );
  });

  test('rule 7: a tag set at one site survives a put of another version at a second', async () => {
    const [a, b] = [new Author('a'), new Author('b')];
    const put = a.write({
      type: 'version.put',
      bucket: 'bkt',
      key: 'k',
      nullVersion: false,
      marker: false,
      owner: 'o',
      modifiedAtMs: 1,
      content: content('one'),
    });
    b.see(put);
    const tag = a.write({
      type: 'version.setting',
      bucket: 'bkt',
      key: 'k',
      target: put.stamp,
      name: 'tags',
      value: 'x',
    });
    const acl = b.write({
      type: 'version.setting',
      bucket: 'bkt',
      key: 'k',
      target: put.stamp,
      name: 'acl',
      value: 'private',
    });
    const store = await memoryStore();
    await applyInOrder(store, [put, acl, tag]);
    const [row] = await store.get([headKey('bkt', 'k')]);
    const { settings } = decodeRecord<HeadRecord>(row as Uint8Array);
    assert.deepEqual({ tags: settings?.tags?.value, acl: settings?.acl?.value }, { tags: 'x', acl: 'private' });
  });
});

function someOrder(ops: readonly Op[], picks: Iterable<number>): readonly Op[] {
  const author = new Author('observer');
  const order: Op[] = [];
  for (const pick of picks) {
    const ready = ops.filter((op) => author.mayApply(op));
    const next = ready[pick % Math.max(1, ready.length)];
    if (!next) break;
    author.see(next);
    order.push(next);
  }
  return order;
}
