/** Everything of a site that replicates, as text: two sites with equal vectors must print the same. */
import { META_SPACES, type MetaReader, type MetaRow, type MetaSpace } from '../../core/contracts/index.ts';
import { decodeRecord, type Register } from '../../core/engine/records.ts';

/** What belongs to the site alone: where bytes lie, uploads in flight, work to do. */
const LOCAL: ReadonlySet<MetaSpace> = new Set<MetaSpace>([
  'site',
  'oplog',
  'vector',
  'chunks',
  'refs',
  'uploads',
  'parts',
  'queues',
  'peers',
]);
/** Members of replicated records that are the site's own affair: where bytes lie, what readers see until they are here. */
const SITE_ONLY: ReadonlySet<string> = new Set(['local', 'shadow']);
const PAGE = 10_000;

/** A site that keeps little forgets removals when they are stable, each in its own time: they are left out. */
export async function dumpState(
  reader: MetaReader,
  { keepsLittle }: { readonly keepsLittle: boolean },
): Promise<string> {
  const lines: string[] = [];
  for (const space of META_SPACES) {
    if (LOCAL.has(space) || (keepsLittle && space === 'tombstones')) continue;
    for (const { key, value } of await scanAll(reader, space)) {
      if (keepsLittle && space === 'registers' && decodeRecord<Register>(value).value === null) continue;
      lines.push(`${space} ${Buffer.from(key).toString('latin1')} = ${textOf(space, Buffer.from(value))}`);
    }
  }
  return lines.join('\n');
}

export async function scanAll(reader: MetaReader, space: MetaSpace): Promise<readonly MetaRow[]> {
  const rows = await reader.scan({ space, limit: PAGE });
  if (rows.length === PAGE) throw new Error(`${space} has too many rows for a checker`);
  return rows;
}

/** The first line in which two dumps differ, both ways. */
export function firstDifference(a: string, b: string): string {
  const [left, right] = [a.split('\n'), b.split('\n')];
  const other = new Set(right);
  const mine = new Set(left);
  const missing = left.find((line) => !other.has(line));
  const extra = right.find((line) => !mine.has(line));
  return `${missing ?? '(nothing)'}  |  ${extra ?? '(nothing)'}`;
}

/** Records are JSON, digests are bytes. */
function textOf(space: MetaSpace, value: Buffer): string {
  if (space === 'digest') return value.toString('hex');
  return value.length === 0 ? '' : canonicalJson(JSON.parse(value.toString('utf8')), SITE_ONLY);
}

/** JSON with sorted names; members named in `without` are left out at every depth. */
export function canonicalJson(value: unknown, without: ReadonlySet<string> = new Set()): string {
  return JSON.stringify(sorted(value, without));
}

function sorted(value: unknown, without: ReadonlySet<string>): unknown {
  if (Array.isArray(value)) return value.map((item) => sorted(item, without));
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value as Readonly<Record<string, unknown>>)
    .filter(([name, inner]) => !without.has(name) && inner !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, inner]) => [name, sorted(inner, without)]);
  return Object.fromEntries(entries);
}
