/** All checkers; every run has all of them. */
import { acknowledgedChecker } from './acknowledged.ts';
import type { Checker } from './checker.ts';
import { convergenceChecker } from './convergence.ts';
import { counterChecker } from './counters.ts';
import { equalStateChecker } from './equal-state.ts';
import { MAX_CLOCK_DRIFT_MS } from '../sim/engine-adapter.ts';
import { futureChecker } from './future.ts';
import { keepingChecker } from './keeping.ts';
import { lockChecker } from './locks.ts';
import { causalChecker } from './causal.ts';
import { garbageChecker } from './garbage.ts';
import { logChecker } from './logs.ts';
import { opIdentityChecker } from './op-identity.ts';
import { readChecker } from './reads.ts';
import { rebuildChecker } from './rebuild.ts';
import { replayChecker } from './replay.ts';
import { stampChecker } from './stamps.ts';
import { stateChecker } from './state.ts';
import { vectorChecker } from './vectors.ts';

export type { Checker, WorldView } from './checker.ts';

export function createCheckers(seed: number): readonly Checker[] {
  return [
    vectorChecker(),
    stampChecker(),
    futureChecker(MAX_CLOCK_DRIFT_MS),
    opIdentityChecker(),
    equalStateChecker(),
    stateChecker(),
    counterChecker(),
    readChecker(),
    convergenceChecker(),
    keepingChecker(),
    acknowledgedChecker(),
    lockChecker(),
    causalChecker(),
    logChecker(),
    replayChecker(seed),
    rebuildChecker(),
    garbageChecker(),
  ];
}
