import type { ChunkStore, HashSession, Logger, PluginDeps, Runtime } from '../../../core/contracts/index.ts';
import { nodeClock } from '../../../core/kernel/runtime/clock.ts';
import { nodeRandom } from '../../../core/kernel/runtime/random.ts';
import { nodeTimers } from '../../../core/kernel/runtime/timers.ts';
import type { FileSystem } from '../../../core/contracts/index.ts';
import chunksFs from '../../../plugins/chunks-fs/index.ts';
import type { Options } from '../../../plugins/chunks-fs/options.ts';

const KIB = 1024;
export const DIRECTORY = '/chunks';
export const SMALL_OPTIONS: Options = {
  segmentMaxBytes: 256 * KIB,
  openFilesMax: 2,
  syncAheadBytes: 128 * KIB,
  minFreeBytes: 0,
};

/** Numbers in [0, 1) that a seed decides. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What the store said, by level. */
export interface Heard {
  readonly logger: Logger;
  readonly warnings: string[];
  readonly errors: string[];
}

export function hearing(): Heard {
  const warnings: string[] = [];
  const errors: string[] = [];
  const logger: Logger = {
    debug: () => undefined,
    info: () => undefined,
    warn: (_fields, message) => warnings.push(message),
    error: (_fields, message) => errors.push(message),
    child: () => logger,
  };
  return { logger, warnings, errors };
}

function noSession(): HashSession {
  throw new Error('a chunk-store hashes nothing');
}

export function depsOver(files: FileSystem, dataDir: string, heard: Heard = hearing()): PluginDeps {
  const hashing: Runtime['hashing'] = { hash: noSession as never, hashAsync: noSession as never, session: noSession };
  const { logger } = heard;
  return { clock: nodeClock, timers: nodeTimers, random: nodeRandom, files, hashing, logger, siteId: 'test', dataDir };
}

/** Not opened. */
export function storeOver(files: FileSystem, options: Partial<Options> = {}, heard?: Heard): ChunkStore {
  return chunksFs.create(depsOver(files, DIRECTORY, heard), { ...SMALL_OPTIONS, ...options });
}
