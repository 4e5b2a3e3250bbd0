import type { Clock } from '../../contracts/index.ts';

/** The machine's clocks. */
export const nodeClock: Clock = Object.freeze({
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
});
