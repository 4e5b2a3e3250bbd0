/** Two plugins on one port, found before anything listens. */
import type { KeyPath } from './problems.ts';
import { isTree, type Tree } from './tree.ts';

export interface Listener {
  readonly path: KeyPath;
  readonly listen: string;
}

/** Every `listen` of a plugin section. */
export function listeners(config: Tree): readonly Listener[] {
  const plugins = isTree(config['plugins']) ? config['plugins'] : {};
  return Object.entries(plugins).flatMap(([name, section]) =>
    Array.isArray(section)
      ? section.flatMap((item, index) => listenOf(item, ['plugins', name, String(index)]))
      : listenOf(section, ['plugins', name]),
  );
}

function listenOf(section: unknown, path: KeyPath): readonly Listener[] {
  const listen = isTree(section) ? section['listen'] : undefined;
  return typeof listen === 'string' ? [{ path: [...path, 'listen'], listen }] : [];
}

/** What a plugin whose `listen` option is an object is handed. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

const PORT = '(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[0-9]{1,4})';
const LISTEN = `^(\\[[0-9A-Fa-f:.]+\\]|[^\\s:/\\[\\]]*):${PORT}$`;
const ALL_INTERFACES = '0.0.0.0';
const WILDCARDS: ReadonlySet<string> = new Set([ALL_INTERFACES, '::', '*']);

/** `host:port`, `[v6]:port`, or `:port` for all interfaces; `undefined` for anything else. */
export function parseListen(listen: string): Address | undefined {
  const match = new RegExp(LISTEN).exec(listen);
  if (match === null) return undefined;
  const host = (match[1] ?? '').replace(/^\[|\]$/g, '');
  return { host: host === '' ? ALL_INTERFACES : host, port: Number(match[2]) };
}

/** True for an option that the configuration writes as `host:port` and the plugin takes as `{ host, port }`. */
export function isAddressOption(schema: unknown): boolean {
  const properties = isTree(schema) ? schema['properties'] : undefined;
  return isTree(properties) && isTree(properties['host']) && isTree(properties['port']);
}

/** The schema of such an option as the configuration has it. */
export function addressSchema(schema: unknown): Tree {
  const { host, port } = (schema as { readonly properties: Record<string, { readonly default?: string | number }> })
    .properties;
  const complete = host?.default !== undefined && port?.default !== undefined;
  return {
    type: 'string',
    pattern: LISTEN,
    ...(complete ? { default: `${host.default}:${port.default}` } : {}),
    description: 'host:port, [v6 address]:port, or :port for all interfaces; port 0 for any free one',
  };
}

/** Pairs that could not both listen: the later one with the one that it collides with. */
export function collisions(
  all: readonly Listener[],
): readonly { readonly later: Listener; readonly first: Listener }[] {
  return all.flatMap((later, index) => {
    const first = all.slice(0, index).find((earlier) => collide(earlier.listen, later.listen));
    return first === undefined ? [] : [{ later, first }];
  });
}

function collide(a: string, b: string): boolean {
  const [one, other] = [parseListen(a), parseListen(b)];
  if (one === undefined || other === undefined) return a === b;
  if (one.port !== other.port || one.port === 0) return false;
  return name(one) === name(other) || WILDCARDS.has(one.host) || WILDCARDS.has(other.host);
}

function name({ host }: Address): string {
  return host === 'localhost' ? '127.0.0.1' : host.toLowerCase();
}
