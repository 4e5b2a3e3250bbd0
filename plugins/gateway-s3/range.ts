/** Byte ranges. Source: RFC 9110 section 14; what is no valid byte range is ignored, as if the header were not there. */

/** Inclusive bytes. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** `whole`: no usable header. `none`: valid, but nothing of it lies inside the object (416). */
export type RangeSelection =
  | { readonly kind: 'whole' }
  | { readonly kind: 'none' }
  | { readonly kind: 'ranges'; readonly ranges: readonly ByteRange[] };

const WHOLE: RangeSelection = { kind: 'whole' };
const NONE: RangeSelection = { kind: 'none' };
/** More ranges than anybody needs are a way to make a server work; RFC 9110 section 14.2 lets us answer the whole object. */
const MAX_RANGES = 100;
const SPEC = /^(\d*)-(\d*)$/;

type Spec = ByteRange | 'outside' | undefined;

function resolve(text: string, size: number): Spec {
  const [, first = '', last = ''] = SPEC.exec(text) ?? [];
  if (first === '') {
    if (last === '') return undefined;
    const suffix = Math.min(Number(last), size);
    return suffix === 0 ? 'outside' : { start: size - suffix, end: size - 1 };
  }
  const start = Number(first);
  const end = last === '' ? size - 1 : Number(last);
  if (last !== '' && end < start) return undefined;
  return start >= size ? 'outside' : { start, end: Math.min(end, size - 1) };
}

/** What a Range header selects of an object of `size` bytes. */
export function parseRange(header: string | undefined, size: number): RangeSelection {
  if (header === undefined) return WHOLE;
  const [, list] = /^bytes=(.*)$/i.exec(header.trim()) ?? [];
  if (list === undefined) return WHOLE;
  const texts = list
    .split(',')
    .map((text) => text.trim())
    .filter((text) => text !== '');
  if (texts.length === 0 || texts.length > MAX_RANGES) return WHOLE;
  const ranges: ByteRange[] = [];
  for (const text of texts) {
    const spec = resolve(text, size);
    if (spec === undefined) return WHOLE;
    if (spec !== 'outside') ranges.push(spec);
  }
  if (ranges.length === 0) return NONE;
  // Overlaps that add up to more than the object would only multiply its bytes.
  if (ranges.length > 1 && ranges.reduce((sum, range) => sum + lengthOf(range), 0) > size) return WHOLE;
  return { kind: 'ranges', ranges };
}

export function lengthOf(range: ByteRange): number {
  return range.end - range.start + 1;
}

export function contentRange(range: ByteRange, size: number): string {
  return `bytes ${range.start}-${range.end}/${size}`;
}
