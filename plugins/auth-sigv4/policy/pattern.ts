/** Patterns of policies: `*` is any run of characters, `?` any one, `${key}` and `${key, 'default'}` a value of the request. */
import { singleValue, type RequestContext } from './context.ts';
import { malformedPolicy } from './malformed.ts';

const ANY_RUN = -1;
const ANY_ONE = -2;

interface Variable {
  readonly key: string;
  readonly fallback: string | undefined;
}
type Part = { readonly codes: readonly number[] } | Variable;

export interface Pattern {
  matches(subject: string, context: RequestContext): boolean;
  /** False when a variable has neither a value in this request nor a default: such a pattern matches nothing. */
  resolves(context: RequestContext): boolean;
}

export interface PatternOptions {
  /** Policies of version 2008-10-17 have no variables: `${` is text there. */
  readonly variables: boolean;
  /** Where `*` and `?` are ordinary characters (StringEquals). */
  readonly wildcards: boolean;
  readonly ignoreCase: boolean;
}

export function compilePattern(text: string, options: PatternOptions): Pattern {
  const fold = (value: string): string => (options.ignoreCase ? value.toLowerCase() : value);
  const parts = options.variables ? splitVariables(text, options, fold) : [fixed(fold(text), options.wildcards)];
  const variables = parts.filter((part) => 'key' in part);
  if (variables.length === 0) {
    const codes = parts.flatMap((part) => ('codes' in part ? part.codes : []));
    return { matches: (subject) => glob(codes, fold(subject)), resolves: () => true };
  }
  const resolve = (variable: Variable, context: RequestContext) =>
    singleValue(context, variable.key) ?? variable.fallback;
  const resolves = (context: RequestContext): boolean =>
    variables.every((variable) => resolve(variable, context) !== undefined);
  return {
    resolves,
    matches(subject, context) {
      if (!resolves(context)) return false;
      const codes = parts.flatMap((part) =>
        'codes' in part ? part.codes : literal(fold(resolve(part, context) ?? '')),
      );
      return glob(codes, fold(subject));
    },
  };
}

function splitVariables(text: string, { wildcards }: PatternOptions, fold: (value: string) => string): readonly Part[] {
  const parts: Part[] = [];
  let at = 0;
  for (const match of text.matchAll(/\$\{([^}]*)\}/g)) {
    parts.push(fixed(fold(text.slice(at, match.index)), wildcards), placeholder(match[1] ?? ''));
    at = match.index + match[0].length;
  }
  const rest = text.slice(at);
  if (rest.includes('${')) throw malformedPolicy(`Policy variable without "}": ${text}`);
  return [...parts, fixed(fold(rest), wildcards)];
}

/** `${*}`, `${?}` and `${$}` stand for the character itself; a value inserted from the request never acts as a wildcard. */
function placeholder(inside: string): Part {
  if (inside === '*' || inside === '?' || inside === '$') return { codes: literal(inside) };
  const match = /^\s*([A-Za-z0-9-]+:[\w./:@ =+-]+?)\s*(?:,\s*'([^']*)'\s*)?$/.exec(inside);
  if (match?.[1] === undefined) throw malformedPolicy(`Invalid policy variable: \${${inside}}`);
  return { key: match[1].toLowerCase(), fallback: match[2] };
}

function fixed(text: string, wildcards: boolean): Part {
  return { codes: wildcards ? literal(text).map(wildcardCode) : literal(text) };
}

function literal(text: string): readonly number[] {
  return Array.from({ length: text.length }, (_, at) => text.charCodeAt(at));
}

function wildcardCode(code: number): number {
  if (code === 42) return ANY_RUN;
  return code === 63 ? ANY_ONE : code;
}

/** Greedy with one point to return to: at worst pattern times subject steps, whatever the pattern, and no recursion. */
function glob(pattern: readonly number[], subject: string): boolean {
  let at = 0;
  let of = 0;
  let star = -1;
  let retry = 0;
  while (at < subject.length) {
    const code = pattern[of];
    if (code === ANY_RUN) {
      star = of;
      retry = at;
      of += 1;
    } else if (code === ANY_ONE || code === subject.charCodeAt(at)) {
      of += 1;
      at += 1;
    } else if (star !== -1) {
      of = star + 1;
      retry += 1;
      at = retry;
    } else return false;
  }
  while (pattern[of] === ANY_RUN) of += 1;
  return of === pattern.length;
}
