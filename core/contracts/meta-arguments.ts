/**
 * The bounds that meta-store.ts states, as checks. Every meta-store calls these before it does anything, so that all refuse
 * the same calls with the same code; they throw SkerryError `InvalidArgument` and look at lengths, never at contents.
 */
import { SkerryError } from './errors.ts';
import { META_SPACES, type MetaKey, type MetaRange, type MetaReads, type MetaWrite } from './meta-store.ts';

/** In bytes and rows. */
export const META_LIMITS = Object.freeze({ keyMaxBytes: 4096, valueMaxBytes: 1024 * 1024, scanMaxRows: 10_000 });

const SPACES: ReadonlySet<string> = new Set(META_SPACES);

function refuse(message: string): never {
  throw new SkerryError('InvalidArgument', message);
}

function requireKey(space: string, key: Uint8Array): void {
  if (!SPACES.has(space)) refuse(`no such meta space: ${space}`);
  if (key.length === 0 || key.length > META_LIMITS.keyMaxBytes) {
    refuse(`a key of ${key.length} bytes in ${space}; keys have 1 to ${META_LIMITS.keyMaxBytes}`);
  }
}

export function requireMetaKeys(keys: readonly MetaKey[]): void {
  for (const { space, key } of keys) requireKey(space, key);
}

/** Bounds may have any length: the end of a range is often a key plus one byte. */
export function requireMetaRange({ space, limit }: MetaRange): void {
  if (!SPACES.has(space)) refuse(`no such meta space: ${space}`);
  if (!Number.isInteger(limit) || limit < 1 || limit > META_LIMITS.scanMaxRows) {
    refuse(`a scan of ${limit} rows in ${space}; the limit is 1 to ${META_LIMITS.scanMaxRows}`);
  }
}

export function requireMetaReads({ keys, ranges }: MetaReads): void {
  if (keys !== undefined) requireMetaKeys(keys);
  if (ranges !== undefined) for (const range of ranges) requireMetaRange(range);
}

export function requireMetaWrites(writes: readonly MetaWrite[]): void {
  for (const { space, key, value } of writes) {
    requireKey(space, key);
    if (value !== undefined && value.length > META_LIMITS.valueMaxBytes) {
      refuse(`a value of ${value.length} bytes in ${space}; values have at most ${META_LIMITS.valueMaxBytes}`);
    }
  }
}
