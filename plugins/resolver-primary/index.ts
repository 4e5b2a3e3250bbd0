/** resolver-primary: one site accepts writes, the others are replicas; what conflicts anyway (a moved primary) is resolved by stamp. */
import { definePlugin } from '../../core/contracts/index.ts';
import { optionsSchema, type PrimaryOptions } from './options.ts';
import { createPrimaryResolver } from './primary-resolver.ts';

export default definePlugin<'conflict-resolver', PrimaryOptions>({
  kind: 'conflict-resolver',
  name: 'resolver-primary',
  contract: 1,
  supports: { siblings: false },
  options: optionsSchema,
  create: ({ siteId }, options) => createPrimaryResolver(siteId, options),
});
