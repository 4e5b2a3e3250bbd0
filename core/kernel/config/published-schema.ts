/** The JSON Schema that editors and `skerry config schema` show: every shipped plugin's options, by its name. */
import type { FileSystem, PluginKind } from '../../contracts/index.ts';
import { createPluginLoader } from '../plugin-loader.ts';
import { shippedNames } from '../shipped-plugins.ts';
import { invalidConfig } from './problems.ts';
import { ENGINE_OPTIONS } from './engine-options.ts';
import { PLUGIN_SECTIONS, rootSchema, sectionSchema, type PluginSectionName, type Schema } from './schema.ts';

/** `files` and `directory` are what plugins are looked up with; shipped ones need neither to hold anything. */
export async function configSchema(options: {
  readonly files: FileSystem;
  readonly directory: string;
}): Promise<Schema> {
  const loader = createPluginLoader(options);

  async function branch(kind: PluginKind, use: string): Promise<Schema> {
    const found = await loader.find(kind, use);
    if ('problem' in found) throw invalidConfig([{ source: { kind: 'default' }, key: use, ...found }]);
    return sectionSchema(kind, found.plugin.options, use);
  }

  /** A shipped plugin with its options, or any other with options that only it knows. */
  async function section(kind: PluginKind): Promise<Schema> {
    const names = shippedNames(kind);
    const shipped = await Promise.all(names.map((use) => branch(kind, use)));
    const other = {
      ...sectionSchema(kind, undefined),
      not: { required: ['use'], properties: { use: { enum: names } } },
    };
    return { oneOf: [...shipped, other] };
  }

  const sections = await Promise.all(
    Object.entries(PLUGIN_SECTIONS).map(async ([name, kind]) => [name, await section(kind)] as const),
  );
  const gateways = { type: 'array', items: await section('gateway') };
  return rootSchema(Object.fromEntries(sections) as Record<PluginSectionName, Schema>, gateways, ENGINE_OPTIONS);
}
