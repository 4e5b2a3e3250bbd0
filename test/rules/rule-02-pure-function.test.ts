/** Rule 2: state is a pure function of the set of ops applied, whatever the order, batching, duplication or relaying. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { put, pullOps, remove } from '../engine/exchange.ts';
import { MiniSite, causalOrders } from '../engine/mini-site.ts';
import { content, dump, storeAfter, versionPut } from '../engine/support.ts';
import type { Op, OpBody } from '../../core/contracts/index.ts';
import { agree, opsOf, pass, sites, wireOpsOf } from './support.ts';

const AT = { bucket: 'bkt', key: 'k' } as const;
const write = (label: string): OpBody => versionPut('k', { content: content(label) });

/** Two writes and two removals of one key by three sites of which none saw all. */
async function rivals(): Promise<readonly Op[]> {
  const [a, b, c] = [await MiniSite.open('a'), await MiniSite.open('b'), await MiniSite.open('c')];
  const first = await a.write(write('first'), 10);
  const second = await b.write(write('second'), 30);
  await c.pull([first], a);
  const removal = await c.write({ type: 'version.remove', ...AT, target: null }, 20);
  const tag = await a.write({ type: 'version.setting', ...AT, target: first.stamp, name: 'tags', value: 't' }, 40);
  return [first, second, removal, tag];
}

describe('rule 2: equal sets of ops are equal states', () => {
  test('every order in which four ops can arrive ends in one state', async () => {
    const ops = await rivals();
    const orders = [...causalOrders(ops)];
    assert.ok(orders.length >= 8, `${orders.length} orders`);
    const states = new Set<string>();
    for (const order of orders) {
      states.add(await dump(await storeAfter(order)));
    }
    assert.equal(states.size, 1);
  });

  test('what comes twice is applied once', async () => {
    await using world = await sites();
    const { a, b } = world;
    await put(a, 'k', 'x');
    await remove(a, 'k');
    await put(a, 'k', 'y');
    const ops = await wireOpsOf(a.engine.replica);
    await b.engine.replica.apply(ops);
    await agree(a, b);
    const { outcomes } = await b.engine.replica.apply(ops);
    assert.deepEqual([...new Set(outcomes)], ['known']);
    await agree(a, b);
  });

  test('what came before its turn is not applied, and not passed over', async () => {
    await using world = await sites();
    const { a, b, c } = world;
    await put(a, 'k', 'x');
    await put(a, 'l', 'y');
    await pullOps(a, c);
    await put(c, 'm', 'had seen both');
    const ops = await wireOpsOf(c.engine.replica);
    const [later, latest] = ops.slice(-2);
    assert.ok(later && latest);
    const theirs = ops.filter(({ op }) => op.dot.origin === c.engine.replica.origin);
    assert.deepEqual((await b.engine.replica.apply([later])).outcomes, ['early'], 'behind a gap');
    assert.deepEqual((await b.engine.replica.apply(theirs)).outcomes, ['applied', 'early'], 'before what it had seen');
    await pullOps(c, b);
    await agree(b, c);
  });

  test('an op is passed on as it was written', async () => {
    await using world = await sites();
    const { a, b, c } = world;
    pass(5000, b, c);
    await put(a, 'k', 'x');
    await pullOps(a, b);
    await pullOps(b, c);
    const { origin } = a.engine.replica;
    const of = (ops: readonly Op[]): readonly Op[] => ops.filter(({ dot }) => dot.origin === origin);
    assert.deepEqual(of(await opsOf(c)), of(await opsOf(a)));
  });

  test('the clock of a site that applied an op is past it: what it writes next wins', async () => {
    await using world = await sites();
    const { a, b } = world;
    pass(30_000, a);
    await put(a, 'k', 'x');
    await pullOps(a, b);
    const [last] = (await opsOf(b)).slice(-1);
    const { stamp } = await put(b, 'k', 'y');
    assert.ok(last !== undefined && stamp > last.stamp);
  });
});
