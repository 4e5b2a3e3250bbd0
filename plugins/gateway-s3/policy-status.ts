/**
 * Whether a bucket policy is public.
 * Source: Amazon S3 User Guide, "Blocking public access to your Amazon S3 storage", The meaning of "public".
 */
import type { Json } from '../../core/contracts/index.ts';

type Fields = { readonly [key: string]: Json };

/** Condition keys whose fixed values make a grant to everybody not public. */
const NARROWING: ReadonlySet<string> = new Set([
  'aws:principalorgid',
  'aws:principalorgpaths',
  'aws:principalaccount',
  'aws:principalarn',
  'aws:sourceaccount',
  'aws:sourcearn',
  'aws:sourceip',
  'aws:sourceowner',
  'aws:sourcevpc',
  'aws:sourcevpce',
  'aws:userid',
  'aws:username',
  's3:dataaccesspointaccount',
  's3:dataaccesspointarn',
  's3:x-amz-server-side-encryption-aws-kms-key-id',
]);
/** Positive operators only: "anything but this" is still nearly anybody. */
const NARROWING_OPERATORS = /^(foranyvalue:)?(string(equals|equalsignorecase|like)|arn(equals|like)|ipaddress)$/;
/** Wider address ranges than these count as everybody (AWS: /8 and /32). */
const NARROWEST_PREFIX = { v4: 8, v6: 32 } as const;

const isFields = (value: Json | undefined): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const listOf = (value: Json | undefined): readonly Json[] => {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? (value as readonly Json[]) : [value];
};

/** True when some statement allows everybody something. */
export function isPublicPolicy(policy: Json | undefined): boolean {
  if (!isFields(policy)) return false;
  return listOf(policy['Statement']).some((statement) => isFields(statement) && isPublicStatement(statement));
}

function isPublicStatement(statement: Fields): boolean {
  if (statement['Effect'] !== 'Allow') return false;
  const everybody = statement['NotPrincipal'] !== undefined || namesEverybody(statement['Principal']);
  return everybody && !isNarrowed(statement['Condition']);
}

function namesEverybody(principal: Json | undefined): boolean {
  if (principal === '*') return true;
  if (!isFields(principal)) return false;
  return Object.values(principal).some((names) => listOf(names).includes('*'));
}

function isNarrowed(condition: Json | undefined): boolean {
  if (!isFields(condition)) return false;
  return Object.entries(condition).some(
    ([operator, keys]) =>
      NARROWING_OPERATORS.test(operator.toLowerCase()) &&
      isFields(keys) &&
      Object.entries(keys).some(([key, values]) => isFixed(key.toLowerCase(), listOf(values))),
  );
}

/** A value is fixed when it holds no wildcard and no policy variable; every value must be. */
function isFixed(key: string, values: readonly Json[]): boolean {
  if (!NARROWING.has(key) || values.length === 0) return false;
  return values.every(
    (value) =>
      typeof value === 'string' &&
      !value.includes('${') &&
      (key === 'aws:sourceip' ? isNarrowRange(value) : !/[*?]/.test(value)),
  );
}

function isNarrowRange(range: string): boolean {
  const [address = '', bits] = range.split('/');
  if (bits === undefined) return address !== '';
  return Number(bits) >= (address.includes(':') ? NARROWEST_PREFIX.v6 : NARROWEST_PREFIX.v4);
}
