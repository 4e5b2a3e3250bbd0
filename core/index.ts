/** Skerry as a library: load a configuration, create a site, start it. Plugins import `skerry/contracts`. */
export { definePlugin } from './contracts/index.ts';
export { loadConfig, type LoadConfigInput } from './kernel/config/load.ts';
export { describeSource, formatProblem, type Problem, type ValueSource } from './kernel/config/problems.ts';
export { configSchema } from './kernel/config/published-schema.ts';
export type { ConfigFlags, Environment } from './kernel/config/overrides.ts';
export type { LoadedConfig, LoadedPlugin, LoadedSections, SiteConfig } from './kernel/config/types.ts';
export { createLogger, type LogDestination, type LogOptions } from './kernel/logger.ts';
export { createNodeRuntime, type NodeRuntime } from './kernel/runtime/index.ts';
export { nodeHost, type DirectoryLock, type Host } from './kernel/runtime/lock.ts';
export type { RootCredentials } from './kernel/seed.ts';
export { shippedFolder, shippedNames } from './kernel/shipped-plugins.ts';
export { createSite, type Site, type SiteOptions, type SiteServices } from './kernel/site.ts';
export { VERSION } from './kernel/version.ts';
