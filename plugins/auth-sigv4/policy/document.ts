/**
 * A policy document, checked and compiled once. Source: "Grammar of the IAM JSON policy language", AWS IAM User Guide.
 */
import type { Json } from '../../../core/contracts/index.ts';
import { compileConditions, type Condition } from './conditions.ts';
import type { RequestContext } from './context.ts';
import { isRecord, stringList, type JsonRecord } from './json.ts';
import { malformedPolicy } from './malformed.ts';
import { compilePattern, type Pattern } from './pattern.ts';
import { compilePrincipal, type MatchPrincipal } from './principals.ts';

/** `bucket`: names its principals. `identity`: hangs on a user and names none. */
export type PolicyKind = 'bucket' | 'identity';

export interface Statement {
  /** `Sid`, or its number from 1. */
  readonly name: string;
  readonly effect: 'Allow' | 'Deny';
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  applies(context: RequestContext): boolean;
}

export interface PolicyDocument {
  readonly statements: readonly Statement[];
}

const VERSIONS: readonly Json[] = ['2012-10-17', '2008-10-17'];
const TOP = new Set(['Version', 'Id', 'Statement']);
const INSIDE = new Set([
  'Sid', 'Effect', 'Principal', 'NotPrincipal', 'Action', 'NotAction', 'Resource', 'NotResource', 'Condition',
]); // prettier-ignore
const ACTION = /^(\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+)$/;

/** Throws MalformedPolicy with the first fault. */
export function compilePolicy(document: Json, kind: PolicyKind): PolicyDocument {
  if (!isRecord(document)) throw malformedPolicy('This policy contains invalid Json: a policy must be an object');
  refuseUnknown(document, TOP, 'the policy');
  const version = document['Version'] ?? '2008-10-17';
  if (!VERSIONS.includes(version)) throw malformedPolicy('The policy must contain a valid version string');
  const { Statement } = document;
  const list: readonly Json[] = Array.isArray(Statement) ? Statement : Statement === undefined ? [] : [Statement];
  if (list.length === 0) throw malformedPolicy('Could not parse the policy: Statement is empty!');
  const statements = list.map((item, at) => compileStatement(item, at + 1, kind, version === '2012-10-17'));
  refuseRepeatedSids(list);
  return { statements };
}

function refuseUnknown(record: JsonRecord, known: ReadonlySet<string>, where: string): void {
  const unknown = Object.keys(record).find((name) => !known.has(name));
  if (unknown !== undefined) throw malformedPolicy(`Unknown field ${unknown} in ${where}`);
}

function refuseRepeatedSids(statements: readonly Json[]): void {
  const sids = statements.flatMap((item) => (isRecord(item) && typeof item['Sid'] === 'string' ? [item['Sid']] : []));
  if (new Set(sids).size !== sids.length)
    throw malformedPolicy('Statement IDs (SID) in a single policy must be unique.');
}

function compileStatement(item: Json, number: number, kind: PolicyKind, variables: boolean): Statement {
  if (!isRecord(item)) throw malformedPolicy(`Statement ${number} must be an object`);
  refuseUnknown(item, INSIDE, `statement ${number}`);
  const { Sid, Effect } = item;
  if (Sid !== undefined && typeof Sid !== 'string')
    throw malformedPolicy(`Sid of statement ${number} must be a string`);
  if (Effect !== 'Allow' && Effect !== 'Deny')
    throw malformedPolicy(`Invalid effect: ${JSON.stringify(Effect ?? null)}`);
  const principal = compileWho(item, kind, number);
  const action = oneOf(item, 'Action', 'NotAction', number);
  const resource = oneOf(item, 'Resource', 'NotResource', number);
  const bad = action.values.find((value) => !ACTION.test(value));
  if (bad !== undefined) throw malformedPolicy(`Policy has invalid action: ${bad}`);
  const actions = action.values.map((value) =>
    compilePattern(value, { variables: false, wildcards: true, ignoreCase: true }),
  );
  const resources = resource.values.map((value) =>
    compilePattern(value, { variables, wildcards: true, ignoreCase: false }),
  );
  const conditions = compileConditions(item['Condition'], variables);
  return {
    name: Sid === undefined || Sid === '' ? `#${number}` : Sid,
    effect: Effect,
    actions: action.values,
    resources: resource.values,
    applies: (context) =>
      principal(context.principal) &&
      matchesAny(actions, context.action, context) !== action.negated &&
      matchesAny(resources, context.resource, context) !== resource.negated &&
      conditions.every((condition) => condition.holds(context)) &&
      (Effect === 'Deny' || allResolve([...resources, ...conditions], context)),
  };
}

/**
 * A variable without a value matches nothing. Under NotResource or a negated operator that would let a statement apply more widely: right
 * for a Deny, never for an Allow.
 */
function allResolve(patterns: readonly (Pattern | Condition)[], context: RequestContext): boolean {
  return patterns.every((pattern) => pattern.resolves(context));
}

function matchesAny(patterns: readonly Pattern[], subject: string, context: RequestContext): boolean {
  return patterns.some((pattern) => pattern.matches(subject, context));
}

function compileWho(item: JsonRecord, kind: PolicyKind, number: number): MatchPrincipal {
  const { Principal, NotPrincipal } = item;
  if (kind === 'identity') {
    if (Principal !== undefined || NotPrincipal !== undefined)
      throw malformedPolicy('A policy of a user has no Principal');
    return () => true;
  }
  if ((Principal === undefined) === (NotPrincipal === undefined)) {
    throw malformedPolicy(`Statement ${number} must have either Principal or NotPrincipal`);
  }
  if (Principal !== undefined) return compilePrincipal(Principal);
  const excepted = compilePrincipal(NotPrincipal);
  return (principal) => !excepted(principal);
}

function oneOf(
  item: JsonRecord,
  name: string,
  negatedName: string,
  number: number,
): { readonly values: readonly string[]; readonly negated: boolean } {
  const negated = item[name] === undefined;
  if (negated === (item[negatedName] === undefined)) {
    throw malformedPolicy(`Statement ${number} must have either ${name} or ${negatedName}`);
  }
  const field = negated ? negatedName : name;
  return { values: stringList(item[field], field), negated };
}
