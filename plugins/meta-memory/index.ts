/** Meta-store in memory, for tests and sites that may forget: gone when the process ends. */
import { CONTRACT_VERSION, definePlugin } from '../../core/contracts/index.ts';
import { optionsSchema, type Options } from './options.ts';
import { MemoryMetaStore } from './store.ts';

export default definePlugin<'meta-store', Options>({
  kind: 'meta-store',
  name: 'meta-memory',
  contract: CONTRACT_VERSION,
  supports: { durable: false, shared: false },
  options: optionsSchema,
  create: () => new MemoryMetaStore(),
});
