/** Planted bugs in how damaged bytes are noticed and replaced. */
import { plantedIn, type Mutation } from './mutation.ts';

const inChunksFs = plantedIn('replication', 'plugins/chunks-fs');
const inEngine = plantedIn('replication', 'core/engine');

export const bytesMutations: readonly Mutation[] = [
  inChunksFs(
    'readNotVerified',
    'rule 13: damage never passes as data',
    'reader.ts',
    'if (!blocksMatch(data, header.blockCrcs, 0)) throw',
    'if (data.length < 0 && !blocksMatch(data, header.blockCrcs, 0)) throw',
  ),
  inEngine(
    'damageNotHealed',
    'rule 13: what is damaged here is fetched from a peer',
    'healing.ts',
    'if (!supply || !sought.holder) throw cause;',
    'if (!supply || sought.holder) throw cause;',
  ),
];
