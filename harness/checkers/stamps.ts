/** Stamps name their dot, rise strictly with it over restarts, and lie behind everything that their origin had applied. */
import type { Op } from '../../core/contracts/index.ts';
import type { Checker } from './checker.ts';

const STAMP = /^((?:p[0-9a-f]{8})?[0-9a-f]{16})!([a-z0-9-]+)!([0-9a-f]{16})!([0-9a-f]{10})$/;

export function stampChecker(): Checker {
  /** Newest stamp of each origin, over all its boots. */
  const newest = new Map<string, string>();
  /** Who issued each reading first. */
  const readings = new Map<string, string>();
  return {
    name: 'stamps',
    onLost(ops) {
      for (const { dot } of ops) newest.delete(dot.origin);
    },
    onCommit({ site, ops, before }, view) {
      const self = `${site.name}.${site.incarnation}`;
      let hlc = before?.hlc ?? '';
      for (const op of ops) {
        const problem = malformed(op);
        if (problem !== undefined) view.fail('stamps', `${op.stamp} of ${op.dot.origin}:${op.dot.seq}: ${problem}`);
        const read = op.stamp.slice(0, op.stamp.indexOf('!'));
        if (op.dot.origin === self) {
          const last = newest.get(self) ?? '';
          if (op.stamp <= last) view.fail('stamps', `${site.name} issued ${op.stamp} after ${last}`);
          if (read <= hlc) view.fail('stamps', `${site.name} issued ${op.stamp}, not past its own clock ${hlc}`);
          if (!read.endsWith('0000')) view.mark('hlc counter used');
          newest.set(self, op.stamp);
          if ((readings.get(read) ?? site.name) !== site.name) view.mark('equal hlc');
          readings.set(read, site.name);
        }
        if (read > hlc) hlc = read;
      }
    },
  };
}

function malformed({ stamp, dot }: Op): string | undefined {
  const [, , site, incarnation, seq] = STAMP.exec(stamp) ?? [];
  if (seq === undefined) return 'is no stamp';
  if (`${site}.${incarnation}` !== dot.origin) return 'names another origin';
  return Number.parseInt(seq, 16) === dot.seq ? undefined : 'names another seq';
}
