/** What is wrong with a configuration, in lines that a person can act on. */
import { SkerryError } from '../../contracts/index.ts';

/** Keys from the root; array indexes as decimal strings. */
export type KeyPath = readonly string[];

/** Where a value came from. Lines and columns start at 1. */
export type ValueSource =
  | { readonly kind: 'default' }
  | { readonly kind: 'inline' }
  | { readonly kind: 'file'; readonly file: string; readonly line: number; readonly column: number }
  | { readonly kind: 'env'; readonly name: string }
  | { readonly kind: 'flag'; readonly name: string };

export interface Problem {
  readonly source: ValueSource;
  /** Dotted key, or empty when the whole file is meant. */
  readonly key: string;
  readonly problem: string;
  readonly hint?: string;
}

export function describeSource(source: ValueSource): string {
  switch (source.kind) {
    case 'default':
      return 'default';
    case 'inline':
      return 'inline';
    case 'file':
      return `${source.file}:${source.line}:${source.column}`;
    case 'env':
    case 'flag':
      return source.name;
  }
}

export function formatProblem({ source, key, problem, hint }: Problem): string {
  const parts = [describeSource(source), ...(key === '' ? [] : [key])];
  return `${parts.join(': ')}: ${problem}${hint === undefined ? '' : ` (hint: ${hint})`}`;
}

/** In the order of the file; variables and flags after it. */
function byPosition({ source: a }: Problem, { source: b }: Problem): number {
  if (a.kind === 'file' && b.kind === 'file') return a.line - b.line || a.column - b.column;
  return Number(b.kind === 'file') - Number(a.kind === 'file');
}

/** One error that carries every problem: a line each in the message, the records in `details.problems`. */
export function invalidConfig(found: readonly Problem[]): SkerryError {
  const problems = [...found].sort(byPosition);
  return new SkerryError('InvalidConfig', problems.map(formatProblem).join('\n'), { details: { problems } });
}

/** The nearest of `known` to a misspelt word, or the list of what there is when nothing is near. */
export function suggest(word: string, known: readonly string[]): string | undefined {
  const nearest = known
    .map((candidate) => ({ candidate, distance: editDistance(word.toLowerCase(), candidate.toLowerCase()) }))
    .filter(
      ({ candidate, distance }) => distance <= Math.max(1, Math.floor(Math.max(word.length, candidate.length) / 3)),
    )
    .sort((a, b) => a.distance - b.distance)[0];
  if (nearest !== undefined) return `did you mean ${nearest.candidate}?`;
  return known.length === 0 ? undefined : `known here: ${[...known].sort().join(', ')}`;
}

/** Edits to make `a` of `b`: insert, remove, replace, swap neighbours (optimal string alignment). */
function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, column) => column)];
  const at = (row: number, column: number): number => rows[row]?.[column] ?? 0;
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    rows.push(current);
    for (let column = 1; column <= b.length; column++) {
      const replaced = at(row - 1, column - 1) + (a[row - 1] === b[column - 1] ? 0 : 1);
      const isSwap = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      const swapped = isSwap ? at(row - 2, column - 2) + 1 : Infinity;
      current.push(Math.min(replaced, swapped, at(row - 1, column) + 1, at(row, column - 1) + 1));
    }
  }
  return at(a.length, b.length);
}
