/**
 * Finds and checks plugins: by exact shipped name, by path relative to the configuration file, or by npm package name. Nothing
 * is scanned or guessed; whatever is wrong with a plugin stops the start.
 */
import { createRequire } from 'node:module';
import { isAbsolute, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { CONTRACT_VERSION, type FileSystem, type Plugin, type PluginKind } from '../contracts/index.ts';
import { suggest } from './config/problems.ts';
import { isTree } from './config/tree.ts';
import { schemaProblem } from './config/validate.ts';
import { shippedFolder, shippedNames, shippedUrl } from './shipped-plugins.ts';

export type PluginTable = Readonly<Record<string, Plugin>>;

export interface FoundPlugin {
  readonly plugin: Plugin;
  /** `shipped`, `given`, or the path or package that it came from. */
  readonly from: string;
}

export interface PluginFault {
  readonly problem: string;
  readonly hint?: string;
}

export interface PluginLoader {
  find(kind: PluginKind, use: string): Promise<FoundPlugin | PluginFault>;
}

export interface PluginLoaderOptions {
  /** Directory that a `./path` starts from and that packages are looked up in. */
  readonly directory: string;
  readonly files: FileSystem;
  /** Plugins given by the embedding program under names of its own; they come before the shipped ones. */
  readonly given?: PluginTable;
}

interface Located {
  readonly url: string;
  readonly from: string;
}

const PACKAGE_NAME = /^(@[a-z0-9][\w.-]*\/)?[a-z0-9][\w.-]*(\/[\w.-]+)*$/i;

/** The name is also that of the plugin's directory. */
const PLUGIN_NAME = /^[a-z0-9][a-z0-9.-]{0,63}$/;

export function createPluginLoader({ directory, files, given = {} }: PluginLoaderOptions): PluginLoader {
  async function locate(kind: PluginKind, use: string): Promise<Located | PluginFault> {
    if (use.startsWith('./') || use.startsWith('../') || isAbsolute(use)) {
      const path = resolve(directory, use);
      const stat = await files.stat(path);
      if (stat === undefined || stat.isDirectory)
        return { problem: `no plugin module at ${use}`, hint: `looked for ${path}` };
      return { url: pathToFileURL(path).href, from: path };
    }
    const folder = shippedFolder(kind, use);
    if (folder !== undefined) return { url: shippedUrl(folder), from: 'shipped' };
    return locatePackage(kind, use, directory);
  }

  return {
    async find(kind, use) {
      const known = Object.hasOwn(given, use) ? given[use] : undefined;
      if (known !== undefined) return verdict(known, kind, 'given');
      const located = await locate(kind, use);
      return 'problem' in located ? located : importPlugin(kind, use, located);
    },
  };
}

/** A plugin that comes with Skerry, by its short name. */
export async function findShipped(kind: PluginKind, use: string): Promise<FoundPlugin | PluginFault> {
  const folder = shippedFolder(kind, use);
  if (folder === undefined) return { problem: `no ${kind} plugin called ${use} is shipped` };
  return importPlugin(kind, use, { url: shippedUrl(folder), from: 'shipped' });
}

async function importPlugin(kind: PluginKind, use: string, { url, from }: Located): Promise<FoundPlugin | PluginFault> {
  try {
    const module = (await import(url)) as { readonly default?: unknown };
    return verdict(module.default, kind, from);
  } catch (error) {
    return { problem: `plugin ${use} cannot be loaded: ${(error as Error).message}` };
  }
}

function locatePackage(kind: PluginKind, use: string, directory: string): Located | PluginFault {
  const names = shippedNames(kind);
  if (PACKAGE_NAME.test(use)) {
    try {
      return { url: pathToFileURL(createRequire(join(directory, 'config')).resolve(use)).href, from: use };
    } catch (error) {
      const code = (error as { readonly code?: string }).code;
      if (code !== 'MODULE_NOT_FOUND')
        return { problem: `package ${use} cannot be resolved: ${(error as Error).message}` };
    }
  }
  const near = suggest(use, names);
  const shipped = names.length === 0 ? 'none is shipped' : `shipped: ${names.join(', ')}`;
  const hint = near?.startsWith('did you mean') === true ? near : `${shipped}; or a ./path, or an installed package`;
  return { problem: `no ${kind} plugin called ${use}`, hint };
}

function verdict(exported: unknown, kind: PluginKind, from: string): FoundPlugin | PluginFault {
  const fault = pluginFault(exported, kind);
  return fault ?? { plugin: exported as Plugin, from };
}

/** What is wrong with a module's default export, if anything. */
export function pluginFault(exported: unknown, kind: PluginKind): PluginFault | undefined {
  const made = { hint: 'a plugin module has one default export, made by definePlugin' };
  if (!isTree(exported) || !Object.isFrozen(exported)) return { problem: 'is not a plugin', ...made };
  const { name, contract, supports, options, create } = exported;
  if (typeof name !== 'string' || name === '') return { problem: 'is not a plugin: it has no name', ...made };
  if (!PLUGIN_NAME.test(name))
    return { problem: `plugin name ${name} is not valid`, hint: 'lower-case letters, digits, dots and dashes' };
  if (exported['kind'] !== kind) return { problem: `plugin ${name} is a ${String(exported['kind'])}, not a ${kind}` };
  if (contract !== CONTRACT_VERSION)
    return {
      problem: `plugin ${name} is made for contract ${String(contract)}, this is ${CONTRACT_VERSION}`,
      hint: 'install a matching version of the plugin',
    };
  if (!isTree(supports)) return { problem: `plugin ${name} does not declare what it supports`, ...made };
  if (typeof create !== 'function') return { problem: `plugin ${name} has no create function`, ...made };
  const schema = optionsFault(options);
  return schema === undefined ? undefined : { problem: `plugin ${name} has a bad options schema: ${schema}` };
}

function optionsFault(options: unknown): string | undefined {
  if (!isTree(options)) return 'it is missing';
  if (options['type'] !== 'object' || options['additionalProperties'] !== false || !isTree(options['properties']))
    return 'it must be an object schema, closed to unknown keys';
  if (Object.hasOwn(options['properties'], 'use')) return 'use is not a name for an option';
  return schemaProblem(options);
}
