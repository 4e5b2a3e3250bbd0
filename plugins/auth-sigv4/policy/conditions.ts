/** The Condition block of a statement: operators joined by AND, keys by AND, values of one key by OR. */
import type { Json } from '../../../core/contracts/index.ts';
import type { RequestContext } from './context.ts';
import { isRecord, scalarList } from './json.ts';
import { malformedPolicy } from './malformed.ts';
import { OPERATORS, type Matcher } from './operators.ts';

export interface Condition {
  holds(context: RequestContext): boolean;
  /** False when a policy variable in it has no value in this request. */
  resolves(context: RequestContext): boolean;
}

type Qualifier = 'ForAllValues' | 'ForAnyValue' | undefined;

interface Clause {
  readonly key: string;
  readonly qualifier: Qualifier;
  readonly ifExists: boolean;
  readonly negated: boolean;
  readonly matchers: readonly Matcher[];
}

const OPERATOR_NAME = /^(?:(ForAllValues|ForAnyValue):)?([A-Za-z]+?)(IfExists)?$/;
const CONDITION_KEY = /^(aws|s3):[\w.:/=+@ -]+$/i;

/** Throws MalformedPolicy. `undefined` means that nothing is asked. */
export function compileConditions(block: Json | undefined, variables: boolean): readonly Condition[] {
  if (block === undefined) return [];
  if (!isRecord(block)) throw malformedPolicy('Condition must be an object');
  return Object.entries(block).flatMap(([operator, keys]) => {
    if (!isRecord(keys)) throw malformedPolicy(`Condition ${operator} must be an object`);
    return Object.entries(keys).map(([key, values]) =>
      compileClause(operator, key, scalarList(values, `Condition ${operator} ${key}`), variables),
    );
  });
}

function compileClause(operator: string, key: string, values: readonly string[], variables: boolean): Condition {
  if (!CONDITION_KEY.test(key)) throw malformedPolicy(`Policy has an invalid condition key: ${key}`);
  const match = OPERATOR_NAME.exec(operator);
  const name = match?.[2] ?? '';
  if (operator === 'Null') return nullCondition(key.toLowerCase(), values);
  const found = OPERATORS.get(name);
  if (found === undefined) throw malformedPolicy(`Invalid Condition type : ${operator}`);
  const clause: Clause = {
    key: key.toLowerCase(),
    qualifier: match?.[1] as Qualifier,
    ifExists: match?.[3] !== undefined,
    negated: found.negated,
    matchers: values.map((value) => found.compile(value, variables)),
  };
  return {
    holds: (context) => clauseHolds(clause, context),
    resolves: (context) => clause.matchers.every((matcher) => matcher.resolves(context)),
  };
}

function nullCondition(key: string, values: readonly string[]): Condition {
  const wanted = values.map((value) => {
    if (!/^(true|false)$/i.test(value)) throw malformedPolicy(`Invalid Null in a condition: ${value}`);
    return value.toLowerCase() === 'true';
  });
  return { holds: (context) => wanted.includes(context.values(key) === undefined), resolves: () => true };
}

function clauseHolds(clause: Clause, context: RequestContext): boolean {
  const { qualifier, negated, matchers } = clause;
  const values = context.values(clause.key);
  if (values === undefined) return holdsWithoutValue(clause);
  const holds = (value: string): boolean => matchers.some((matcher) => matcher.matches(value, context)) !== negated;
  if (qualifier === 'ForAllValues') return values.every(holds);
  if (qualifier === 'ForAnyValue') return values.some(holds);
  return negated ? values.every(holds) : values.some(holds);
}

/** A missing key matches nothing: so the negated operators hold, ForAllValues holds of no values, ForAnyValue does not. */
function holdsWithoutValue({ qualifier, ifExists, negated }: Clause): boolean {
  if (ifExists || qualifier === 'ForAllValues') return true;
  return qualifier === undefined && negated;
}
