/**
 * An empty site is not ready until it has what the peers within reach had when it came (rule 15). A site whose peers are all out of
 * reach works alone after a short while: it catches up when they come.
 */
import type { Clock, SiteId, Timers, VersionVector } from '../contracts/index.ts';
import { coversVector, joinVectors } from '../engine/vector.ts';
import type { Inbox } from './inbox.ts';
import type { ReplicationState } from './state.ts';
import type { Replica } from '../engine/replica.ts';
import { Wakeup } from './wakeup.ts';

/** How often it looks whether it has everything. */
const POLL_MS = 100;

export interface JoiningDeps {
  readonly replica: Pick<Replica, 'cut'>;
  readonly state: Pick<ReplicationState, 'bootstrapping'>;
  readonly inbox: Pick<Inbox, 'blocked'>;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly joinWaitMs: number;
}

export class Joining {
  readonly #deps: JoiningDeps;
  readonly #changed: Wakeup;
  /** Peers within reach, and what each had when it was reached: what it gets later is waited for by nobody. */
  readonly #targets = new Map<SiteId, VersionVector>();
  #isWaiting = false;

  constructor(deps: JoiningDeps) {
    this.#deps = deps;
    this.#changed = new Wakeup(deps.timers);
  }

  reached(peer: SiteId, vector: VersionVector): void {
    if (!this.#targets.has(peer)) this.#targets.set(peer, vector);
    this.#changed.notify();
  }

  lost(peer: SiteId): void {
    this.#targets.delete(peer);
    this.#changed.notify();
  }

  isReached(peer: SiteId): boolean {
    return this.#targets.has(peer);
  }

  isWaiting(): boolean {
    return this.#isWaiting;
  }

  /** Resolves when the site is in, or alone, or when `signal` aborts. `peers`: how many there are to be reached. */
  async wait(peers: number, signal: AbortSignal): Promise<void> {
    const { clock, joinWaitMs } = this.#deps;
    const endMs = clock.monotonicMs() + joinWaitMs;
    this.#isWaiting = true;
    try {
      while (!signal.aborted) {
        const seen = this.#changed.count;
        const isLate = clock.monotonicMs() >= endMs;
        if ((isLate || this.#targets.size >= peers) && (await this.#isIn())) return;
        await this.#changed.wait(seen, POLL_MS, signal);
      }
    } finally {
      this.#isWaiting = false;
    }
  }

  async #isIn(): Promise<boolean> {
    const { replica, state, inbox } = this.#deps;
    if (state.bootstrapping()) return false;
    const { vector } = await replica.cut();
    // Ops that are held back come when their time has come: nobody waits for that.
    const held = Object.fromEntries(inbox.blocked().map((origin) => [origin, Number.MAX_SAFE_INTEGER]));
    const has = joinVectors(vector, held);
    return [...this.#targets.values()].every((target) => coversVector(has, target));
  }

  /** What is waited for, for people. */
  reason(): string {
    const peers = [...this.#targets.keys()];
    return peers.length === 0
      ? 'the site is empty and looks for its peers'
      : `the site is empty and takes what ${peers.join(', ')} has`;
  }
}
