/** What the benchmark measures: one row of its table each. Shared by the driver and the load generator. */
export type Verb = 'PUT' | 'GET' | 'HEAD' | 'DELETE' | 'LIST' | 'MULTIPART';

export interface Scenario {
  readonly name: string;
  readonly verb: Verb;
  /** Bytes of each object. */
  readonly sizeBytes: number;
  readonly concurrency: number;
  /** Operations of one round. */
  readonly operations: number;
  /** Objects that must be there before the round (GET, HEAD, LIST, DELETE). */
  readonly preload: number;
  /** True: small bodies too are sent once only, so that nothing that packs them gains by it. */
  readonly isUnique?: true;
}

export interface RoundResult {
  readonly operations: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly errors: number;
}

const KIB = 1024;
const MIB = 1024 * KIB;
const CONCURRENCY = [1, 16, 64] as const;
export const PART_BYTES = 8 * MIB;

const label = (bytes: number): string => (bytes >= MIB ? `${bytes / MIB} MiB` : `${bytes / KIB} KiB`);

function make(verb: Verb, sizeBytes: number, concurrency: number, operations: number): Scenario {
  const preload =
    verb === 'DELETE'
      ? operations
      : verb === 'LIST'
        ? 1000
        : verb === 'GET' || verb === 'HEAD'
          ? Math.min(operations, sizeBytes >= MIB ? 16 : 1000)
          : 0;
  return {
    name: `${verb} ${verb === 'LIST' ? '1000 keys' : label(sizeBytes)} c=${concurrency}`,
    verb,
    sizeBytes,
    concurrency,
    operations,
    preload,
  };
}

/** A round long enough for the compiler to have seen every path of the scenario often. */
export function warmUpOf(scenario: Scenario): Scenario {
  const most = scenario.verb === 'LIST' ? 100 : scenario.sizeBytes >= MIB ? 2 * scenario.concurrency : 3000;
  const operations = Math.min(scenario.operations, most);
  return { ...scenario, operations, preload: scenario.verb === 'DELETE' ? operations : scenario.preload };
}

/** `scale` 1 is the full run; smaller is quicker and noisier. */
export function scenarios(scale: number): readonly Scenario[] {
  const count = (full: number, concurrency: number): number => Math.max(concurrency, Math.round(full * scale));
  const rows: Scenario[] = [];
  for (const c of CONCURRENCY) {
    const many = c === 1 ? 2000 : 12_000;
    for (const verb of ['PUT', 'GET', 'HEAD', 'DELETE'] as const) rows.push(make(verb, 4 * KIB, c, count(many, c)));
    rows.push(make('LIST', 4 * KIB, c, count(c === 1 ? 200 : 600, c)));
    for (const verb of ['PUT', 'GET'] as const) rows.push(make(verb, MIB, c, count(c === 1 ? 100 : 400, c)));
    for (const verb of ['PUT', 'GET'] as const) rows.push(make(verb, 64 * MIB, c, count(c === 1 ? 6 : 24, c)));
  }
  rows.push(make('MULTIPART', 64 * MIB, 1, count(4, 1)), make('MULTIPART', 64 * MIB, 16, count(16, 16)));
  return rows;
}
