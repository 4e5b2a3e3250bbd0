/** What a checked configuration looks like. Deep-frozen; defaults filled in, secrets read, paths absolute. */
import type { PermissionPolicy, Plugin, PluginKind, SiteId } from '../../contracts/index.ts';
import type { LogOptions } from '../logger.ts';
import type { KeyPath, ValueSource } from './problems.ts';
import type { ReplicationSettings } from './replication-options.ts';
import type { PluginSectionName, PLUGIN_SECTIONS } from './schema.ts';

/** `use` and the plugin's own options. */
export interface PluginSection {
  readonly use: string;
  readonly [option: string]: unknown;
}

/** A credential named in the configuration: not replicated, not removable by the command line. */
export interface ConfigIdentity {
  readonly accessKey: string;
  readonly secretKey: string;
  readonly policy: PermissionPolicy;
  readonly userId?: string;
  readonly displayName?: string;
  readonly email?: string;
  readonly account?: string;
}

export interface SiteConfig {
  readonly site: { readonly id?: SiteId };
  readonly dataDir: string;
  readonly plugins: {
    readonly metaStore: PluginSection;
    readonly chunkStore: PluginSection;
    readonly transport?: PluginSection;
    readonly conflictResolver: PluginSection;
    readonly auth: PluginSection & { readonly identities: readonly ConfigIdentity[] };
    readonly gateways: readonly PluginSection[];
  };
  readonly replication: {
    readonly clusterKey?: string;
    readonly previousClusterKeys: readonly string[];
    readonly peers: readonly { readonly site: SiteId; readonly url: string }[];
  } & ReplicationSettings;
  readonly engine: Readonly<Record<string, unknown>>;
  readonly seed: {
    readonly rootAccessKey?: string;
    readonly rootSecretKey?: string;
    readonly buckets: readonly string[];
  };
  readonly admin: { readonly enabled: boolean };
  readonly log: LogOptions;
  readonly shutdown: { readonly graceMs: number };
}

/** A plugin that was found and checked, with its options as `create` takes them. */
export interface LoadedPlugin<K extends PluginKind = PluginKind> {
  readonly plugin: Plugin<K>;
  readonly options: Readonly<Record<string, unknown>>;
  readonly use: string;
  /** `shipped`, `given`, or the path or package that it came from. */
  readonly from: string;
  /** `plugins.metaStore` */
  readonly section: string;
}

export type LoadedSections = {
  readonly [Name in Exclude<PluginSectionName, 'transport'>]: LoadedPlugin<(typeof PLUGIN_SECTIONS)[Name]>;
} & { readonly transport?: LoadedPlugin<'transport'>; readonly gateways: readonly LoadedPlugin<'gateway'>[] };

export interface LoadedConfig {
  readonly config: SiteConfig;
  readonly plugins: LoadedSections;
  /** The effective configuration as it may be shown: defaults filled in, secrets redacted. */
  readonly shown: Readonly<Record<string, unknown>>;
  /** Where each leaf of the configuration came from, by dotted key. */
  readonly sources: Readonly<Record<string, ValueSource>>;
  readonly warnings: readonly string[];
  /** Where one key came from, for an error that is found only later. */
  sourceOf(path: KeyPath): ValueSource;
}
