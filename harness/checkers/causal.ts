/** A read that waited for a write is answered from a state that includes it, never an older one (rule 18). */
import type { Op } from '../../core/contracts/index.ts';
import type { Checker } from './checker.ts';
import { modelKey } from './model.ts';

/** Ops that may be committed between the moment of a read and the moment at which it is judged. */
const LATE_OPS_MAX = 5;

export function causalChecker(): Checker {
  return {
    name: 'causal',
    onCall({ op, outcome, site: name, step }, view) {
      if (op.type !== 'causal' || outcome.kind !== 'done' || outcome.seen.type !== 'caused') return;
      const { wanted, answer } = outcome.seen;
      const ops = view.sites.find((site) => site.name === name)?.record.ops ?? [];
      const states = Array.from({ length: LATE_OPS_MAX + 1 }, (_, late) => ops.slice(0, ops.length - late));
      const isFresh = (state: readonly Op[]): boolean => {
        if (!state.some(({ stamp }) => stamp === wanted)) return false;
        const { live } = modelKey(state, op.bucket, op.key);
        if (!live.some(({ stamp }) => stamp === wanted)) return true;
        return answer.includes('!') ? answer >= wanted : live[0]?.put.marker === true;
      };
      if (!states.some(isFresh)) view.fail('causal', `${step} at ${name} waited for ${wanted} and read ${answer}`);
      else view.mark('causal read');
    },
  };
}
