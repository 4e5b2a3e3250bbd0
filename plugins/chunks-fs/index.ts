/** Chunks in append-only segment files on one local file system. */
import { CONTRACT_VERSION, definePlugin } from '../../core/contracts/index.ts';
import { optionsSchema } from './options.ts';
import type { Options } from './options.ts';
import { FsChunkStore } from './store.ts';

export default definePlugin<'chunk-store', Options>({
  kind: 'chunk-store',
  name: 'chunks-fs',
  contract: CONTRACT_VERSION,
  supports: { durable: true, shared: false },
  options: optionsSchema,
  create: (deps, options) => new FsChunkStore(deps, options),
});
