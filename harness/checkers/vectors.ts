/** Vectors are dense and monotone, the oplog has what they count, and nothing is applied before what it had seen. */
import type { Op, VersionVector } from '../../core/contracts/index.ts';
import type { Checker } from './checker.ts';

export function vectorChecker(): Checker {
  return {
    name: 'vectors',
    onCommit({ site, ops, merged, before, after }, view) {
      const fail = (message: string): void => view.fail('vectors', `${site.name}: ${message}`);
      const vector: Record<string, number> = { ...before?.vector };
      // a snapshot that is complete brings all that it covers at once
      let isJoined = merged.length === 0;
      const join = (): void => {
        isJoined = true;
        for (const { dot } of merged) vector[dot.origin] = Math.max(vector[dot.origin] ?? 0, dot.seq);
      };
      for (const op of ops) {
        const { origin, seq } = op.dot;
        if (!isJoined && ((vector[origin] ?? 0) !== seq - 1 || firstMissing(op, vector) !== undefined)) join();
        if ((vector[origin] ?? 0) !== seq - 1) fail(`op ${origin}:${seq} follows ${origin}:${vector[origin] ?? 0}`);
        const missing = firstMissing(op, vector);
        if (missing !== undefined) fail(`op ${origin}:${seq} was applied before ${missing}, which it had seen`);
        vector[origin] = seq;
      }
      if (!isJoined) join();
      const reported = after?.vector ?? {};
      if (!sameVector(reported, vector)) {
        fail(`the vector is ${JSON.stringify(reported)}, the oplog says ${JSON.stringify(vector)}`);
      }
      if (before !== undefined && after !== undefined && after.hlc < before.hlc) {
        fail(`the clock went back from ${before.hlc} to ${after.hlc}`);
      }
    },
  };
}

function firstMissing({ deps }: Op, vector: VersionVector): string | undefined {
  const missing = Object.keys(deps).find((origin) => (vector[origin] ?? 0) < (deps[origin] ?? 0));
  return missing === undefined ? undefined : `${missing}:${deps[missing]}`;
}

export function sameVector(a: VersionVector, b: VersionVector): boolean {
  const origins = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...origins].every((origin) => (a[origin] ?? 0) === (b[origin] ?? 0));
}

/** Equal for equal vectors. */
export function vectorName(vector: VersionVector): string {
  return Object.entries(vector)
    .filter(([, seq]) => seq > 0)
    .map(([origin, seq]) => `${origin}:${seq}`)
    .toSorted()
    .join(' ');
}
