/** A site of this process, configured by values alone. */
import { tmpdir } from 'node:os';

import { createSite, loadConfig, type Site, type SiteOptions } from '../../core/index.ts';
import { nodeFiles } from '../../core/kernel/runtime/files.ts';

/** Not yet started. Silent and without an admin socket unless `values` say otherwise; nothing of the environment counts. */
export async function configuredSite(dataDir: string, values: object, options: SiteOptions = {}): Promise<Site> {
  const loaded = await loadConfig({
    values: { admin: { enabled: false }, log: { level: 'silent' }, ...values },
    env: {},
    flags: { dataDir },
    cwd: tmpdir(),
    files: nodeFiles,
  });
  return createSite(loaded, options);
}
