/** Where a site is in its life, and what that means for whoever asks whether it is well. */
import type { Health } from '../contracts/index.ts';

export type SitePhase = 'new' | 'starting' | 'ready' | 'stopping' | 'stopped' | 'failed';

export interface PhaseHealth extends Health {
  phase(): SitePhase;
  enter(phase: SitePhase): void;
  /** What a start that takes long waits for, asked whenever somebody wants to know; `undefined`: nothing in particular. */
  explain(wait: () => string | undefined): void;
  /** Why no write is accepted, asked in the same way. */
  explainWrites(refusal: () => string | undefined): void;
}

const WAITS: Readonly<Record<Exclude<SitePhase, 'ready'>, string>> = {
  new: 'the site has not been started',
  starting: 'the site is starting',
  stopping: 'the site is stopping: running requests finish, new ones are refused',
  stopped: 'the site has stopped',
  failed: 'the site could not start',
};

export function createHealth(): PhaseHealth {
  let phase: SitePhase = 'new';
  let waits: () => string | undefined = () => undefined;
  let refuses: () => string | undefined = () => undefined;
  return {
    live: () => phase === 'starting' || phase === 'ready' || phase === 'stopping',
    ready() {
      const joins = phase === 'starting' ? waits() : undefined;
      if (joins !== undefined) return { ready: false, reason: joins, joining: true };
      if (phase !== 'ready') return { ready: false, reason: WAITS[phase] };
      const writesRefused = refuses();
      return writesRefused === undefined ? { ready: true } : { ready: true, writesRefused };
    },
    phase: () => phase,
    enter(next) {
      phase = next;
    },
    explain: (wait) => void (waits = wait),
    explainWrites: (refusal) => void (refuses = refusal),
  };
}
