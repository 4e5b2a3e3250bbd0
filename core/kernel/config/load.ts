/** Reads, merges, checks and completes the configuration of one site. */
import { dirname, resolve } from 'node:path';
import { isSkerryError, type FileSystem, type OptionsSchema } from '../../contracts/index.ts';
import {
  createPluginLoader,
  type FoundPlugin,
  type PluginFault,
  type PluginLoader,
  type PluginTable,
} from '../plugin-loader.ts';
import { parseConfigDocument, type ConfigDocument } from './document.ts';
import { ENGINE_OPTIONS } from './engine-options.ts';
import { collisions, isAddressOption, listeners, parseListen } from './listen.ts';
import { applyOverrides, collectOverrides, type ConfigFlags, type Environment, type Override } from './overrides.ts';
import { describeSource, invalidConfig, type KeyPath, type Problem, type ValueSource } from './problems.ts';
import {
  DEFAULT_GATEWAYS,
  DEFAULT_PLUGINS,
  PLUGIN_SECTIONS,
  rootSchema,
  sectionSchema,
  type PluginSectionName,
  type Schema,
} from './schema.ts';
import { replicationProblems } from './replication-problems.ts';
import { filePaths, readSecret, redact, secretPaths } from './secrets.ts';
import { deepFreeze, isTree, leaves, setAt, valueAt, type Tree } from './tree.ts';
import type { LoadedConfig, LoadedPlugin, LoadedSections, SiteConfig } from './types.ts';
import { coerceOverrides, validateTree, type SchemaFault } from './validate.ts';

export interface LoadConfigInput {
  /** YAML or JSON; absolute or relative to `cwd`. Absent: embedded defaults. */
  readonly file?: string;
  /** Instead of a file, for embedding programs: the same shape; relative paths start from `cwd`. */
  readonly values?: object;
  readonly env: Environment;
  readonly flags?: ConfigFlags;
  /** Absolute. */
  readonly cwd: string;
  readonly files: FileSystem;
  /** Plugins of the embedding program, by the name that `use:` calls them. */
  readonly plugins?: PluginTable;
}

/** State of one load: the merged tree and how to tell where its values came from. */
interface Merged {
  readonly tree: Tree;
  readonly applied: readonly Override[];
  readonly document: ConfigDocument | undefined;
  readonly inline: unknown;
  /** Directory of the file. */
  readonly directory: string;
  readonly cwd: string;
}

interface SelectedPlugin {
  readonly path: KeyPath;
  readonly use: string;
  readonly found: FoundPlugin | PluginFault;
}

/**
 * The effective configuration: defaults < file < environment < flags. Rejects with `InvalidConfig`; the message has one line a
 * problem (`file:line:col: key: problem (hint: ...)`, or the variable or flag in place of the position) and all of them at once.
 */
export async function loadConfig(input: LoadConfigInput): Promise<LoadedConfig> {
  const { merged, problems, warnings } = await merge(input);
  const { tree } = merged;
  const directory = merged.directory;
  const loader = createPluginLoader({
    directory,
    files: input.files,
    ...(input.plugins === undefined ? {} : { given: input.plugins }),
  });
  completeGateways(tree);
  const selected = await selectPlugins(tree, loader);
  problems.push(...selected.flatMap((one) => pluginProblem(one, merged)));
  const schema = composeSchema(selected);
  coerceOverrides(schema, tree, merged.applied);
  problems.push(...validateTree(schema, tree).map((fault) => faultProblem(fault, merged)));
  if (problems.length > 0) throw invalidConfig(problems);

  problems.push(...portProblems(tree, merged), ...contradictions(tree, merged));
  const secrets = secretPaths(schema, tree);
  const shown = redact(tree, secrets);
  problems.push(...(await resolveSecrets(tree, secrets, merged, input)));
  if (problems.length === 0) problems.push(...validateTree(schema, tree).map((fault) => faultProblem(fault, merged)));
  if (problems.length > 0) throw invalidConfig(problems);
  for (const path of filePaths(schema, tree)) {
    const file = resolve(directoryOf(path, merged), String(valueAt(tree, path)));
    for (const config of [tree, shown]) setAt(config, path, file);
  }

  const sources = Object.fromEntries(
    leaves(shown).map(({ path }) => [path.join('.'), sourceOf(path, merged, 'value')]),
  );
  return Object.freeze({
    config: deepFreeze(tree as unknown as SiteConfig),
    plugins: loadedSections(tree, selected),
    shown: deepFreeze(shown),
    sources: Object.freeze(sources),
    warnings: Object.freeze(warnings),
    sourceOf: (path: KeyPath) => sourceOf(path, merged, 'value'),
  });
}

async function merge(
  input: LoadConfigInput,
): Promise<{ readonly merged: Merged; readonly problems: Problem[]; readonly warnings: readonly string[] }> {
  const { env, flags = {}, cwd } = input;
  const document = input.file === undefined ? undefined : await readDocument(input.file, input);
  const raw = document === undefined ? (input.values ?? {}) : document.values;
  const problems: Problem[] = [...(document?.problems ?? [])];
  if (!isTree(raw)) {
    const source: ValueSource = document?.locate([], 'value') ?? { kind: 'inline' };
    throw invalidConfig([...problems, { source, key: '', problem: 'the configuration must be a section of keys' }]);
  }
  if (problems.length > 0) throw invalidConfig(problems);
  const tree = structuredClone(raw);
  const collected = collectOverrides(env, flags);
  const { applied, problems: blocked } = applyOverrides(tree, collected.overrides, DEFAULT_GATEWAYS);
  const directory = input.file === undefined ? cwd : dirname(resolve(cwd, input.file));
  return {
    merged: { tree, applied, document, inline: input.values, directory, cwd },
    problems: [...collected.problems, ...blocked],
    warnings: collected.warnings,
  };
}

async function readDocument(file: string, { cwd, files }: LoadConfigInput): Promise<ConfigDocument> {
  const source: ValueSource = { kind: 'file', file, line: 1, column: 1 };
  try {
    const bytes = await files.readFile(resolve(cwd, file));
    if (bytes === undefined)
      throw invalidConfig([{ source, key: '', problem: 'file does not exist', hint: 'make one with: skerry init' }]);
    return parseConfigDocument(new TextDecoder('utf-8', { fatal: true }).decode(bytes), file);
  } catch (error) {
    if (isSkerryError(error, 'InvalidConfig')) throw error;
    throw invalidConfig([{ source, key: '', problem: `file cannot be read: ${(error as Error).message}` }]);
  }
}

/** Spells the list of gateways out. The admin socket that the command line uses comes along unless it is switched off. */
function completeGateways(tree: Tree): void {
  const plugins = tree['plugins'] ?? {};
  if (!isTree(plugins)) return;
  const gateways = plugins['gateways'] ?? structuredClone(DEFAULT_GATEWAYS);
  tree['plugins'] = { ...plugins, gateways };
  const enabled = valueAt(tree, ['admin', 'enabled']);
  const listed = Array.isArray(gateways) && gateways.some((gateway) => isTree(gateway) && gateway['use'] === 'admin');
  // A variable or flag is still text here.
  if (Array.isArray(gateways) && !listed && enabled !== false && enabled !== 'false') gateways.push({ use: 'admin' });
}

/** Looks up every plugin that is named, the default ones included. */
async function selectPlugins(tree: Tree, loader: PluginLoader): Promise<readonly SelectedPlugin[]> {
  const selected: SelectedPlugin[] = [];
  for (const [name, kind] of Object.entries(PLUGIN_SECTIONS)) {
    const section = valueAt(tree, ['plugins', name]) ?? DEFAULT_PLUGINS[name as PluginSectionName];
    const use = isTree(section) ? section['use'] : undefined;
    if (typeof use === 'string') selected.push({ path: ['plugins', name], use, found: await loader.find(kind, use) });
  }
  const gateways = valueAt(tree, ['plugins', 'gateways']);
  for (const [index, section] of (Array.isArray(gateways) ? (gateways as unknown[]) : []).entries()) {
    const use = isTree(section) ? section['use'] : undefined;
    const path = ['plugins', 'gateways', String(index)];
    if (typeof use === 'string') selected.push({ path, use, found: await loader.find('gateway', use) });
  }
  return selected;
}

function pluginProblem({ path, found }: SelectedPlugin, merged: Merged): readonly Problem[] {
  if ('plugin' in found) return [];
  const key = [...path, 'use'];
  return [{ source: sourceOf(key, merged, 'value'), key: key.join('.'), ...found }];
}

/** The schema for exactly the plugins that this configuration names. */
function composeSchema(selected: readonly SelectedPlugin[]): Schema {
  const options = (path: KeyPath): OptionsSchema | undefined => {
    const found = selected.find((one) => one.path.join('.') === path.join('.'))?.found;
    return found !== undefined && 'plugin' in found ? found.plugin.options : undefined;
  };
  const sections = Object.fromEntries(
    Object.entries(PLUGIN_SECTIONS).map(([name, kind]) => [name, sectionSchema(kind, options(['plugins', name]))]),
  ) as Record<PluginSectionName, Schema>;
  const indexes = selected.filter(({ path }) => path[1] === 'gateways').map(({ path }) => Number(path[2]));
  const prefixItems = Array.from({ length: Math.max(-1, ...indexes) + 1 }, (_, index) =>
    sectionSchema('gateway', options(['plugins', 'gateways', String(index)])),
  );
  const items = sectionSchema('gateway', undefined);
  return rootSchema(
    sections,
    { type: 'array', items, ...(prefixItems.length === 0 ? {} : { prefixItems }) },
    ENGINE_OPTIONS,
  );
}

function faultProblem({ path, about, problem, hint }: SchemaFault, merged: Merged): Problem {
  const key = path.join('.');
  return { source: sourceOf(path, merged, about), key, problem, ...(hint === undefined ? {} : { hint }) };
}

function portProblems(tree: Tree, merged: Merged): readonly Problem[] {
  return collisions(listeners(tree)).map(({ later, first }) => ({
    source: sourceOf(later.path, merged, 'value'),
    key: later.path.join('.'),
    problem: `${later.listen} collides with ${first.path.join('.')} (${first.listen}, ${describeSource(sourceOf(first.path, merged, 'value'))})`,
    hint: 'give each plugin a port of its own',
  }));
}

function contradictions(tree: Tree, merged: Merged): readonly Problem[] {
  return replicationProblems(tree as unknown as SiteConfig).map(({ path, ...fault }) => ({
    source: sourceOf(path, merged, 'value'),
    key: path.join('.'),
    ...fault,
  }));
}

async function resolveSecrets(
  tree: Tree,
  paths: readonly KeyPath[],
  merged: Merged,
  { env, files }: LoadConfigInput,
): Promise<readonly Problem[]> {
  const problems: Problem[] = [];
  for (const path of paths) {
    const secret = await readSecret(valueAt(tree, path), path, {
      env,
      files,
      directoryOf: (at) => directoryOf(at, merged),
    });
    if ('text' in secret) setAt(tree, path, secret.text);
    else problems.push({ source: sourceOf(path, merged, 'value'), key: path.join('.'), ...secret });
  }
  return problems;
}

function overrideOf(path: KeyPath, { applied }: Merged): Override | undefined {
  return applied.findLast((override) => override.path.every((segment, index) => path[index] === segment));
}

function sourceOf(path: KeyPath, merged: Merged, about: 'key' | 'value'): ValueSource {
  const override = overrideOf(path, merged);
  if (override !== undefined) return override.source;
  const { document, inline, applied } = merged;
  // A section that nothing but an override begins, as a misspelt one does.
  const below = applied.findLast((one) => path.every((segment, index) => one.path[index] === segment));
  if (below !== undefined && about === 'key' && document?.has(path) !== true) return below.source;
  if (document?.has(path) === true || (document !== undefined && about === 'key')) return document.locate(path, about);
  return valueAt(inline, path) === undefined ? { kind: 'default' } : { kind: 'inline' };
}

/** Paths in the file start from the file; those of variables and flags from the working directory. */
function directoryOf(path: KeyPath, merged: Merged): string {
  return overrideOf(path, merged) === undefined ? merged.directory : merged.cwd;
}

/** Options as `create` takes them: those that the plugin declares, addresses taken apart. */
function pluginOptions(schema: OptionsSchema, section: unknown): Readonly<Record<string, unknown>> {
  const own = Object.entries(section as Tree).filter(([name]) => Object.hasOwn(schema.properties, name));
  const isAddress = isAddressOption(schema.properties['listen']);
  return deepFreeze(
    Object.fromEntries(
      own.map(([name, value]) => [name, isAddress && name === 'listen' ? parseListen(String(value)) : value]),
    ),
  );
}

function loadedSections(tree: Tree, selected: readonly SelectedPlugin[]): LoadedSections {
  const loaded = selected.flatMap(({ path, use, found }): readonly LoadedPlugin[] => {
    if (!('plugin' in found)) return [];
    return [
      {
        plugin: found.plugin,
        options: pluginOptions(found.plugin.options, valueAt(tree, path)),
        use,
        from: found.from,
        section: path.join('.'),
      },
    ];
  });
  const gateways = loaded.filter(({ section }) => section.startsWith('plugins.gateways.'));
  const single = loaded
    .filter((one) => !gateways.includes(one))
    .map((one) => [one.section.slice('plugins.'.length), one]);
  return Object.freeze({ ...Object.fromEntries(single), gateways }) as LoadedSections;
}
