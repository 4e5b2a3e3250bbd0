/**
 * Checks of what arrives from outside: types, patterns, counts. A check returns the very value it was given, unknown
 * fields included, so that what a newer peer added is kept verbatim, or refuses with `InvalidArgument` naming the place.
 */
import { SkerryError } from '../contracts/index.ts';

export type Check<T> = (value: unknown, at: string) => T;

/** What a set of checks reads. */
export type Checked<C> = C extends Check<infer T> ? T : never;

const OPTIONAL = Symbol('optional');
type OptionalCheck<T> = Check<T | undefined> & { readonly [OPTIONAL]: true };

type Fields = Readonly<Record<string, Check<unknown>>>;
type OptionalNames<F> = { [N in keyof F]: F[N] extends OptionalCheck<unknown> ? N : never }[keyof F];
type RecordOf<F extends Fields> = {
  readonly [N in Exclude<keyof F, OptionalNames<F>>]: Checked<F[N]>;
} & { readonly [N in OptionalNames<F>]?: Exclude<Checked<F[N]>, undefined> };

export function refuse(at: string, message: string): never {
  throw new SkerryError('InvalidArgument', `${at}: ${message}`, { details: { at } });
}

export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export function textLike<T extends string>(pattern: RegExp, what: string): Check<T> {
  return (value, at) => (typeof value === 'string' && pattern.test(value) ? (value as T) : refuse(at, `not ${what}`));
}

/** Text of well-formed Unicode, by UTF-16 length. */
export function text(maxLength: number, minLength = 0): Check<string> {
  return (value, at) => {
    if (typeof value !== 'string' || value.length < minLength || value.length > maxLength)
      return refuse(at, `not a text of ${minLength} to ${maxLength} characters`);
    return value.isWellFormed() ? value : refuse(at, 'not well-formed Unicode');
  };
}

export function whole(min: number, max: number = Number.MAX_SAFE_INTEGER): Check<number> {
  return (value, at) =>
    Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max
      ? (value as number)
      : refuse(at, `not a whole number of ${min} to ${max}`);
}

/** What is either said or left out. */
export const yes: Check<true> = (value, at) => (value === true ? true : refuse(at, 'not true'));
export const flag: Check<boolean> = (value, at) => (typeof value === 'boolean' ? value : refuse(at, 'not a boolean'));

export function oneOf<const T extends string>(...values: readonly T[]): Check<T> {
  return (value, at) => values.find((one) => one === value) ?? refuse(at, `not one of ${values.join(', ')}`);
}

export function optional<T>(check: Check<T>): OptionalCheck<T> {
  const maybe: Check<T | undefined> = (value, at) => (value === undefined ? undefined : check(value, at));
  return Object.assign(maybe, { [OPTIONAL]: true } as const);
}

export function listOf<T>(check: Check<T>, max: number): Check<readonly T[]> {
  return (value, at) => {
    if (!Array.isArray(value) || value.length > max) return refuse(at, `not a list of at most ${max}`);
    value.forEach((item: unknown, index) => check(item, `${at}[${index}]`));
    return value as readonly T[];
  };
}

/** A map by checked names. */
export function mapOf<T>(name: Check<string>, check: Check<T>, max: number): Check<Readonly<Record<string, T>>> {
  return (value, at) => {
    if (!isRecord(value)) return refuse(at, 'not an object');
    const names = Object.keys(value);
    if (names.length > max) return refuse(at, `more than ${max} entries`);
    for (const each of names) check(value[name(each, `${at} (a name)`)], `${at}.${each}`);
    return value as Readonly<Record<string, T>>;
  };
}

export function record<F extends Fields>(fields: F): Check<RecordOf<F>> {
  const entries = Object.entries(fields);
  return (value, at) => {
    if (!isRecord(value)) return refuse(at, 'not an object');
    for (const [name, check] of entries) check(Object.hasOwn(value, name) ? value[name] : undefined, `${at}.${name}`);
    return value as RecordOf<F>;
  };
}

/** JSON that nests at most `depth` deep: what is stored must be writable again. */
export function jsonTo(depth: number): Check<unknown> {
  const check = (value: unknown, at: string, left: number): void => {
    if (typeof value !== 'object' || value === null) return;
    if (left === 0) return refuse(at, `nested deeper than ${depth}`);
    for (const item of Object.values(value)) check(item, at, left - 1);
  };
  return (value, at) => {
    if (value === undefined) return refuse(at, 'missing');
    check(value, at, depth);
    return value;
  };
}
