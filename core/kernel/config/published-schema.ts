/** The JSON Schema that editors and `skerry config schema` show: every shipped plugin's options, by its name. */
import type { PluginKind } from '../../contracts/index.ts';
import { findShipped } from '../plugin-loader.ts';
import { shippedNames } from '../shipped-plugins.ts';
import { ENGINE_OPTIONS } from './engine-options.ts';
import { invalidConfig } from './problems.ts';
import { PLUGIN_SECTIONS, rootSchema, sectionSchema, type PluginSectionName, type Schema } from './schema.ts';

/** JSON Schema, draft 2020-12. Rejects with `InvalidConfig` when a shipped plugin cannot be loaded. */
export async function configSchema(): Promise<Schema> {
  const sections = await Promise.all(
    Object.entries(PLUGIN_SECTIONS).map(async ([name, kind]) => [name, await section(kind)] as const),
  );
  const gateways = { type: 'array', items: await section('gateway') };
  return rootSchema(Object.fromEntries(sections) as Record<PluginSectionName, Schema>, gateways, ENGINE_OPTIONS);
}

/** A shipped plugin with its options, or any other with options that only it knows. */
async function section(kind: PluginKind): Promise<Schema> {
  const names = shippedNames(kind);
  const shipped = await Promise.all(names.map(async (use) => branch(kind, use)));
  const other = { ...sectionSchema(kind, undefined), not: { required: ['use'], properties: { use: { enum: names } } } };
  return { type: 'object', oneOf: [...shipped, other] };
}

async function branch(kind: PluginKind, use: string): Promise<Schema> {
  const found = await findShipped(kind, use);
  if ('problem' in found) throw invalidConfig([{ source: { kind: 'default' }, key: use, ...found }]);
  return sectionSchema(kind, found.plugin.options, use);
}
