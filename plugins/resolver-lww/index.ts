/** resolver-lww: the version with the greatest stamp is current, the others are listed as conflicts. */
import { definePlugin } from '../../core/contracts/index.ts';
import { createLwwResolver } from './lww-resolver.ts';
import { optionsSchema, type LwwOptions } from './options.ts';

export default definePlugin<'conflict-resolver', LwwOptions>({
  kind: 'conflict-resolver',
  name: 'resolver-lww',
  contract: 1,
  supports: { siblings: false },
  options: optionsSchema,
  create: () => createLwwResolver(),
});
