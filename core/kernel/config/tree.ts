/** Plain JSON-like trees: the raw configuration before it is checked. */
import type { KeyPath } from './problems.ts';

export type Tree = Record<string, unknown>;

/** Names that would reach an object's prototype; never keys of a configuration. */
const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(['__proto__', 'prototype', 'constructor']);

export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isSafePath(path: KeyPath): boolean {
  return path.length > 0 && path.every((segment) => segment !== '' && !FORBIDDEN_KEYS.has(segment));
}

/** Own member of an object or array; `undefined` where there is none. */
export function member(value: unknown, segment: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, segment)) return undefined;
  return (value as Tree)[segment];
}

export function valueAt(root: unknown, path: KeyPath): unknown {
  return path.reduce(member, root);
}

/** Set `value` at `path`, making objects (or arrays, where the next segment is an index) on the way. */
export function setAt(root: Tree, path: KeyPath, value: unknown): void {
  let node: Tree = root;
  path.forEach((segment, index) => {
    if (index === path.length - 1) {
      node[segment] = value;
      return;
    }
    const next = member(node, segment);
    if (typeof next !== 'object' || next === null) node[segment] = /^\d+$/.test(path[index + 1] ?? '') ? [] : {};
    node = node[segment] as Tree;
  });
}

/** Every leaf (scalars, empty objects, empty arrays) with its path. */
export function leaves(
  value: unknown,
  path: KeyPath = [],
): readonly { readonly path: KeyPath; readonly value: unknown }[] {
  const entries = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  if (entries.length === 0) return [{ path, value }];
  return entries.flatMap(([segment, inner]) => leaves(inner, [...path, segment]));
}

export function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(deepFreeze);
  }
  return value;
}
