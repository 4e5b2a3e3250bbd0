/** Settings from the environment and from flags, as paths into the configuration with where each came from. */
import { parse } from 'yaml';
import type { KeyPath, Problem, ValueSource } from './problems.ts';
import { suggest } from './problems.ts';
import { isSafePath, isTree, setAt, valueAt, type Tree } from './tree.ts';

/** Flags as the command line hands them over. */
export interface ConfigFlags {
  readonly dataDir?: string;
  readonly listen?: string;
  /** `a.b=value` each. */
  readonly set?: readonly string[];
}

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Override {
  readonly path: KeyPath;
  readonly value: unknown;
  readonly source: ValueSource;
}

interface Overrides {
  readonly overrides: readonly Override[];
  readonly problems: readonly Problem[];
  readonly warnings: readonly string[];
}

/** `SKERRY_LISTEN` and `--listen` name the first S3 gateway, whatever its place in the list. */
const S3_LISTEN: KeyPath = ['plugins', 'gateways', 's3', 'listen'];

const NAMED_VARIABLES: Readonly<Record<string, KeyPath>> = {
  SKERRY_SITE_ID: ['site', 'id'],
  SKERRY_DATA_DIR: ['dataDir'],
  SKERRY_LISTEN: S3_LISTEN,
  SKERRY_ROOT_ACCESS_KEY: ['seed', 'rootAccessKey'],
  SKERRY_ROOT_SECRET_KEY: ['seed', 'rootSecretKey'],
  SKERRY_BUCKETS: ['seed', 'buckets'],
};
const ANY_KEY = 'SKERRY__';

/** Highest precedence last: named variables, `SKERRY__a__b`, `--data-dir` and `--listen`, `--set`. Empty variables count as unset. */
export function collectOverrides(env: Environment, flags: ConfigFlags): Overrides {
  const named: Override[] = [];
  const general: Override[] = [];
  const problems: Problem[] = [];
  const warnings: string[] = [];
  for (const [name, text] of Object.entries(env).sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (!name.startsWith('SKERRY_') || text === undefined || text === '') continue;
    const source: ValueSource = { kind: 'env', name };
    const path = NAMED_VARIABLES[name];
    if (path !== undefined) named.push({ path, value: name === 'SKERRY_BUCKETS' ? splitNames(text) : text, source });
    else if (name.startsWith(ANY_KEY))
      addGeneral(general, problems, name.slice(ANY_KEY.length).split('__'), text, source);
    else if (name !== 'SKERRY_CONFIG') warnings.push(unknownVariable(name));
  }
  const fromFlags = flagOverrides(flags, problems);
  return { overrides: [...named, ...general, ...fromFlags], problems, warnings };
}

/** A warning, not an error: Kubernetes puts SKERRY_PORT and the like into every pod next to a service called skerry. */
function unknownVariable(name: string): string {
  return `${name}: unknown variable, ignored (hint: ${suggest(name, Object.keys(NAMED_VARIABLES)) ?? ''})`;
}

function splitNames(text: string): readonly string[] {
  return text.split(/[\s,]+/).filter((name) => name !== '');
}

function flagOverrides(flags: ConfigFlags, problems: Problem[]): readonly Override[] {
  const overrides: Override[] = [];
  if (flags.dataDir !== undefined)
    overrides.push({ path: ['dataDir'], value: flags.dataDir, source: { kind: 'flag', name: '--data-dir' } });
  if (flags.listen !== undefined)
    overrides.push({ path: S3_LISTEN, value: flags.listen, source: { kind: 'flag', name: '--listen' } });
  for (const assignment of flags.set ?? []) {
    const equals = assignment.indexOf('=');
    const key = equals < 0 ? assignment : assignment.slice(0, equals);
    const source: ValueSource = { kind: 'flag', name: `--set ${key}` };
    if (equals < 0) problems.push({ source, key: '', problem: 'has no value', hint: 'write --set a.b=value' });
    else addGeneral(overrides, problems, key.split('.'), assignment.slice(equals + 1), source);
  }
  return overrides;
}

function addGeneral(into: Override[], problems: Problem[], path: KeyPath, text: string, source: ValueSource): void {
  if (isSafePath(path)) into.push({ path, value: flowValue(text), source });
  else problems.push({ source, key: path.join('.'), problem: 'is not a key of the configuration' });
}

/** `{...}` and `[...]` are YAML flow collections; anything else stays text until its schema says what it must be. */
function flowValue(text: string): unknown {
  if (!/^\s*[{[]/.test(text)) return text;
  try {
    return parse(text);
  } catch {
    return text; // the schema refuses it, and names the variable or flag
  }
}

/** Write the overrides into `raw`, lowest precedence first. `defaultGateways` is what an absent list stands for. */
export function applyOverrides(
  raw: Tree,
  overrides: readonly Override[],
  defaultGateways: readonly unknown[],
): { readonly applied: readonly Override[]; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const applied: { readonly rank: number; readonly override: Override }[] = [];
  const ranked = overrides.map((override, rank) => ({ override, rank }));
  // The place of the S3 gateway depends on the list, so whatever else changes the list comes first.
  const ordered = [
    ...ranked.filter(({ override }) => override.path !== S3_LISTEN),
    ...ranked.filter(({ override }) => override.path === S3_LISTEN),
  ];
  for (const { override, rank } of ordered) {
    if (override.path[0] === 'plugins' && override.path[1] === 'gateways' && override.path.length > 2)
      materialise(raw, ['plugins', 'gateways'], defaultGateways);
    const path = override.path === S3_LISTEN ? s3ListenPath(raw) : override.path;
    const problem = path === undefined ? 'there is no gateway with use: s3 that could listen' : blocked(raw, path);
    if (path === undefined || problem !== undefined) {
      problems.push({
        source: override.source,
        key: (path ?? S3_LISTEN.slice(0, 2)).join('.'),
        problem: problem ?? '',
      });
      continue;
    }
    if (applied.some((other) => other.rank > rank && other.override.path.join('.') === path.join('.'))) continue;
    setAt(raw, path, override.value);
    applied.push({ rank, override: { ...override, path } });
  }
  return { applied: applied.map(({ override }) => override), problems };
}

function materialise(raw: Tree, path: KeyPath, value: readonly unknown[]): void {
  if (valueAt(raw, path) === undefined) setAt(raw, path, structuredClone(value));
}

function s3ListenPath(raw: Tree): KeyPath | undefined {
  const gateways = valueAt(raw, ['plugins', 'gateways']);
  const index = Array.isArray(gateways)
    ? gateways.findIndex((gateway) => isTree(gateway) && gateway['use'] === 's3')
    : -1;
  return index < 0 ? undefined : ['plugins', 'gateways', String(index), 'listen'];
}

/** Why `path` cannot be set in what is there already. */
function blocked(raw: Tree, path: KeyPath): string | undefined {
  for (let length = 1; length < path.length; length++) {
    const value = valueAt(raw, path.slice(0, length));
    const parent = path.slice(0, length).join('.');
    const next = path[length] ?? '';
    if (value === undefined || value === null) return undefined;
    if (typeof value !== 'object') return `${parent} is a single value, not a section`;
    if (Array.isArray(value) && !(/^\d{1,3}$/.test(next) && Number(next) <= value.length))
      return `${parent} is a list of ${value.length}; its items are numbered from 0`;
  }
  return undefined;
}
