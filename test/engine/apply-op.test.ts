import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import type { Op, OpBody, Stamp, VersionPut } from '../../core/contracts/index.ts';
import { headKey } from '../../core/engine/keys.ts';
import { coversDot } from '../../core/engine/vector.ts';
import { decodeRecord, type ConflictRecord, type HeadRecord } from '../../core/engine/records.ts';
import { history, steps, winner } from './histories.ts';
import { causalOrders, someOrder } from './mini-site.ts';
import { Author, content, dump, storeAfter, versionPut } from './support.ts';

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
      if (op.body.nullVersion && op.stamp !== newestOfRegister) return !removed(op) && !registerOps.some(sawIt(op));
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
  const store = await storeAfter(ops);
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

  test('an op of a type that is not known yet changes nothing but the vector', async () => {
    const author = new Author('a');
    const known = author.write({ type: 'policy.put', id: 'p', value: 1 });
    const unknown = author.write({ type: 'quota.put', id: 'q', value: 1 } as unknown as OpBody);
    assert.equal((await stateAfter([known, unknown])).text, (await stateAfter([known])).text);
  });

  test('rule 7: a tag set at one site survives a put of another version at a second', async () => {
    const [a, b] = [new Author('a'), new Author('b')];
    const put = a.write(versionPut('k', { nullVersion: false, content: content('one') }));
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
    const store = await storeAfter([put, acl, tag]);
    const [row] = await store.get([headKey('bkt', 'k')]);
    const { settings } = decodeRecord<HeadRecord>(row as Uint8Array);
    assert.deepEqual({ tags: settings?.tags?.value, acl: settings?.acl?.value }, { tags: 'x', acl: 'private' });
  });
});
