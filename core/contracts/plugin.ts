/**
 * How a plugin presents itself. A plugin module has one default export made by `definePlugin`; the kernel loads it by exact
 * name, path or package, checks kind, contract version and options before anything opens, and refuses to start on any fault.
 */
import type { Auth, AuthSupports, IdentityDirectory } from './auth.ts';
import type { ChunkStore, ChunkStoreSupports } from './chunk-store.ts';
import type { ConflictResolver, ConflictResolverSupports } from './conflict-resolver.ts';
import type { Gateway, GatewayServices, GatewaySupports } from './gateway.ts';
import type { MetaStore, MetaStoreSupports } from './meta-store.ts';
import type { SiteId } from './model.ts';
import type { Runtime } from './runtime.ts';
import type { Transport, TransportSupports } from './transport.ts';

/** Version of this contract folder. A plugin built for another major is refused at start. */
export const CONTRACT_VERSION = 1;

/** What every plugin's `create` gets, besides what its kind adds. */
export interface PluginDeps extends Runtime {
  readonly siteId: SiteId;
  /** Directory that belongs to this plugin alone (directly below the site's data directory); not yet created. */
  readonly dataDir: string;
}

export interface PluginKinds {
  readonly 'meta-store': { readonly port: MetaStore; readonly deps: PluginDeps; readonly supports: MetaStoreSupports };
  readonly 'chunk-store': {
    readonly port: ChunkStore;
    readonly deps: PluginDeps;
    readonly supports: ChunkStoreSupports;
  };
  readonly transport: { readonly port: Transport; readonly deps: PluginDeps; readonly supports: TransportSupports };
  readonly auth: {
    readonly port: Auth;
    readonly deps: PluginDeps & { readonly identities: IdentityDirectory };
    readonly supports: AuthSupports;
  };
  readonly 'conflict-resolver': {
    readonly port: ConflictResolver;
    readonly deps: PluginDeps;
    readonly supports: ConflictResolverSupports;
  };
  readonly gateway: {
    readonly port: Gateway;
    readonly deps: PluginDeps & { readonly services: GatewayServices };
    readonly supports: GatewaySupports;
  };
}
export type PluginKind = keyof PluginKinds;

/**
 * JSON Schema (2020-12) of a plugin's options: an object schema with `additionalProperties: false` and `default`s. Texts marked `writeOnly: true` are
 * secrets; texts of `format: 'path'` name files or directories and are handed over absolute.
 */
export interface OptionsSchema {
  readonly type: 'object';
  readonly additionalProperties: false;
  readonly properties: Readonly<Record<string, unknown>>;
  readonly required?: readonly string[];
}

export interface Plugin<K extends PluginKind = PluginKind, O = unknown> {
  readonly kind: K;
  /** Name shown to people: `meta-sqlite`. */
  readonly name: string;
  /** CONTRACT_VERSION that it was written for. */
  readonly contract: number;
  readonly supports: PluginKinds[K]['supports'];
  readonly options: OptionsSchema;
  /** Synchronous and free of I/O. `options` are validated, defaulted and deep-frozen. Destructure `deps` at once. */
  readonly create: (deps: PluginKinds[K]['deps'], options: O) => PluginKinds[K]['port'];
}

/** Types and freezes a plugin. The one thing that a plugin module exports by default. */
export function definePlugin<K extends PluginKind, O>(plugin: Plugin<K, O>): Plugin<K, O> {
  return Object.freeze({ ...plugin });
}
