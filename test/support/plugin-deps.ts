/** What the kernel would hand to a plugin, for tests that create one themselves. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Logger, OptionsSchema, PluginDeps } from '../../core/contracts/index.ts';
import { createNodeRuntime } from '../../core/kernel/runtime/index.ts';

export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLogger,
};

/** Real files, timers and chance. No worker thread starts unless something hashes a large body. */
export function pluginDeps(dataDir: string, logger: Logger = silentLogger): PluginDeps {
  return { ...createNodeRuntime(logger).runtime, siteId: 'test-site', dataDir };
}

/** The defaults of a schema, as the kernel would fill them in. */
export function defaultOptions<O>(schema: OptionsSchema, overrides: Partial<O> = {}): O {
  const properties = Object.entries(schema.properties) as [string, { readonly default?: unknown }][];
  const defaults = properties.filter(([, property]) => 'default' in property);
  return Object.freeze({
    ...Object.fromEntries(defaults.map(([name, property]) => [name, property.default])),
    ...overrides,
  }) as O;
}

export interface TemporaryDirectory {
  readonly path: string;
  readonly remove: () => Promise<void>;
}

export async function temporaryDirectory(): Promise<TemporaryDirectory> {
  const path = await mkdtemp(join(tmpdir(), 'skerry-test-'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}
