/** Skerry as a library: load a configuration, create a site, start it. Plugins import `skerry/contracts`. */
export { definePlugin } from './contracts/index.ts';
export * from './kernel/index.ts';
