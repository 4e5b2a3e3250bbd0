/** The process as the command sees it, and how results are printed. */
import Table from 'cli-table3';

export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute. */
  readonly cwd: string;
  /** Version of this package. */
  readonly version: string;
  /** Writes one line, or several, to standard output; the line break is added. */
  out(text: string): void;
  /** The same to standard error. */
  err(text: string): void;
  /** Shows what is going on in the last line of standard error, in place of what it showed before; '' clears it. Absent where that is no terminal. */
  readonly progress?: ((text: string) => void) | undefined;
}

/** Options that every command takes. */
export interface GlobalOptions {
  readonly json: boolean;
  readonly config?: string | undefined;
  readonly dataDir?: string | undefined;
}

/** What a command found: as JSON for programs, as text for people. */
export interface Result {
  readonly json: unknown;
  readonly text: string;
}

export function print(terminal: Terminal, { json }: GlobalOptions, result: Result): void {
  if (json) terminal.out(JSON.stringify(result.json, undefined, 2));
  else if (result.text !== '') terminal.out(result.text);
}

const PLAIN = { head: [], border: [], 'padding-left': 0, 'padding-right': 2, compact: true };
const NO_LINES = Object.fromEntries(
  'top top-mid top-left top-right bottom bottom-mid bottom-left bottom-right left left-mid mid mid-mid right right-mid middle'
    .split(' ')
    .map((name) => [name, '']),
);

/** Columns without lines, so that `awk` can read them too. */
export function table(head: readonly string[], rows: readonly (readonly string[])[], empty: string): string {
  if (rows.length === 0) return empty;
  return aligned([head.map((title) => title.toUpperCase()), ...rows]);
}

/** One `name  value` line each. */
export function facts(pairs: readonly (readonly [name: string, value: string])[]): string {
  return aligned(pairs.map(([name, value]) => [name, value]));
}

function aligned(rows: readonly (readonly string[])[]): string {
  const grid = new Table({ style: PLAIN, chars: NO_LINES });
  grid.push(...rows.map((row) => [...row]));
  return grid
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

/** `2026-01-31 12:00:00Z` */
export function time(unixMs: number): string {
  return new Date(unixMs)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, 'Z');
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** `1.5 MiB` */
export function bytes(count: number): string {
  let value = count;
  let unit = 0;
  for (; value >= 1024 && unit < UNITS.length - 1; unit++) value /= 1024;
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit] ?? ''}`;
}
