/** Rule 13: a version whose bytes are missing is recorded at once and shown when they have arrived. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import type { Locator, MetaStore, Op, Stamp } from '../../core/contracts/index.ts';
import type { ApplyLocal } from '../../core/engine/apply-context.ts';
import { headKey } from '../../core/engine/keys.ts';
import {
  decodeRecord,
  visibleOf,
  type ConflictRecord,
  type HeadRecord,
  type VersionRecord,
} from '../../core/engine/records.ts';
import { history, steps, winner } from './histories.ts';
import { applyInOrder, completeVersion, dump, memoryStore } from './support.ts';

const locatorOf = (stamp: Stamp): Locator => `at-${stamp}`;
const isPut = (op: Op): boolean => op.body.type === 'version.put' && !op.body.marker;

async function shown(store: MetaStore): Promise<VersionRecord | undefined> {
  const [row] = await store.get([headKey('bkt', 'k')]);
  return visibleOf(row && decodeRecord<HeadRecord>(row));
}

/** Stamps of all version records that the rows hold, wherever they are. */
async function held(store: MetaStore): Promise<ReadonlySet<Stamp>> {
  const heads = (await store.scan({ space: 'heads', limit: 100 })).map(({ value }) => decodeRecord<HeadRecord>(value));
  const older = (await store.scan({ space: 'versions', limit: 1000 })).map(({ value }) =>
    decodeRecord<VersionRecord>(value),
  );
  const conflicts = (await store.scan({ space: 'conflicts', limit: 1000 })).map(({ value }) =>
    decodeRecord<ConflictRecord>(value),
  );
  const shadows = heads.flatMap(({ shadow }) => (shadow ? [shadow.record] : []));
  const losers = conflicts.flatMap(({ loser }) => (loser ? [loser] : []));
  return new Set([...heads, ...older, ...shadows, ...losers].map(({ stamp }) => stamp));
}

describe('pending versions', () => {
  test('readers see the newest version whose bytes are here, nothing they see is freed, nothing is freed twice or forgotten', async () => {
    await fc.assert(
      fc.asyncProperty(
        steps(30),
        fc.infiniteStream(fc.boolean()),
        fc.infiniteStream(fc.boolean()),
        async (plan, pendings, arrivals) => {
          const [isPending, arrives] = [pendings[Symbol.iterator](), arrivals[Symbol.iterator]()];
          const store = await memoryStore();
          const waiting = new Set<Stamp>();
          const freed: Locator[] = [];
          const ops = history(plan);
          const local = (op: Op): ApplyLocal => {
            if (!isPut(op)) return {};
            return {
              version: { locator: locatorOf(op.stamp), ...(waiting.has(op.stamp) ? { pending: true as const } : {}) },
            };
          };
          const arrive = async (stamp: Stamp): Promise<void> => {
            waiting.delete(stamp);
            freed.push(...(await completeVersion(store, 'bkt', 'k', stamp)));
          };
          for (const op of ops) {
            if (isPut(op) && isPending.next().value) waiting.add(op.stamp);
            freed.push(...(await applyInOrder(store, [op], local)));
            const [oldest] = waiting;
            if (oldest !== undefined && arrives.next().value) await arrive(oldest);
            const now = await shown(store);
            assert.ok(!now?.local?.pending, 'what is shown has its bytes');
            assert.ok(!now || !freed.includes(locatorOf(now.stamp)), 'what is shown is not freed');
          }
          for (const stamp of waiting) await arrive(stamp);
          assert.equal((await shown(store))?.stamp, winner(ops));
          assert.equal(new Set(freed).size, freed.length, 'nothing is freed twice');
          const kept = await held(store);
          const unheld = ops.filter((op) => isPut(op) && !kept.has(op.stamp)).map(({ stamp }) => locatorOf(stamp));
          assert.deepEqual(freed.toSorted(), unheld.toSorted(), 'freed is exactly what no row holds');
          const whole = await memoryStore();
          await applyInOrder(whole, ops, (op) => (isPut(op) ? { version: { locator: locatorOf(op.stamp) } } : {}));
          assert.equal(await dump(store), await dump(whole), 'and the state is what it would have been');
        },
      ),
      { numRuns: 500 },
    );
  });
});
