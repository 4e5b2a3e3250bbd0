/** State is a function of the set of ops: a replay of the oplog from nothing, in another causal order, gives the same state. */
import type { Op } from '../../core/contracts/index.ts';
import { MemoryMetaStore } from '../../plugins/meta-memory/store.ts';
import { applyOps } from '../sim/apply-ops.ts';
import { Draw } from '../sim/random.ts';
import type { Checker } from './checker.ts';
import { dumpState, firstDifference } from './dump.ts';

export function replayChecker(seed: number): Checker {
  return {
    name: 'replay',
    async atEnd(view) {
      for (const { name, record, meta, keepsLittle } of view.sites) {
        const wanted = await dumpState(meta.reader, { keepsLittle });
        const orders = [record.ops, shuffled(record.ops, new Draw(seed, `replay ${name}`))];
        for (const ops of orders) {
          const store = new MemoryMetaStore();
          await store.open();
          await applyOps(store, ops);
          const is = await dumpState(store, { keepsLittle });
          if (is !== wanted) {
            view.fail('replay', `${name} replayed differs from ${name}: ${firstDifference(is, wanted)}`);
          }
        }
      }
    },
  };
}

/** A random order in which each op comes after all that it had seen. */
function shuffled(ops: readonly Op[], draw: Draw): readonly Op[] {
  const waiting = [...ops];
  const ordered: Op[] = [];
  const vector: Record<string, number> = {};
  while (waiting.length > 0) {
    const ready = waiting.filter(({ dot, deps }) => {
      const isNext = (vector[dot.origin] ?? 0) === dot.seq - 1;
      return isNext && Object.entries(deps).every(([origin, seq]) => (vector[origin] ?? 0) >= seq);
    });
    const next = draw.pick(ready);
    waiting.splice(waiting.indexOf(next), 1);
    vector[next.dot.origin] = next.dot.seq;
    ordered.push(next);
  }
  return ordered;
}
