/** Shapes that policy documents are made of. */
import type { Json } from '../../../core/contracts/index.ts';
import { malformedPolicy } from './malformed.ts';

export type JsonRecord = { readonly [key: string]: Json };

export function isRecord(value: Json | undefined): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A string or a list of strings, not empty. */
export function stringList(value: Json | undefined, what: string): readonly string[] {
  const list = scalarList(value, what);
  const raw: readonly (Json | undefined)[] = Array.isArray(value) ? value : [value];
  if (!raw.every((item) => typeof item === 'string'))
    throw malformedPolicy(`${what} must be a string or a list of strings`);
  return list;
}

/** A string, number or boolean, or a list of them, as text, not empty. */
export function scalarList(value: Json | undefined, what: string): readonly string[] {
  const list: readonly (Json | undefined)[] = Array.isArray(value) ? value : [value];
  if (list.length === 0) throw malformedPolicy(`${what} must not be empty`);
  return list.map((item) => {
    if (typeof item === 'string' || typeof item === 'number' || typeof item === 'boolean') return String(item);
    throw malformedPolicy(`${what} must be a string or a list of strings`);
  });
}
