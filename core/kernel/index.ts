/** The composition root: from a configuration to a running site. */
export { loadConfig, type LoadConfigInput } from './config/load.ts';
export { describeSource, formatProblem, type Problem, type ValueSource } from './config/problems.ts';
export { configSchema } from './config/published-schema.ts';
export type { ConfigFlags, Environment } from './config/overrides.ts';
export type { LoadedConfig, LoadedPlugin, LoadedSections, SiteConfig } from './config/types.ts';
export { createLogger, type LogDestination, type LogOptions } from './logger.ts';
export { createNodeRuntime, type NodeRuntime } from './runtime/index.ts';
export { nodeHost, type DirectoryLock, type Host } from './runtime/lock.ts';
export type { RootCredentials } from './seed.ts';
export { shippedFolder, shippedNames } from './shipped-plugins.ts';
export { createSite, type Site, type SiteOptions, type SiteServices } from './site.ts';
export { VERSION } from './version.ts';
