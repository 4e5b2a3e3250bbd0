/**
 * The JSON Schema of the configuration: the one truth about its keys, types and defaults. The options of each plugin are
 * composed in at the place where the plugin is named. A string property marked `writeOnly: true` is a secret.
 */
import type { OptionsSchema, PluginKind } from '../../contracts/index.ts';
import { addressSchema, isAddressOption } from './listen.ts';
import { REPLICATION_SETTINGS } from './replication-options.ts';

export type Schema = Readonly<Record<string, unknown>>;

/** Where plugins are named, by section. `gateways` is a list. */
export const PLUGIN_SECTIONS = {
  metaStore: 'meta-store',
  chunkStore: 'chunk-store',
  transport: 'transport',
  conflictResolver: 'conflict-resolver',
  auth: 'auth',
} as const satisfies Record<string, PluginKind>;
export type PluginSectionName = keyof typeof PLUGIN_SECTIONS;

/** What an absent section stands for; an absent transport is none. */
export const DEFAULT_PLUGINS: Readonly<Partial<Record<PluginSectionName, { readonly use: string }>>> = {
  metaStore: { use: 'sqlite' },
  chunkStore: { use: 'fs' },
  conflictResolver: { use: 'lww' },
  auth: { use: 'sigv4' },
};
export const DEFAULT_GATEWAYS = [{ use: 's3' }] as const;

/** A secret: the text itself, or where it is to be read. */
const SECRET: Schema = {
  type: ['string', 'object'],
  minLength: 1,
  properties: {
    env: { type: 'string', minLength: 1, description: 'name of an environment variable' },
    file: { type: 'string', minLength: 1, description: 'path, relative to the configuration file' },
  },
  additionalProperties: false,
  minProperties: 1,
  maxProperties: 1,
  writeOnly: true,
  description: 'a secret: the text itself, { env: NAME } or { file: path }',
};

const POLICY: Schema = {
  type: ['string', 'object'],
  if: { type: 'string' },
  // oxlint-disable-next-line unicorn/no-thenable -- `then` is a keyword of JSON Schema
  then: { enum: ['admin', 'rw', 'ro'] },
  else: { required: ['Statement'] },
  description: 'admin, rw, ro, or an AWS policy document',
};

const closed = (properties: Schema, extra: Schema = {}): Schema => ({
  type: 'object',
  additionalProperties: false,
  properties,
  ...extra,
});

const IDENTITY: Schema = closed(
  {
    accessKey: {
      type: 'string',
      pattern: '^[A-Za-z0-9_.-]{3,128}$',
      description: '3 to 128 letters, digits, dots, dashes and underscores',
    },
    secretKey: { ...SECRET, minLength: 8 },
    policy: { ...POLICY, default: 'rw' },
    userId: { type: 'string', minLength: 1, maxLength: 128 },
    displayName: { type: 'string', minLength: 1 },
    email: { type: 'string', minLength: 3 },
    account: { type: 'string', pattern: '^[0-9]{12}$', description: '12 digits, in quotes' },
  },
  { required: ['accessKey', 'secretKey'] },
);

const SITE_ID: Schema = {
  type: 'string',
  pattern: '^[a-z0-9][a-z0-9-]{0,31}$',
  description: '1 to 32 lower-case letters, digits and dashes, not beginning with a dash',
};

const PEER_URL: Schema = {
  type: 'string',
  format: 'uri',
  description: 'where the transport of that site answers: http://host:port or https://host:port',
};

/** Keys that the kernel reads itself; the plugin sections come from `plugins`. */
const baseProperties = (plugins: Schema, engine: Schema): Schema => ({
  site: closed({ id: SITE_ID }, { default: {} }),
  dataDir: { type: 'string', format: 'path', minLength: 1, default: './data', description: 'relative to this file' },
  plugins,
  replication: closed(
    {
      clusterKey: SECRET,
      previousClusterKeys: {
        type: 'array',
        default: [],
        items: SECRET,
        description: 'accepted too, while the sites go over to another clusterKey; they open what was sealed with them',
      },
      peers: {
        type: 'array',
        default: [],
        items: closed({ site: SITE_ID, url: PEER_URL }, { required: ['site', 'url'] }),
      },
      ...REPLICATION_SETTINGS,
    },
    { default: {} },
  ),
  engine,
  seed: closed(
    {
      rootAccessKey: { ...SECRET, minLength: 3, pattern: '^[A-Za-z0-9_.-]*$' },
      rootSecretKey: { ...SECRET, minLength: 8 },
      buckets: {
        type: 'array',
        default: [],
        items: { type: 'string', minLength: 3, maxLength: 63 },
        description: 'created at start when absent',
      },
    },
    { default: {}, dependentRequired: { rootAccessKey: ['rootSecretKey'], rootSecretKey: ['rootAccessKey'] } },
  ),
  admin: closed(
    { enabled: { type: 'boolean', default: true, description: 'serve the admin socket that the command line uses' } },
    { default: {} },
  ),
  log: closed(
    {
      level: { enum: ['debug', 'info', 'warn', 'error', 'silent'], default: 'info' },
      format: { enum: ['json', 'pretty'], default: 'json' },
    },
    { default: {} },
  ),
  shutdown: closed(
    {
      graceMs: {
        type: 'integer',
        minimum: 0,
        maximum: 3_600_000,
        default: 10_000,
        description: 'how long running requests may take to finish',
      },
    },
    { default: {} },
  ),
});

/** Schema of one plugin section: `use` and the plugin's own options; anything goes while the plugin is unknown. */
export function sectionSchema(kind: PluginKind, options: OptionsSchema | undefined, use?: string): Schema {
  const name: Schema = {
    type: 'string',
    minLength: 1,
    ...(use === undefined ? {} : { const: use }),
    description: 'a shipped name, a ./path, or a package name',
  };
  const own = kind === 'auth' ? { identities: { type: 'array', default: [], items: IDENTITY } } : {};
  return {
    type: 'object',
    additionalProperties: options === undefined,
    properties: { use: name, ...configProperties(options), ...own },
    required: [...new Set(['use', ...(options?.required ?? [])])],
  };
}

/** A plugin's options as the configuration writes them: secrets and addresses have a form of their own there. */
function configProperties(options: OptionsSchema | undefined): Schema {
  const properties = { ...(openSecrets(options?.properties ?? {}) as Record<string, unknown>) };
  if (isAddressOption(properties['listen'])) properties['listen'] = addressSchema(properties['listen']);
  return properties;
}

/** A secret of a plugin accepts `{ env }` and `{ file }` too; the plugin itself is handed the text. */
function openSecrets(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(openSecrets);
  if (typeof node !== 'object' || node === null) return node;
  const schema = node as Schema;
  if (schema['writeOnly'] === true && schema['type'] === 'string')
    return { ...SECRET, ...schema, type: SECRET['type'] };
  return Object.fromEntries(Object.entries(schema).map(([keyword, value]) => [keyword, openSecrets(value)]));
}

/** The whole schema, from the sections' schemas and that of one gateway or of each gateway in the list. */
export function rootSchema(
  sections: Readonly<Record<PluginSectionName, Schema>>,
  gateways: Schema,
  engine: OptionsSchema,
): Schema {
  const withDefault = Object.entries(sections).map(([name, schema]) => {
    const standard = DEFAULT_PLUGINS[name as PluginSectionName];
    return [name, standard === undefined ? schema : { ...schema, default: standard }];
  });
  const plugins = closed(
    { ...(Object.fromEntries(withDefault) as Schema), gateways: { default: DEFAULT_GATEWAYS, ...gateways } },
    { default: {} },
  );
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Skerry site configuration',
    ...closed(baseProperties(plugins, { ...engine, default: {} })),
  };
}
