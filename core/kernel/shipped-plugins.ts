/** The plugins that come with Skerry, by kind and short name. Nothing else in the core knows where a plugin lies. */
import type { PluginKind } from '../contracts/index.ts';

const FOLDERS = {
  'meta-store': { sqlite: 'meta-sqlite', memory: 'meta-memory' },
  'chunk-store': { fs: 'chunks-fs', memory: 'chunks-memory' },
  transport: { http: 'transport-http', memory: 'transport-memory' },
  auth: { sigv4: 'auth-sigv4', anonymous: 'auth-anonymous' },
  'conflict-resolver': { lww: 'resolver-lww', 'keep-both': 'resolver-keep-both', primary: 'resolver-primary' },
  gateway: { s3: 'gateway-s3', admin: 'gateway-admin' },
} as const satisfies Record<PluginKind, Readonly<Record<string, string>>>;

/** Sources run as `.ts`; the built package holds `.js` in the same layout. */
const EXTENSION = import.meta.url.endsWith('.ts') ? 'ts' : 'js';

/** Short names of one kind, as `use:` takes them. */
export function shippedNames(kind: PluginKind): readonly string[] {
  return Object.keys(FOLDERS[kind]);
}

/** Full name (`meta-sqlite`) of a shipped plugin. */
export function shippedFolder(kind: PluginKind, use: string): string | undefined {
  const folders: Readonly<Record<string, string>> = FOLDERS[kind];
  return Object.hasOwn(folders, use) ? folders[use] : undefined;
}

/** URL of a shipped plugin's module, to import. */
export function shippedUrl(folder: string): string {
  return new URL(`../../plugins/${folder}/index.${EXTENSION}`, import.meta.url).href;
}
