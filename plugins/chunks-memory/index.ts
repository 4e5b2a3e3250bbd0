/** Chunks in memory: for tests, demonstrations and caches. Nothing survives a close. */
import { CONTRACT_VERSION, definePlugin } from '../../core/contracts/index.ts';
import { optionsSchema } from './options.ts';
import type { Options } from './options.ts';
import { MemoryChunkStore } from './store.ts';

export default definePlugin<'chunk-store', Options>({
  kind: 'chunk-store',
  name: 'chunks-memory',
  contract: CONTRACT_VERSION,
  supports: { durable: false, shared: false },
  options: optionsSchema,
  create: (_deps, options) => new MemoryChunkStore(options),
});
