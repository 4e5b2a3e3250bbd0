/**
 * A site whose meta-store is lost must not begin anew over the data that it names: it would give numbers of ops a second time, and
 * garbage collection would take all that nothing names any more.
 */
import { SkerryError, type ChunkStore, type MetaStore } from '../contracts/index.ts';
import { clockKey } from '../engine/keys.ts';

export interface Stores {
  readonly metaStore: Pick<MetaStore, 'get'>;
  readonly chunkStore: Pick<ChunkStore, 'scan'>;
}

/**
 * Rejects `Corrupt` when nothing was ever committed to the meta-store and the log of ops in the chunk-store is not empty: ops come there
 * behind their commit. Other records may be the rest of a first write that a crash cut short. Costs a read of one row, else.
 */
export async function refuseLostIndex({ metaStore, chunkStore }: Stores): Promise<void> {
  const [clock] = await metaStore.get([clockKey]);
  if (clock !== undefined || !(await holdsOps(chunkStore))) return;
  throw new SkerryError('Corrupt', 'it is empty, although the chunk-store holds data: the meta-store is lost', {
    details: {
      hint: 'put it back, or run skerry rebuild-index; for a site without its old data move the chunk-store away, too',
    },
  });
}

async function holdsOps(chunkStore: Stores['chunkStore']): Promise<boolean> {
  let isDamagedOp = false;
  const onDamage = (_locator: string, _reason: string, kind?: string): void => {
    isDamagedOp ||= kind === 'op';
  };
  for await (const records of chunkStore.scan({ onDamage }))
    if (isDamagedOp || records.some(({ kind }) => kind === 'op')) return true;
  return isDamagedOp;
}
