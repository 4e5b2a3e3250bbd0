/** The table people read, the JSON machines keep, and the comparison of two runs by ratio of medians. */
import type { Scenario } from './scenarios.ts';

export interface Row {
  readonly scenario: Scenario;
  readonly opsPerSecond: number;
  readonly mbPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Server CPU, all threads. */
  readonly cpuUsPerOp: number;
  readonly cpuSecondsPerGb: number;
  readonly peakMiB: number;
  readonly errors: number;
}

export interface Run {
  readonly rows: readonly Row[];
  readonly node: string;
  readonly rounds: number;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? Number.NaN)
    : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

const number = (value: number, digits = 1): string =>
  Number.isFinite(value) ? value.toFixed(value >= 1000 ? 0 : digits) : '-';

export function table(run: Run, before?: Run): string {
  const head = ['operation', 'op/s', 'MB/s', 'p50 ms', 'p99 ms', 'CPU us/op', 'CPU s/GB', 'peak MiB', 'errors'];
  if (before) head.push('op/s ratio', 'CPU ratio');
  const lines = run.rows.map((row) => {
    const cells = [
      row.scenario.name,
      number(row.opsPerSecond),
      number(row.mbPerSecond),
      number(row.p50Ms, 2),
      number(row.p99Ms, 2),
      number(row.cpuUsPerOp),
      row.scenario.verb === 'LIST' ? '-' : number(row.cpuSecondsPerGb, 2),
      number(row.peakMiB, 0),
      String(row.errors),
    ];
    const old = before?.rows.find(({ scenario }) => scenario.name === row.scenario.name);
    if (before)
      cells.push(
        old ? number(row.opsPerSecond / old.opsPerSecond, 2) : '-',
        old ? number(row.cpuUsPerOp / old.cpuUsPerOp, 2) : '-',
      );
    return cells;
  });
  const widths = head.map((title, i) => Math.max(title.length, ...lines.map((cells) => cells[i]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  ');
  return [line(head), ...lines.map(line)].join('\n');
}
