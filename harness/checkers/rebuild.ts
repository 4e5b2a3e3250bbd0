/** A meta-store rebuilt from the chunk-store alone has the same state, with the same stamps. */
import { rebuildIndex } from '../../core/engine/rebuild.ts';
import { MemoryMetaStore } from '../../plugins/meta-memory/store.ts';
import type { Checker, WorldView } from './checker.ts';
import { dumpState, firstDifference } from './dump.ts';

/** Ops are appended next to the data within a second. */
const LOGGED_WITHIN_MS = 2000;

/** At rest, when a quiet second has passed, and again after a power cut. */
export function rebuildChecker(): Checker {
  const mergers = new Set<string>();
  const lastOpMs = new Map<string, number>();
  const check = async (view: WorldView): Promise<void> => {
    if (view.replicates && !view.movesBytes) return;
    for (const { name, meta, chunks, keepsLittle } of view.sites) {
      // what came with a snapshot is in no log
      if (mergers.has(name) || view.nowMs() - (lastOpMs.get(name) ?? 0) < LOGGED_WITHIN_MS) continue;
      const metaStore = new MemoryMetaStore();
      await metaStore.open();
      const report = await chunks.inspect((chunkStore) => rebuildIndex({ chunkStore, metaStore }));
      const [is, wanted] = [await dumpState(metaStore, { keepsLittle }), await dumpState(meta.reader, { keepsLittle })];
      if (is === wanted) continue;
      const told = JSON.stringify({
        ops: report.ops,
        gaps: report.gaps.slice(0, 3),
        damage: report.damage.slice(0, 3),
      });
      view.fail('rebuild', `${name} rebuilt (${told}) differs from ${name}: ${firstDifference(is, wanted)}`);
    }
  };
  return {
    name: 'rebuild',
    onCommit({ site, ops, merged, atMs }) {
      if (ops.length > 0) lastOpMs.set(site.name, atMs);
      if (merged.length > 0) mergers.add(site.name);
    },
    atRest: check,
    atEnd: check,
  };
}
