/** Checks a configuration tree against its schema, fills in the defaults, and words every fault. */
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { parse } from 'yaml';
import type { Override } from './overrides.ts';
import { suggest, type KeyPath } from './problems.ts';
import type { Schema } from './schema.ts';
import { itemSchema, memberSchema } from './secrets.ts';
import { isTree, setAt, type Tree } from './tree.ts';

/** A fault found by the schema. `about` says what to point at. */
export interface SchemaFault {
  readonly path: KeyPath;
  readonly about: 'key' | 'value';
  readonly problem: string;
  readonly hint?: string;
}

function createAjv(): Ajv2020 {
  const ajv = new Ajv2020({
    allErrors: true,
    useDefaults: true,
    verbose: true,
    strict: true,
    strictTuples: false,
    strictRequired: false,
    strictTypes: false,
    allowUnionTypes: true,
  });
  (addFormats as unknown as (ajv: Ajv2020) => void)(ajv);
  ajv.addFormat('path', true); // any text; names a file or directory, see filePaths
  return ajv;
}

/** Why a schema cannot be used; `undefined` when it can. */
export function schemaProblem(schema: object): string | undefined {
  try {
    createAjv().compile(structuredClone(schema));
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Fills defaults into `tree` in place. `[]` means that it is valid. */
export function validateTree(schema: Schema, tree: Tree): readonly SchemaFault[] {
  const check = createAjv().compile(schema);
  if (check(tree)) return [];
  return (check.errors ?? []).filter(({ keyword }) => keyword !== 'if').map(asFault);
}

const pointer = (instancePath: string): KeyPath =>
  instancePath
    .split('/')
    .slice(1)
    .map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'));

function asFault(error: ErrorObject): SchemaFault {
  const path = pointer(error.instancePath);
  const params = error.params as Readonly<Record<string, unknown>>;
  const description = error.parentSchema?.['description'];
  const hint = typeof description === 'string' ? { hint: description } : {};
  switch (error.keyword) {
    case 'additionalProperties':
      return unknownKey(path, String(params['additionalProperty']), error);
    case 'required':
    case 'dependentRequired':
      return { path: [...path, String(params['missingProperty'])], about: 'key', problem: 'is missing' };
    case 'type':
      return {
        path,
        about: 'value',
        problem: `must be ${typeNames(params['type'])}, not ${shown(error)}`,
        ...hint,
      };
    case 'enum':
      return { path, about: 'value', ...enumProblem(params['allowedValues'], error) };
    case 'pattern':
    case 'format':
      return { path, about: 'value', problem: `${shown(error)} is not valid`, ...hint };
    default:
      return { path, about: 'value', problem: error.message ?? `fails ${error.keyword}`, ...hint };
  }
}

function unknownKey(path: KeyPath, key: string, error: ErrorObject): SchemaFault {
  const properties = error.parentSchema?.['properties'];
  const hint = suggest(key, isTree(properties) ? Object.keys(properties) : []);
  return { path: [...path, key], about: 'key', problem: 'unknown key', ...(hint === undefined ? {} : { hint }) };
}

function enumProblem(allowed: unknown, error: ErrorObject): { readonly problem: string; readonly hint?: string } {
  const words = (Array.isArray(allowed) ? allowed : []).map(String);
  const near = typeof error.data === 'string' ? suggest(error.data, words) : undefined;
  const problem = `must be one of ${words.join(', ')}, not ${shown(error)}`;
  return near?.startsWith('did you mean') === true ? { problem, hint: near } : { problem };
}

function typeNames(type: unknown): string {
  const names: Readonly<Record<string, string>> = {
    object: 'a section',
    array: 'a list',
    string: 'text',
    integer: 'a whole number',
    number: 'a number',
    boolean: 'true or false',
    null: 'null',
  };
  return (Array.isArray(type) ? type : String(type).split(','))
    .map((name) => names[String(name)] ?? String(name))
    .join(' or ');
}

const SHOWN_CHARACTERS = 60;

/** What was found. A secret is never shown, nor is the inside of a section or list. */
function shown({ data, parentSchema }: ErrorObject): string {
  if (data === null) return 'nothing';
  if (Array.isArray(data)) return 'a list';
  if (typeof data === 'object') return 'a section';
  if (parentSchema?.['writeOnly'] === true) return `this ${typeof data}`;
  return JSON.stringify(data)?.slice(0, SHOWN_CHARACTERS) ?? typeof data;
}

/** Text from variables and flags becomes what its schema asks for: `8080` stays text where text is asked for. */
export function coerceOverrides(schema: Schema, tree: Tree, overrides: readonly Override[]): void {
  for (const { path, value } of overrides) {
    if (typeof value !== 'string') continue;
    const types = expectedTypes(schemaAt(schema, path));
    if (types.length === 0 || types.includes('string')) continue;
    setAt(tree, path, scalar(value));
  }
}

function scalar(text: string): unknown {
  try {
    return parse(text);
  } catch {
    return text; // refused by the schema, with the variable's or flag's name
  }
}

function schemaAt(root: Schema, path: KeyPath): unknown {
  let node: unknown = root;
  for (const segment of path) {
    if (!isTree(node)) return undefined;
    const isList = node['items'] !== undefined || node['prefixItems'] !== undefined;
    node = isList ? itemSchema(node, Number(segment)) : memberSchema(node, segment);
  }
  return node;
}

/** Types that a schema allows at its top level; empty when it does not say. */
function expectedTypes(schema: unknown): readonly string[] {
  if (!isTree(schema)) return [];
  const { type, enum: values, const: value, anyOf, oneOf } = schema;
  if (type !== undefined) return (Array.isArray(type) ? type : [type]).map(String);
  if (Array.isArray(values)) return [...new Set(values.map((one) => typeof one))];
  if (value !== undefined) return [typeof value];
  const branches = [anyOf, oneOf].find(Array.isArray) as readonly unknown[] | undefined;
  return (branches ?? []).flatMap(expectedTypes);
}
