/** resolver-keep-both: the version with the greatest stamp is current, the others stay visible as siblings until somebody resolves them. */
import { definePlugin } from '../../core/contracts/index.ts';
import { createKeepBothResolver } from './keep-both-resolver.ts';
import { optionsSchema, type KeepBothOptions } from './options.ts';

export default definePlugin<'conflict-resolver', KeepBothOptions>({
  kind: 'conflict-resolver',
  name: 'resolver-keep-both',
  contract: 1,
  supports: { siblings: true },
  options: optionsSchema,
  create: () => createKeepBothResolver(),
});
