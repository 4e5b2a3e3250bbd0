/** The outside world as Node gives it: the one place in core that touches clocks, timers, files, threads and chance. */
import type { Logger, Runtime } from '../../contracts/index.ts';
import { nodeClock } from './clock.ts';
import { nodeFiles } from './files.ts';
import { createNodeHashing } from './hashing.ts';
import { nodeRandom } from './random.ts';
import { nodeTimers } from './timers.ts';

export interface NodeRuntime {
  readonly runtime: Runtime;
  /** Ends the worker threads, so that the process can exit. Idempotent. */
  readonly close: () => Promise<void>;
}

/** No I/O and no threads before something needs them. */
export function createNodeRuntime(logger: Logger): NodeRuntime {
  const { hashing, close } = createNodeHashing();
  const runtime: Runtime = Object.freeze({
    clock: nodeClock,
    timers: nodeTimers,
    random: nodeRandom,
    files: nodeFiles,
    hashing,
    logger,
  });
  return { runtime, close };
}
