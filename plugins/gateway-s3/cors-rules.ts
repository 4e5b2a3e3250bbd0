/**
 * Cross-origin rules of a bucket: reading them from XML and matching requests against them.
 * Source: Amazon S3 API Reference, PutBucketCors; User Guide, "How does Amazon S3 evaluate the CORS configuration on a bucket?".
 */
import type { Json } from '../../core/contracts/index.ts';
import { s3Error } from './errors.ts';
import { type XmlNode, children, childText, element, group } from './xml.ts';

/** One rule as it is stored in the `cors` setting; the setting is a list of them. */
export type CorsRule = {
  readonly id?: string;
  readonly origins: readonly string[];
  readonly methods: readonly string[];
  /** Patterns of request header names, as the client wrote them. */
  readonly headers: readonly string[];
  readonly exposeHeaders: readonly string[];
  readonly maxAgeSeconds?: number;
};

const METHODS: ReadonlySet<string> = new Set(['GET', 'PUT', 'HEAD', 'POST', 'DELETE']);
const MAX_RULES = 100;
const MAX_ID_LENGTH = 255;
const MAX_AGE_SECONDS = 2 ** 31 - 1;
const KNOWN_ELEMENTS: ReadonlySet<string> = new Set([
  'ID',
  'AllowedOrigin',
  'AllowedMethod',
  'AllowedHeader',
  'ExposeHeader',
  'MaxAgeSeconds',
]);

/** Rules of a CORSConfiguration document; MalformedXML or InvalidRequest for anything that AWS refuses. */
export function readCorsRules(root: XmlNode): readonly CorsRule[] {
  const rules = children(root, 'CORSRule');
  if (root.name !== 'CORSConfiguration' || rules.length === 0 || rules.length !== root.children.length) {
    throw s3Error('MalformedXML');
  }
  if (rules.length > MAX_RULES) throw s3Error('InvalidRequest', `A CORS configuration has at most ${MAX_RULES} rules.`);
  return rules.map(readRule);
}

const texts = (node: XmlNode, name: string): readonly string[] =>
  children(node, name).map((found) => found.text.trim());

function readRule(node: XmlNode): CorsRule {
  if (node.children.some(({ name }) => !KNOWN_ELEMENTS.has(name))) throw s3Error('MalformedXML');
  const id = childText(node, 'ID');
  const maxAge = childText(node, 'MaxAgeSeconds');
  const rule: CorsRule = {
    ...(id === undefined ? {} : { id }),
    origins: texts(node, 'AllowedOrigin'),
    methods: texts(node, 'AllowedMethod'),
    headers: texts(node, 'AllowedHeader'),
    exposeHeaders: texts(node, 'ExposeHeader'),
    ...(maxAge === undefined ? {} : { maxAgeSeconds: readMaxAge(maxAge.trim()) }),
  };
  checkRule(rule);
  return rule;
}

function readMaxAge(text: string): number {
  if (!/^\d{1,10}$/.test(text) || Number(text) > MAX_AGE_SECONDS)
    throw s3Error('MalformedXML', 'MaxAgeSeconds must be a whole number of seconds.');
  return Number(text);
}

function checkRule({ id, origins, methods, headers, exposeHeaders }: CorsRule): void {
  if (origins.length === 0 || methods.length === 0) throw s3Error('MalformedXML');
  if (id !== undefined && id.length > MAX_ID_LENGTH) {
    throw s3Error('InvalidRequest', `The ID of a CORS rule has at most ${MAX_ID_LENGTH} characters.`);
  }
  for (const method of methods) {
    if (METHODS.has(method)) continue;
    throw s3Error('InvalidRequest', `Found unsupported HTTP method in CORS config. Unsupported method is ${method}`);
  }
  for (const origin of origins) requireOneWildcard('AllowedOrigin', origin);
  for (const header of headers) requireOneWildcard('AllowedHeader', header);
  for (const header of exposeHeaders) requireHeaderName(header);
}

function requireOneWildcard(what: string, pattern: string): void {
  if (pattern === '') throw s3Error('MalformedXML', `${what} must not be empty.`);
  if (pattern.split('*').length > 2) {
    throw s3Error('InvalidRequest', `${what} "${pattern}" can not have more than one wildcard.`);
  }
}

/** These names are copied into a response header, so they must be field names and nothing else (RFC 9110, 5.6.2). */
function requireHeaderName(name: string): void {
  if (name.includes('*')) {
    const message = `ExposeHeader "${name}" contains wildcard. We currently do not support wildcard for ExposeHeader.`;
    throw s3Error('InvalidRequest', message);
  }
  if (!/^[!#$%&'+\-.^_`|~0-9A-Za-z]+$/.test(name)) {
    throw s3Error('InvalidRequest', `ExposeHeader "${name}" contains invalid character.`);
  }
}

/** The inverse of `readCorsRules`: the content of CORSConfiguration. */
export function writeCorsRules(rules: readonly CorsRule[]): string {
  return rules.map((rule) => group('CORSRule', ruleContent(rule))).join('');
}

function ruleContent(rule: CorsRule): string {
  const all = (name: string, values: readonly string[]): string => values.map((value) => element(name, value)).join('');
  return (
    element('ID', rule.id) +
    all('AllowedOrigin', rule.origins) +
    all('AllowedMethod', rule.methods) +
    all('AllowedHeader', rule.headers) +
    all('ExposeHeader', rule.exposeHeaders) +
    element('MaxAgeSeconds', rule.maxAgeSeconds)
  );
}

/** The rules in a stored setting. Only `readCorsRules` makes that value, so its shape is known. */
export function storedCorsRules(setting: Json | undefined): readonly CorsRule[] {
  return Array.isArray(setting) ? setting : [];
}

/** What a browser asks. `headers`: lower-case names of Access-Control-Request-Headers. */
export interface CorsQuestion {
  readonly origin: string;
  readonly method: string;
  readonly headers: readonly string[];
}

/** The first rule that allows it all, with the origin pattern that matched. */
export function findCorsRule(
  rules: readonly CorsRule[],
  question: CorsQuestion,
): { readonly rule: CorsRule; readonly origin: string } | undefined {
  for (const rule of rules) {
    if (!rule.methods.includes(question.method)) continue;
    const origin = rule.origins.find((pattern) => matchesWildcard(pattern, question.origin));
    if (origin === undefined) continue;
    const patterns = rule.headers.map((pattern) => pattern.toLowerCase());
    const allowed = question.headers.every((name) => patterns.some((pattern) => matchesWildcard(pattern, name)));
    if (allowed) return { rule, origin };
  }
  return undefined;
}

/** At most one `*`, which stands for any characters or none. Case counts: origins are compared as they are. */
export function matchesWildcard(pattern: string, text: string): boolean {
  const star = pattern.indexOf('*');
  if (star < 0) return pattern === text;
  const before = pattern.slice(0, star);
  const after = pattern.slice(star + 1);
  return text.length >= pattern.length - 1 && text.startsWith(before) && text.endsWith(after);
}
