/**
 * Condition operators, each as "does this value of the request match that value of the policy".
 * Source: "IAM JSON policy elements: Condition operators", AWS IAM User Guide.
 */
import type { RequestContext } from './context.ts';
import { parseRange } from './ip.ts';
import { malformedPolicy } from './malformed.ts';
import { compilePattern, type Pattern } from './pattern.ts';

/** One value of the policy, ready to be compared with values of requests. */
export interface Matcher {
  matches(value: string, context: RequestContext): boolean;
  /** False when a policy variable in it has no value in this request. */
  resolves(context: RequestContext): boolean;
}

export interface Operator {
  /** StringNotEquals and the like: true when no value of the policy matches. */
  readonly negated: boolean;
  compile(policyValue: string, variables: boolean): Matcher;
}

function plain(matches: (value: string) => boolean): Matcher {
  return { matches, resolves: () => true };
}

function text(wildcards: boolean, ignoreCase = false): Operator['compile'] {
  return (value, variables) => compilePattern(value, { variables, wildcards, ignoreCase });
}

type Compare = (a: number, b: number) => boolean;

function ordered(parse: (text: string) => number | undefined, what: string, compare: Compare): Operator['compile'] {
  return (policyValue) => {
    const wanted = parse(policyValue);
    if (wanted === undefined) throw malformedPolicy(`Invalid ${what} in a condition: ${policyValue}`);
    return plain((value) => {
      const given = parse(value);
      return given !== undefined && compare(given, wanted);
    });
  };
}

function parseNumber(value: string): number | undefined {
  return /^[+-]?\d+(\.\d+)?$/.test(value) ? Number(value) : undefined;
}

/** ISO 8601 as W3C profiles it, or Unix seconds. */
function parseDate(value: string): number | undefined {
  if (/^\d{1,12}(\.\d+)?$/.test(value) && value.length > 4) return Number(value) * 1000;
  if (!/^\d{4}(-\d{2}(-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2}))?)?)?$/.test(value)) return undefined;
  const ms = Date.parse(value);
  return Number.isNaN(ms) ? undefined : ms;
}

const bool: Operator['compile'] = (policyValue) => {
  const wanted = policyValue.toLowerCase();
  if (wanted !== 'true' && wanted !== 'false') throw malformedPolicy(`Invalid Bool in a condition: ${policyValue}`);
  return plain((value) => value.toLowerCase() === wanted);
};

const ip: Operator['compile'] = (policyValue) => {
  const range = parseRange(policyValue);
  if (range === undefined) throw malformedPolicy(`Invalid IP address or range in a condition: ${policyValue}`);
  return plain((value) => range.contains(value));
};

/** Each of the six parts of an ARN on its own, so that a wildcard never reaches over a colon. Equals and Like are the same. */
const arn: Operator['compile'] = (policyValue, variables) => {
  const parts = arnParts(policyValue);
  if (parts.length !== 6 && policyValue !== '*') throw malformedPolicy(`Invalid ARN in a condition: ${policyValue}`);
  const patterns: readonly Pattern[] = parts.map((part) =>
    compilePattern(part, { variables, wildcards: true, ignoreCase: false }),
  );
  return {
    resolves: (context) => patterns.every((pattern) => pattern.resolves(context)),
    matches(value, context) {
      if (policyValue === '*') return true;
      const given = arnParts(value);
      return given.length === 6 && patterns.every((pattern, at) => pattern.matches(given[at] ?? '', context));
    },
  };
};

/** Split at the first five colons that are not inside a `${variable}`. */
function arnParts(value: string): readonly string[] {
  const pieces = value.split(/:(?![^{}]*\})/);
  return pieces.length <= 6 ? pieces : [...pieces.slice(0, 5), pieces.slice(5).join(':')];
}

function family(
  prefix: string,
  parse: (text: string) => number | undefined,
  what: string,
): readonly [string, Operator][] {
  const operator = (name: string, compare: Compare, negated = false): [string, Operator] => {
    return [`${prefix}${name}`, { negated, compile: ordered(parse, what, compare) }];
  };
  return [
    operator('Equals', (a, b) => a === b),
    operator('NotEquals', (a, b) => a === b, true),
    operator('LessThan', (a, b) => a < b),
    operator('LessThanEquals', (a, b) => a <= b),
    operator('GreaterThan', (a, b) => a > b),
    operator('GreaterThanEquals', (a, b) => a >= b),
  ];
}

function pair(name: string, negatedName: string, compile: Operator['compile']): readonly [string, Operator][] {
  return [
    [name, { negated: false, compile }],
    [negatedName, { negated: true, compile }],
  ];
}

/** All operators but Null, which asks for presence and compares nothing. */
export const OPERATORS: ReadonlyMap<string, Operator> = new Map([
  ...pair('StringEquals', 'StringNotEquals', text(false)),
  ...pair('StringEqualsIgnoreCase', 'StringNotEqualsIgnoreCase', text(false, true)),
  ...pair('StringLike', 'StringNotLike', text(true)),
  ...family('Numeric', parseNumber, 'number'),
  ...family('Date', parseDate, 'date'),
  ['Bool', { negated: false, compile: bool }],
  ['BinaryEquals', { negated: false, compile: (wanted) => plain((value) => value === wanted) }],
  ...pair('IpAddress', 'NotIpAddress', ip),
  ...pair('ArnEquals', 'ArnNotEquals', arn),
  ...pair('ArnLike', 'ArnNotLike', arn),
]);
