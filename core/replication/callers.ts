/** Who calls here: how many calls each has running, when it last pulled, and whether its site id is its own. */
import { SkerryError, type Clock, type Origin, type PeerIdentity, type SiteId } from '../contracts/index.ts';
import type { OnFact } from './facts.ts';

const SUPERSEDED_MAX = 64;
const SESSIONS_MAX = 16;
/** So often has a process that was succeeded come back when it is no late message of before a restart, but a clone. */
const RETURNS_MAX = 3;
/** One of two that go by one id must have been silent for so long before the other one is heard again. Longer than any backoff. */
const CLASH_MS = 120_000;
/** No message of a process that has ended comes so late: whoever calls then lives. Far less than it takes to be missed as a member. */
const LATE_MS = 15_000;
/** Sites remembered; more would be somebody making them up. */
const SITES_MAX = 1024;

interface Caller {
  origin: Origin;
  /** Origins that the site had before, and since when it has another one, monotonic milliseconds. */
  readonly superseded: Map<Origin, number>;
  /** When one of them was heard last that was no late message: two sites live under one id (rule 12). */
  clashMs: number;
  /** Processes that went by `origin`, the one that was heard last behind; when each was heard first and last, monotonic milliseconds. */
  readonly sessions: Map<string, { readonly firstMs: number; readonly lastMs: number }>;
  returns: number;
  calls: number;
  pulls: number;
  lastCallMs: number;
  /** Of `origin`, monotonic milliseconds. */
  lastHeardMs: number;
  lastPullMs: number;
}

export interface CallersDeps {
  readonly self: PeerIdentity;
  readonly clock: Clock;
  readonly callsPerPeer: number;
  readonly onFact: OnFact;
}

export class Callers {
  readonly #deps: CallersDeps;
  readonly #callers = new Map<SiteId, Caller>();

  constructor(deps: CallersDeps) {
    this.#deps = deps;
  }

  /** Call the result when the call is over. `Conflict` for a site id that is in use twice, `SlowDown` above the limit. */
  enter(from: PeerIdentity): () => void {
    const { clock, callsPerPeer } = this.#deps;
    const caller = this.#only(from);
    if (caller.calls >= callsPerPeer)
      throw new SkerryError('SlowDown', `${caller.calls} calls of ${from.site} are running here`);
    caller.calls++;
    caller.lastCallMs = clock.wallMs();
    return () => {
      caller.calls--;
      if (caller.origin === from.origin) caller.lastHeardMs = clock.monotonicMs();
    };
  }

  /**
   * The process that goes by this identity now. `Conflict` when it and another one do so at the same time: clones of one directory that
   * write different ops under the same dots. Both are refused until one of them is silent.
   */
  meet(from: PeerIdentity, session: string | undefined): void {
    const caller = this.#only(from);
    if (session === undefined) return;
    const nowMs = this.#deps.clock.monotonicMs();
    const { sessions } = caller;
    const known = sessions.get(session);
    const latest = [...sessions.values()].at(-1);
    if (known !== undefined && latest !== undefined && latest !== known && nowMs - latest.firstMs >= LATE_MS)
      caller.returns++;
    sessions.delete(session);
    const [oldest] = sessions.keys();
    if (sessions.size >= SESSIONS_MAX && oldest !== undefined) sessions.delete(oldest);
    const isAlone = [...sessions.values()].every(({ lastMs }) => nowMs - lastMs >= CLASH_MS);
    sessions.set(session, { firstMs: known?.firstMs ?? nowMs, lastMs: nowMs });
    if (isAlone) caller.returns = 0;
    if (caller.returns < RETURNS_MAX) return;
    this.#refuse(from.site, [from.origin, from.origin]);
  }

  /** A pull of this site is running; call the result when it is over. */
  pulls(site: SiteId): () => void {
    const caller = this.#callers.get(site);
    if (caller === undefined) return () => undefined;
    caller.pulls++;
    return () => {
      caller.pulls--;
      caller.lastPullMs = this.#deps.clock.monotonicMs();
    };
  }

  /** The site reaches us and helps itself: a pull of it is running, or ended less than `graceMs` ago. */
  isPulling(site: SiteId, graceMs: number): boolean {
    const caller = this.#callers.get(site);
    if (caller === undefined) return false;
    return caller.pulls > 0 || this.#deps.clock.monotonicMs() - caller.lastPullMs < graceMs;
  }

  /** Unix milliseconds. */
  lastCallMs(site: SiteId): number | undefined {
    return this.#callers.get(site)?.lastCallMs;
  }

  /**
   * The one that goes by this id. `Conflict` when there are two: the one that came later goes on until the other one has proven to be
   * alive, and then both are refused until one is silent.
   */
  #only(from: PeerIdentity): Caller {
    const { self, clock } = this.#deps;
    if (from.site === self.site) this.#refuse(from.site, [self.origin, from.origin]);
    const caller = this.#caller(from);
    const nowMs = clock.monotonicMs();
    const sinceMs = caller.superseded.get(from.origin);
    const isGone = caller.calls === 0 && nowMs - caller.lastHeardMs >= CLASH_MS;
    if (sinceMs !== undefined && !isGone) {
      if (nowMs - sinceMs >= LATE_MS) caller.clashMs = nowMs;
      this.#refuse(from.site, [caller.origin, from.origin]);
    }
    if (caller.origin !== from.origin) this.#supersede(caller, from.origin);
    caller.lastHeardMs = nowMs;
    if (nowMs - caller.clashMs < CLASH_MS)
      this.#refuse(from.site, [...caller.superseded.keys(), from.origin].slice(-2));
    return caller;
  }

  #refuse(site: SiteId, origins: readonly Origin[]): never {
    this.#deps.onFact({ kind: 'duplicate-site', site, origins });
    throw duplicateSite(site, origins);
  }

  #caller({ site, origin }: PeerIdentity): Caller {
    const known = this.#callers.get(site);
    if (known !== undefined) return known;
    if (this.#callers.size >= SITES_MAX) throw new SkerryError('SlowDown', 'too many sites call here');
    const caller: Caller = {
      origin,
      superseded: new Map(),
      clashMs: Number.NEGATIVE_INFINITY,
      sessions: new Map(),
      returns: 0,
      calls: 0,
      pulls: 0,
      lastCallMs: 0,
      lastHeardMs: this.#deps.clock.monotonicMs(),
      lastPullMs: Number.NEGATIVE_INFINITY,
    };
    this.#callers.set(site, caller);
    return caller;
  }

  #supersede(caller: Caller, origin: Origin): void {
    caller.superseded.delete(origin);
    caller.superseded.set(caller.origin, this.#deps.clock.monotonicMs());
    const [oldest] = caller.superseded.keys();
    if (caller.superseded.size > SUPERSEDED_MAX && oldest !== undefined) caller.superseded.delete(oldest);
    caller.origin = origin;
    caller.clashMs = Number.NEGATIVE_INFINITY;
    caller.sessions.clear();
    caller.returns = 0;
  }
}

export function duplicateSite(site: SiteId, origins: readonly Origin[]): SkerryError {
  return new SkerryError('Conflict', `two live sites are called ${site}: give one of them another site.id`, {
    details: { reason: 'duplicate-site', site, origins },
  });
}
