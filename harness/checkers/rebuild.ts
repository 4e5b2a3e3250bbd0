/** A meta-store rebuilt from the chunk-store alone has the same state, with the same stamps. */
import { rebuildIndex } from '../../core/engine/rebuild.ts';
import { MemoryMetaStore } from '../../plugins/meta-memory/store.ts';
import type { Checker, WorldView } from './checker.ts';
import { dumpState, firstDifference } from './dump.ts';

/** At rest, when a quiet second has passed, and again after a power cut. */
export function rebuildChecker(): Checker {
  const check = async (view: WorldView): Promise<void> => {
    if (view.replicates && !view.movesBytes) return;
    for (const { name, meta, chunks } of view.sites) {
      const metaStore = new MemoryMetaStore();
      await metaStore.open();
      const report = await chunks.inspect((chunkStore) => rebuildIndex({ chunkStore, metaStore }));
      const [is, wanted] = [await dumpState(metaStore), await dumpState(meta.reader)];
      if (is === wanted) continue;
      const told = JSON.stringify({
        ops: report.ops,
        gaps: report.gaps.slice(0, 3),
        damage: report.damage.slice(0, 3),
      });
      view.fail('rebuild', `${name} rebuilt (${told}) differs from ${name}: ${firstDifference(is, wanted)}`);
    }
  };
  return { name: 'rebuild', atRest: check, atEnd: check };
}
