/** What the conditions and variables of a policy may ask of a request. */
import type { AuthorizeInput, Principal } from '../../../core/contracts/index.ts';

export interface RequestContext {
  readonly principal: Principal;
  readonly action: string;
  /** ARN; account-wide actions have `arn:aws:s3:::*`. */
  readonly resource: string;
  /** All values of a condition key (lower-case name); `undefined` when the request has none. */
  values(key: string): readonly string[] | undefined;
}

/** The only value of a key, for policy variables: a list has no single text to insert. */
export function singleValue(context: RequestContext, key: string): string | undefined {
  const values = context.values(key);
  return values?.length === 1 ? values[0] : undefined;
}

export function requestContext(input: AuthorizeInput, nowMs: number): RequestContext {
  const { principal, action, resource, conditions } = input;
  return {
    principal,
    action,
    resource: resource === '*' ? 'arn:aws:s3:::*' : resource,
    values(key) {
      const read = OWN_KEYS[key];
      const values = read === undefined ? conditions[key] : read(principal, nowMs);
      return values === undefined || values.length === 0 ? undefined : values;
    },
  };
}

type ReadKey = (principal: Principal, nowMs: number) => readonly string[] | undefined;

const known = (read: (principal: Principal) => string): ReadKey => {
  return (principal) => (principal.anonymous ? undefined : [read(principal)]);
};

/** Keys that follow from who asks and when: never taken from the caller, who might have copied them from a header. */
const OWN_KEYS: Readonly<Record<string, ReadKey>> = Object.assign(Object.create(null) as Record<string, ReadKey>, {
  'aws:currenttime': (_principal: Principal, nowMs: number) => [new Date(nowMs).toISOString()],
  'aws:epochtime': (_principal: Principal, nowMs: number) => [String(Math.floor(nowMs / 1000))],
  'aws:principaltype': ({ anonymous }: Principal) => [anonymous ? 'Anonymous' : 'User'],
  'aws:userid': known(({ userId }) => userId),
  'aws:username': known(({ displayName }) => displayName),
  'aws:principalarn': known(({ arn }) => arn),
  'aws:principalaccount': known(({ account }) => account),
});
