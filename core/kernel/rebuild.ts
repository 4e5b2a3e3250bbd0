/** Rebuilding a site's index: its stores alone are opened, under the lock of its data directory. */
import { SkerryError, type Runtime } from '../contracts/index.ts';
import { rebuildIndex, type RebuildReport } from '../engine/rebuild.ts';
import type { LoadedConfig } from './config/types.ts';
import { buildSite } from './container.ts';
import { openDataDirectory } from './data-directory.ts';
import { createHealth } from './health.ts';
import { createHooks } from './hooks.ts';
import { createLifecycle } from './lifecycle.ts';
import { createLogger } from './logger.ts';
import { createNodeRuntime } from './runtime/index.ts';
import { nodeHost } from './runtime/lock.ts';

/**
 * Fills the empty meta-store of a site from its chunk-store. The site comes back as a new origin: ops of its last second may be lost,
 * and their numbers must not be given again. `Locked` while the site runs, `AlreadyExists` when the meta-store is not empty.
 */
export async function rebuildSite(loaded: LoadedConfig): Promise<RebuildReport> {
  const { runtime, close } = createNodeRuntime(createLogger(loaded.config.log));
  try {
    return await rebuildIn(loaded, runtime);
  } finally {
    await close();
  }
}

async function rebuildIn(loaded: LoadedConfig, runtime: Runtime): Promise<RebuildReport> {
  const directory = await openDataDirectory({ path: loaded.config.dataDir, runtime, host: nodeHost });
  try {
    const { metaStore, chunkStore } = buildSite({
      loaded,
      runtime,
      directory,
      hooks: createHooks(runtime.logger),
      health: createHealth(),
      status: () => Promise.reject(new SkerryError('Closed', 'the site is being rebuilt')),
      requestStop: () => undefined,
      withGateways: false,
    });
    const stores = createLifecycle(
      [
        { name: 'metaStore', part: metaStore },
        { name: 'chunkStore', part: chunkStore },
      ],
      runtime.logger,
    );
    await stores.open();
    try {
      const report = await rebuildIndex({ metaStore, chunkStore });
      await directory.renew();
      return report;
    } finally {
      await stores.close();
    }
  } finally {
    directory.release();
  }
}
