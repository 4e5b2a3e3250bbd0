/**
 * Ops that a rebuild applied before what they had seen (rule 17): that came with a snapshot, and is in no log. Versions and their
 * removals stand for themselves; what changes something that is not here changed nothing. Such ops are remembered, and
 * applied again when all that they had seen is here.
 */
import type { MetaReader, Op, OpBody, VersionVector } from '../contracts/index.ts';
import { applyOp } from './apply-op.ts';
import type { Committer } from './committer.ts';
import { clockKey, earlyKey, earlyPrefix, tupleRange } from './keys.ts';
import { readsOfOp } from './op-reads.ts';
import { decodeRecord } from './records.ts';
import { scanPages } from './scan-pages.ts';
import { decideTogether, type Txn } from './txn.ts';
import { coversVector } from './vector.ts';

const BATCH = 100;
const CHANGES: ReadonlySet<OpBody['type']> = new Set(['version.setting', 'bucket.setting', 'bucket.remove']);

/** True when the op is remembered: what it had seen is not all in `vector`. */
export function rememberEarly(txn: Txn, op: Op, vector: VersionVector): boolean {
  if (!CHANGES.has(op.body.type) || coversVector(vector, op.deps)) return false;
  txn.put(earlyKey(op.stamp), op);
  return true;
}

export interface EarlyDeps {
  readonly reader: MetaReader;
  readonly committer: Pick<Committer, 'commit'>;
}

/** Costs a read of an empty range where nothing was rebuilt. */
export async function settleEarly({ reader, committer }: EarlyDeps): Promise<void> {
  const range = { space: 'queues' as const, ...tupleRange(earlyPrefix()), limit: BATCH };
  for await (const rows of scanPages(reader, range)) {
    const ops = rows.map(({ value }) => decodeRecord<Op>(value));
    const reads = ops.map(readsOfOp);
    await committer.commit({
      reads: {
        keys: [clockKey, ...ops.map(({ stamp }) => earlyKey(stamp)), ...reads.flatMap(({ keys }) => keys)],
        ranges: reads.flatMap(({ ranges }) => ranges),
      },
      appended: [],
      decide({ txn, effects, clock }) {
        const { vector, merging } = clock();
        if (merging) return;
        const together = decideTogether(txn);
        for (const op of ops) {
          if (!coversVector(vector, op.deps) || txn.get(earlyKey(op.stamp)) === undefined) continue;
          together.decide(() => {
            applyOp({ txn, effects, newest: false }, op);
            txn.remove(earlyKey(op.stamp));
          });
        }
        together.end();
      },
    });
  }
}
