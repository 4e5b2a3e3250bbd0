/** Meta-store in one SQLite file: the default of a site on one machine. */
import { CONTRACT_VERSION, definePlugin } from '../../core/contracts/index.ts';
import { optionsSchema, type Options } from './options.ts';
import { SqliteMetaStore } from './store.ts';

export default definePlugin<'meta-store', Options>({
  kind: 'meta-store',
  name: 'meta-sqlite',
  contract: CONTRACT_VERSION,
  supports: { durable: true, shared: true },
  options: optionsSchema,
  create: (deps, options) => new SqliteMetaStore(deps, options),
});
