/**
 * Whether this site may stamp ops with its own clock (rule 11). A wall clock that jumps forward against the monotonic one, or
 * that lies far behind the site's own HLC, must not get into stamps: they would win over everybody's for as long as the
 * error is large. What is stamped elsewhere is judged where it arrives.
 */
import { isSkerryError, SkerryError, type Clock, type Hlc } from '../contracts/index.ts';
import { HLC_ZERO, hlcWallMs } from './hlc.ts';

/** Last reading of the site's own clock, and how far ahead of the wall it may be because an operator let that in. */
export interface Reading {
  readonly hlc: Hlc;
  readonly letInMs?: number;
}

export interface ClockGuard {
  /** Throws `ClockUntrusted` (retryable; details: `reason`, milliseconds) when an op must not be stamped now. */
  check(clock: Reading): void;
  /**
   * Somebody vouches for the wall clock: an operator, as it is now, or a peer, as it was when it agreed. A jump before that is forgotten,
   * one since is not. `offsetMs`: what it was ahead of the monotonic clock then, milliseconds; default: now.
   */
  trust(offsetMs?: number): void;
  /** Why `check` would throw now, going by the reading that it saw last. */
  problem(): string | undefined;
}

export interface ClockGuardDeps {
  readonly clock: Clock;
  readonly maxClockDriftMs: number;
}

/** For a site that replicates with nobody: a wrong clock harms no other site, and must not stop this one (a laptop that slept). */
export const NO_CLOCK_GUARD: ClockGuard = { check: () => {}, trust: () => {}, problem: () => undefined };

export function createClockGuard({ clock, maxClockDriftMs }: ClockGuardDeps): ClockGuard {
  /** Wall minus monotonic time when it was last believed. Slow correction by NTP moves it along. */
  let offsetMs = clock.wallMs() - clock.monotonicMs();

  let last: Reading = { hlc: HLC_ZERO };

  function check(own: Reading): void {
    last = own;
    const wallMs = clock.wallMs();
    const nowOffsetMs = wallMs - clock.monotonicMs();
    const jumpMs = nowOffsetMs - offsetMs;
    if (jumpMs > maxClockDriftMs) throw untrusted('wall clock jumped forward', jumpMs, maxClockDriftMs);
    offsetMs = nowOffsetMs;
    const aheadMs = hlcWallMs(own.hlc) - Math.max(wallMs, own.letInMs ?? 0);
    if (aheadMs > maxClockDriftMs)
      throw untrusted('wall clock is behind what this site has stamped', aheadMs, maxClockDriftMs);
  }

  return {
    check,
    trust(agreedMs = clock.wallMs() - clock.monotonicMs()) {
      offsetMs = agreedMs;
    },
    problem() {
      try {
        check(last);
        return undefined;
      } catch (error) {
        if (isSkerryError(error, 'ClockUntrusted')) return error.message;
        throw error;
      }
    },
  };
}

function untrusted(reason: string, driftMs: number, maxClockDriftMs: number): SkerryError {
  return new SkerryError(
    'ClockUntrusted',
    `writes are refused: the ${reason}, by ${Math.round(driftMs)} ms (maxClockDriftMs is ${maxClockDriftMs}); correct the clock`,
    { details: { reason, driftMs, maxClockDriftMs } },
  );
}
