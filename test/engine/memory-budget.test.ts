import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { isSkerryError } from '../../core/contracts/index.ts';
import { createMemoryBudget, type BudgetLease } from '../../core/engine/memory-budget.ts';

const settled = async (promise: Promise<unknown>): Promise<boolean> => {
  const no = Symbol('pending');
  for (let i = 0; i < 5; i++) await Promise.resolve();
  return (await Promise.race([promise, Promise.resolve(no)])) !== no;
};

test('grants at once while there is room, then first come, first served', async () => {
  const budget = createMemoryBudget(100);
  const holder = budget.lease(() => {});
  assert.equal(holder.take(90), undefined);
  const first = Promise.resolve(budget.lease(() => {}).take(50));
  const second = Promise.resolve(budget.lease(() => {}).take(10));
  assert.equal(await settled(second), false, 'a small one does not overtake');
  assert.ok(holder.asked());
  holder.handOn(90);
  holder.give(90);
  await Promise.all([first, second]);
  assert.equal(budget.usedBytes(), 60);
});

test('the largest holder is asked first, and only as many as needed', () => {
  const budget = createMemoryBudget(100);
  const asked: string[] = [];
  const holder = (name: string, bytes: number): BudgetLease => {
    const lease = budget.lease(() => {
      asked.push(name);
      lease.handOn(bytes);
    });
    assert.equal(lease.take(bytes), undefined);
    return lease;
  };
  holder('small', 20);
  holder('large', 50);
  holder('middle', 30);
  void budget.lease(() => {}).take(60);
  assert.deepEqual(asked, ['large', 'middle']);
});

test('more than there is at all is granted when nobody else has any', () => {
  assert.equal(
    createMemoryBudget(10)
      .lease(() => {})
      .take(100),
    undefined,
  );
});

test('an aborted wait leaves the queue', async () => {
  const budget = createMemoryBudget(10);
  const holder = budget.lease(() => {});
  assert.equal(holder.take(10), undefined);
  const controller = new AbortController();
  const waiting = assert.rejects(Promise.resolve(budget.lease(() => {}).take(10, controller.signal)), (error) =>
    isSkerryError(error, 'Aborted'),
  );
  const next = Promise.resolve(budget.lease(() => {}).take(5));
  controller.abort();
  await waiting;
  holder.close();
  await next;
  assert.equal(budget.usedBytes(), 5);
  await assert.rejects(Promise.resolve(budget.lease(() => {}).take(10, AbortSignal.abort())), (error) =>
    isSkerryError(error, 'Aborted'),
  );
});

test('whatever the order, everybody is served, and never more than the total is out', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 40 }), async (sizes) => {
      const budget = createMemoryBudget(64);
      const upload = async (bytes: number): Promise<void> => {
        const lease = budget.lease(() => {});
        await lease.take(bytes);
        assert.ok(budget.usedBytes() <= 64);
        lease.handOn(bytes);
        await Promise.resolve();
        lease.give(bytes);
        lease.close();
      };
      await Promise.all(sizes.map(upload));
      assert.equal(budget.usedBytes(), 0);
    }),
    { seed: 99, numRuns: 50 },
  );
});
