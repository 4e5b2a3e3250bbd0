/** Ops of any origin through the engine's one door, in the order given; those that the vector covers are skipped. */
import type { MetaStore, Op } from '../../core/contracts/index.ts';
import { newEffects } from '../../core/engine/apply-context.ts';
import { applyOp } from '../../core/engine/apply-op.ts';
import { HLC_ZERO, mergeHlc } from '../../core/engine/hlc.ts';
import { clockKey, oplogKey } from '../../core/engine/keys.ts';
import { readsOfOp } from '../../core/engine/op-reads.ts';
import type { ClockRecord } from '../../core/engine/records.ts';
import { stampHlc } from '../../core/engine/stamp.ts';
import { decideTogether, transact } from '../../core/engine/txn.ts';
import { advanceVector, coversDot, coversVector, EMPTY_VECTOR } from '../../core/engine/vector.ts';

/** One transaction. Stops before an op whose causes are not here; answers how many were applied. */
export function applyOps(store: MetaStore, ops: readonly Op[]): Promise<number> {
  const reads = ops.map(readsOfOp);
  const declared = {
    keys: [clockKey, ...reads.flatMap(({ keys }) => keys)],
    ranges: reads.flatMap(({ ranges }) => ranges),
  };
  return transact(store, declared, (txn) => {
    let { hlc, vector } = txn.record<ClockRecord>(clockKey) ?? { hlc: HLC_ZERO, vector: EMPTY_VECTOR };
    let applied = 0;
    const together = decideTogether(txn);
    for (const op of ops) {
      if (coversDot(vector, op.dot)) continue;
      if (!coversVector(vector, op.deps)) break;
      txn.put(oplogKey(op.dot.origin, op.dot.seq), op);
      const newest = stampHlc(op.stamp) > hlc;
      together.decide(() => applyOp({ txn, effects: newEffects(), newest }, op));
      hlc = mergeHlc(hlc, stampHlc(op.stamp));
      vector = advanceVector(vector, op.dot);
      applied++;
    }
    together.end();
    if (applied > 0) txn.put(clockKey, { hlc, vector } satisfies ClockRecord);
    return applied;
  });
}
