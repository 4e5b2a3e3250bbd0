/**
 * One page of any listing: entries in byte order, keys under a common prefix rolled up, hidden ones (delete markers) passed
 * over. What lies under a common prefix is skipped, not scanned.
 */
import { SkerryError } from '../contracts/index.ts';
import type { ListInput, ListPage } from '../contracts/index.ts';

export interface ListItem<T> {
  /** UTF-8 bytes of the object key. */
  readonly key: Buffer;
  /** Absent: not to be shown, and no reason to show its common prefix. */
  readonly entry: T | undefined;
}

/** Items in the order of their keys. */
export interface ListSource<T> {
  /** A promise only when it has to wait. */
  peek(): ListItem<T> | undefined | Promise<ListItem<T> | undefined>;
  next(): void;
  /** Passes over everything under a prefix. */
  seekPast(prefix: string): void;
}

/** Where a listing begins: at a key, inclusive, or behind everything under a prefix. */
export type ListStart = { readonly from: string } | { readonly past: string };

const LIMIT_MAX = 1000;

export function checkLimit(limit: number): void {
  if (Number.isInteger(limit) && limit >= 0 && limit <= LIMIT_MAX) return;
  throw new SkerryError('InvalidArgument', `a listing has a limit of 0 to ${LIMIT_MAX}`, { details: { limit } });
}

/** The common prefix of a key, ending with the delimiter, or `undefined`. */
export function commonPrefix(key: Buffer, prefix: Buffer, delimiter: Buffer | undefined): Buffer | undefined {
  if (delimiter === undefined || delimiter.length === 0) return undefined;
  const at = key.indexOf(delimiter, prefix.length);
  return at < 0 ? undefined : key.subarray(0, at + delimiter.length);
}

/** First position that can hold something strictly after `after`. A common prefix that `after` lies in comes before it. */
export function listStart({ prefix = '', delimiter, after }: Omit<ListInput, 'bucket' | 'limit'>): ListStart {
  if (after === undefined) return { from: prefix };
  const [key, start] = [Buffer.from(after), Buffer.from(prefix)];
  if (Buffer.compare(key, start) < 0) return { from: prefix };
  if (!key.subarray(0, start.length).equals(start)) return { from: `${after}\0` };
  const rolled = commonPrefix(key, start, delimiter === undefined ? undefined : Buffer.from(delimiter));
  return rolled === undefined ? { from: `${after}\0` } : { past: rolled.toString() };
}

export interface CollectedPage<T> extends ListPage<T> {
  /** The entry that `next` names; absent when that is a common prefix. */
  readonly last?: T;
}

export async function collectPage<T>(source: ListSource<T>, input: ListInput): Promise<CollectedPage<T>> {
  const prefix = Buffer.from(input.prefix ?? '');
  const delimiter = input.delimiter === undefined ? undefined : Buffer.from(input.delimiter);
  const entries: T[] = [];
  const commonPrefixes: string[] = [];
  let next: string | undefined;
  let last: T | undefined;
  if (input.limit === 0) return { entries, commonPrefixes, truncated: false };
  for (;;) {
    const peeked = source.peek();
    const item = peeked instanceof Promise ? await peeked : peeked;
    if (item === undefined) break;
    if (item.entry === undefined) {
      source.next();
      continue;
    }
    if (entries.length + commonPrefixes.length === input.limit && next !== undefined) {
      return { entries, commonPrefixes, truncated: true, next, ...(last === undefined ? {} : { last }) };
    }
    const rolled = commonPrefix(item.key, prefix, delimiter);
    next = (rolled ?? item.key).toString();
    last = rolled === undefined ? item.entry : undefined;
    if (rolled === undefined) {
      entries.push(item.entry);
      source.next();
    } else {
      commonPrefixes.push(next);
      source.seekPast(next);
    }
  }
  return { entries, commonPrefixes, truncated: false };
}
