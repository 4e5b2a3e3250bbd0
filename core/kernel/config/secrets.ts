/** Secrets of the configuration: read from where they are, shown to nobody. */
import { isAbsolute, resolve } from 'node:path';
import type { FileSystem } from '../../contracts/index.ts';
import type { Environment } from './overrides.ts';
import type { KeyPath } from './problems.ts';
import type { Schema } from './schema.ts';
import { isTree, setAt, valueAt, type Tree } from './tree.ts';

const REDACTED = '[redacted]';

/** Paths of all secrets that are set in `value`, found by `writeOnly` in the schema. */
export function secretPaths(schema: unknown, value: unknown): readonly KeyPath[] {
  return keysWhere(({ writeOnly }) => writeOnly === true, schema, value);
}

/** Paths of all names of files and directories that are set in `value`, found by `format: path` in the schema. */
export function filePaths(schema: unknown, value: unknown): readonly KeyPath[] {
  return keysWhere(({ format }) => format === 'path', schema, value);
}

function keysWhere(
  isMarked: (schema: Schema) => boolean,
  schema: unknown,
  value: unknown,
  path: KeyPath = [],
): readonly KeyPath[] {
  if (!isTree(schema) || value === undefined) return [];
  if (isMarked(schema)) return [path];
  if (Array.isArray(value))
    return value.flatMap((item, index) =>
      keysWhere(isMarked, itemSchema(schema, index), item, [...path, String(index)]),
    );
  if (!isTree(value)) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    keysWhere(isMarked, memberSchema(schema, key), inner, [...path, key]),
  );
}

/** Schema of a member of an object; `undefined` when the schema does not know it. */
export function memberSchema(schema: Schema, key: string): unknown {
  const properties = schema['properties'];
  if (isTree(properties) && Object.hasOwn(properties, key)) return properties[key];
  return isTree(schema['additionalProperties']) ? schema['additionalProperties'] : undefined;
}

/** Schema of an item of a list. */
export function itemSchema(schema: Schema, index: number): unknown {
  const prefix = schema['prefixItems'];
  return (Array.isArray(prefix) ? (prefix as unknown[])[index] : undefined) ?? schema['items'];
}

/** A copy fit to be shown: texts are replaced, references to variables and files stay. */
export function redact(config: Tree, paths: readonly KeyPath[]): Tree {
  const copy = structuredClone(config);
  for (const path of paths) if (typeof valueAt(copy, path) === 'string') setAt(copy, path, REDACTED);
  return copy;
}

export interface SecretSources {
  readonly env: Environment;
  readonly files: FileSystem;
  /** Directory that a relative path of this key starts from. */
  readonly directoryOf: (path: KeyPath) => string;
}

/** Text of one secret, or why there is none. One line break at the end of a file does not count. */
export async function readSecret(
  value: unknown,
  path: KeyPath,
  { env, files, directoryOf }: SecretSources,
): Promise<{ readonly text: string } | { readonly problem: string }> {
  if (typeof value === 'string') return { text: value };
  const { env: name, file } = value as { readonly env?: string; readonly file?: string };
  if (name !== undefined) {
    const text = env[name];
    return text === undefined || text === '' ? { problem: `environment variable ${name} is not set` } : { text };
  }
  const shown = file ?? '';
  try {
    const bytes = await files.readFile(isAbsolute(shown) ? shown : resolve(directoryOf(path), shown));
    if (bytes === undefined) return { problem: `file ${shown} does not exist` };
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes).replace(/\r?\n$/, '');
    return text === '' ? { problem: `file ${shown} is empty` } : { text };
  } catch (error) {
    return { problem: `file ${shown} cannot be read: ${(error as Error).message}` };
  }
}
