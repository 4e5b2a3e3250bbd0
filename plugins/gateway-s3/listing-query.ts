/** Query parameters that the listings share, checked once. */
import type { ListInput } from '../../core/contracts/index.ts';
import { invalidArgument } from './errors.ts';
import { escapeXml } from './xml.ts';

type Query = ReadonlyMap<string, string>;

export interface ListingQuery {
  readonly prefix: string;
  /** `undefined` when absent or empty: clients (restic) send an empty one and mean none. */
  readonly delimiter: string | undefined;
  /** Rows asked for, 0 to 1,000. */
  readonly limit: number;
  /** `encoding-type=url`. */
  readonly urlEncoded: boolean;
  /** Writes a key, prefix or marker as this listing shows it. */
  readonly name: (text: string) => string;
  /** An element with such a name; '' when there is none. */
  readonly named: (tag: string, text: string | undefined) => string;
  /** The question to the engine; an empty `after` begins at the start. */
  readonly input: (bucket: string, after: string | undefined) => ListInput;
}

const LARGEST = 2 ** 31 - 1;
/** AWS answers at most this many rows, whatever was asked. */
export const PAGE_LIMIT = 1000;

export function listingQuery(query: Query, limitName: string): ListingQuery {
  const urlEncoded = encodingType(query);
  const prefix = query.get('prefix') ?? '';
  const delimiter = query.get('delimiter') || undefined;
  const limit = Math.min(integerParameter(query, limitName, PAGE_LIMIT), PAGE_LIMIT);
  const name = urlEncoded ? urlEncode : escapeXml;
  return {
    prefix,
    delimiter,
    limit,
    urlEncoded,
    name,
    named: (tag, text) => (text === undefined ? '' : `<${tag}>${name(text)}</${tag}>`),
    input: (bucket, after = '') => ({
      bucket,
      limit,
      ...(prefix === '' ? {} : { prefix }),
      ...(delimiter === undefined ? {} : { delimiter }),
      ...(after === '' ? {} : { after }),
    }),
  };
}

function encodingType(query: Query): boolean {
  const value = query.get('encoding-type');
  if (value === undefined || value === '') return false;
  if (value === 'url') return true;
  throw invalidArgument('encoding-type', value, 'Invalid Encoding Method specified in Request');
}

/** A parameter of 0 to 2,147,483,647; `otherwise` when absent or empty. */
export function integerParameter(query: Query, name: string, otherwise: number): number {
  const text = query.get(name);
  if (text === undefined || text === '') return otherwise;
  if (!/^-?\d{1,10}$/.test(text)) {
    throw invalidArgument(name, text, `Provided ${name} not an integer or within integer range`);
  }
  const value = Number(text);
  if (value >= 0 && value <= LARGEST) return value;
  throw invalidArgument(name, text, `Argument ${name} must be an integer between 0 and ${LARGEST}`);
}

const PLAIN = /^[\w./-]*$/;

/** As S3 encodes names: everything but unreserved characters and the slash; `+` is %2B, for clients decode it as a space. */
export function urlEncode(text: string): string {
  if (PLAIN.test(text)) return text;
  return encodeURIComponent(text)
    .replaceAll('%2F', '/')
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}

const TOKEN_PREFIX = '1/';

/** Where a listing goes on, as an opaque token. */
export function continuationToken(after: string): string {
  return Buffer.from(TOKEN_PREFIX + after, 'utf8').toString('base64url');
}

/** The inverse. Anything that this gateway did not make is InvalidArgument. */
export function afterOfToken(token: string): string {
  const bytes = Buffer.from(token, 'base64url');
  const text = bytes.toString('utf8');
  const after = text.slice(TOKEN_PREFIX.length);
  // Node's decoder skips what it does not know, so only the exact round trip proves the token.
  if (text.startsWith(TOKEN_PREFIX) && after !== '' && continuationToken(after) === token) return after;
  throw invalidArgument('continuation-token', token, 'The continuation token provided is incorrect');
}
