/** Planted bugs in what gives space back. */
import { plantedIn, type Mutation } from './mutation.ts';

const inSpace = plantedIn('engine', 'core/engine');

export const spaceMutations: readonly Mutation[] = [
  inSpace(
    'collectsRunningWrites',
    'rule 14: what a running write has stored is not garbage',
    'survey.ts',
    'if (watch.has(locator)) {',
    'if (watch.has(locator) && length < 0) {',
  ),
  inSpace(
    'forgetsRemovedButKept',
    'rule 10: the bytes of a removed version are kept while a lock may bring it back',
    'live.ts',
    "if (kept) yield { bucket, key, stamp: kept.stamp, as: 'removed', record: kept };",
    "if (kept?.marker) yield { bucket, key, stamp: kept.stamp, as: 'removed', record: kept };",
  ),
  inSpace(
    'orphansStay',
    'rule 14: what a crash left behind is given back',
    'space.ts',
    'reclaimer.free(batch.map(({ locator }) => locator));',
    'if (batch.length === 0) reclaimer.free(batch.map(({ locator }) => locator));',
  ),
  inSpace(
    'movedWithoutTelling',
    'rule 14: a version is told where its bytes were moved before the old ones go',
    'kept-version.ts',
    'if (isLive) state.save();',
    'if (isLive && from === to) state.save();',
  ),
];
