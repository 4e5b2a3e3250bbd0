/**
 * Leases by use (rule 14): a peer that asks for ops, or says what it has, may ask for everything after that until it has not been
 * heard of for a while. A lease that lags behind what the peer has keeps more than needed, never less, so that a renewal is
 * written now and then, not with every call.
 */
import type { Clock, Logger, Origin, VersionVector } from '../contracts/index.ts';
import type { Leases } from '../engine/leases.ts';

/** Renewals in the time of one lease. */
const RENEWALS = 10;
/** Origins remembered; more would be somebody making them up, and cost a write each. */
const ORIGINS_MAX = 1024;

export interface LeaseKeeperDeps {
  /** Absent: nothing is kept for anybody. */
  readonly leases: Leases | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly leaseTtlMs: number;
}

export class LeaseKeeper {
  readonly #deps: LeaseKeeperDeps;
  readonly #renewedMs = new Map<Origin, number>();

  constructor(deps: LeaseKeeperDeps) {
    this.#deps = deps;
  }

  /** The peer has `vector` and was heard of just now. */
  async used(peer: Origin, vector: VersionVector): Promise<void> {
    const { clock, leaseTtlMs, logger } = this.#deps;
    const renewedMs = this.#renewedMs.get(peer) ?? Number.NEGATIVE_INFINITY;
    if (clock.monotonicMs() - renewedMs < leaseTtlMs / RENEWALS) return;
    try {
      await this.renew(peer, vector);
    } catch (error) {
      // The peer gets its answer all the same; should its lease run out, it takes a snapshot.
      logger.warn({ err: error, peer }, 'a lease could not be renewed');
    }
  }

  /** Durable when it resolves. */
  async renew(peer: Origin, vector: VersionVector): Promise<void> {
    const { leases, clock, leaseTtlMs } = this.#deps;
    if (leases === undefined) return;
    this.#renewedMs.delete(peer);
    this.#renewedMs.set(peer, clock.monotonicMs());
    const [oldest] = this.#renewedMs.keys();
    if (this.#renewedMs.size > ORIGINS_MAX && oldest !== undefined) this.#renewedMs.delete(oldest);
    await leases.renew(peer, vector, leaseTtlMs);
  }

  /** Milliseconds that are left of the lease that was renewed last here; `undefined`: there is none, as far as this process knows. */
  leftMs(peer: Origin): number | undefined {
    const { leases, clock, leaseTtlMs } = this.#deps;
    const renewedMs = this.#renewedMs.get(peer);
    if (leases === undefined || renewedMs === undefined) return undefined;
    const leftMs = renewedMs + leaseTtlMs - clock.monotonicMs();
    return leftMs > 0 ? leftMs : undefined;
  }

  async drop(peer: Origin): Promise<void> {
    this.#renewedMs.delete(peer);
    await this.#deps.leases?.drop(peer);
  }
}
