/** Planted bugs in how damaged bytes are noticed and replaced. */
import type { Mutation } from './mutation.ts';

const inReplication = (name: string, rule: string, file: string, find: string, replace: string): Mutation => ({
  name,
  rule,
  world: 'replication',
  file,
  find,
  replace,
});

export const bytesMutations: readonly Mutation[] = [
  inReplication(
    'readNotVerified',
    'rule 13: damage never passes as data',
    'plugins/chunks-fs/reader.ts',
    'if (!blocksMatch(data, header.blockCrcs, 0)) throw',
    'if (data.length < 0 && !blocksMatch(data, header.blockCrcs, 0)) throw',
  ),
  inReplication(
    'damageNotHealed',
    'rule 13: what is damaged here is fetched from a peer',
    'core/engine/healing.ts',
    'if (!supply || !sought.holder) throw cause;',
    'if (!supply || sought.holder) throw cause;',
  ),
];
