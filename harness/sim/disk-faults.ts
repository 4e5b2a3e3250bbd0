/** What is wrong with a site's disk now, and the moments inside a commit at which the site is to crash. */
import type { Lane } from './lane.ts';

/** Moments between the steps of a commit. */
export const CRASH_POINTS = [
  'append-done',
  'sync-begins',
  'sync-done',
  'meta-commit-begins',
  'meta-commit-done',
  'free-begins',
] as const;
export type CrashPoint = (typeof CRASH_POINTS)[number];

export type DiskFaultKind = 'slow' | 'syncFails' | 'appendFails' | 'metaFails';

export class DiskFaults {
  readonly #active = new Map<DiskFaultKind, number>();
  readonly #chance: () => number;
  readonly #crash: (point: CrashPoint) => void;
  #armed: { readonly point: CrashPoint; left: number } | undefined;
  /** Failures that really met somebody. */
  met = 0;
  /** Records whose bytes changed at rest. */
  rotten = 0;

  /** `crash` ends the running boot. */
  constructor(chance: () => number, crash: (point: CrashPoint) => void) {
    this.#chance = chance;
    this.#crash = crash;
  }

  /** `rate`: how often a call fails; of `slow`, how many times longer calls take. */
  begin(kind: DiskFaultKind, rate: number): void {
    this.#active.set(kind, rate);
  }

  end(kind: DiskFaultKind): void {
    this.#active.delete(kind);
  }

  clear(): void {
    this.#active.clear();
    this.#armed = undefined;
  }

  slowness(): number {
    return this.#active.get('slow') ?? 1;
  }

  syncFails(): boolean {
    return this.#fails('syncFails');
  }

  appendFails(): boolean {
    return this.#fails('appendFails');
  }

  metaFails(): boolean {
    return this.#fails('metaFails');
  }

  /** The site crashes when it reaches this point for the `nth` time from now. */
  crashAt(point: CrashPoint, nth: number): void {
    this.#armed = { point, left: nth };
  }

  reach(point: CrashPoint, lane: Lane): void {
    if (!lane.alive || this.#armed?.point !== point) return;
    this.#armed.left--;
    if (this.#armed.left > 0) return;
    this.#armed = undefined;
    this.#crash(point);
  }

  #fails(kind: DiskFaultKind): boolean {
    const rate = this.#active.get(kind);
    if (rate === undefined || this.#chance() >= rate) return false;
    this.met++;
    return true;
  }
}
