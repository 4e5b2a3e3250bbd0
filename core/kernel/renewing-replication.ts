/**
 * Replication that outlives the origin that the site writes as (rule 12). When a peer shows that this site's past was taken from it, or that
 * it was removed from the cluster, writes are refused at once, the site becomes a new origin, durably, replication begins anew
 * under it, and once everything that the site wrote before is back, writes are accepted again. Reads never stop.
 */
import type {
  Fenced,
  Lifecycle,
  Logger,
  Origin,
  PulledOnce,
  PushedOnce,
  ReplicationStatus,
  SiteId,
  Timers,
  Transport,
} from '../contracts/index.ts';
import type { Engine } from '../engine/engine.ts';
import { originOf } from '../engine/stamp.ts';
import type { Handshake, ReplicationFact } from '../replication/facts.ts';
import type { Replication } from '../replication/replication.ts';
import type { Frontier } from '../replication/stability.ts';
import type { DataDirectory } from './data-directory.ts';
import { createLifecycle } from './lifecycle.ts';
import { Past } from './past.ts';

/** A start waits so long for peers to say whether they know a past of this site that it lacks. */
const GREETING_MAX_MS = 2000;
const RETRY_MS = 5000;

/** A transport and what replicates over it, as the origin that the site is now. */
export interface Stage {
  readonly transport: Transport;
  readonly replication: Replication;
}

export interface StageEvents {
  readonly onFact: (fact: ReplicationFact) => void;
  readonly onHandshake: (handshake: Handshake) => void;
}

export interface RenewingDeps {
  readonly directory: DataDirectory;
  readonly engine: Pick<Engine, 'adopt' | 'keeping' | 'vector'>;
  readonly timers: Timers;
  readonly logger: Logger;
  /** Opens nothing. */
  readonly stage: (events: StageEvents) => Stage;
}

/** Why writes are refused; the first one is told. */
interface Refusals {
  fenced?: string;
  past?: string;
}

export class RenewingReplication implements Replication {
  readonly #deps: RenewingDeps;
  readonly #past: Past;
  readonly #abort = new AbortController();
  readonly #refusals: Refusals = {};
  #stage: Stage;
  #parts: Lifecycle;
  /** What has begun, one after another. */
  #work: Promise<void> = Promise.resolve();
  #fenced: Fenced | undefined;

  constructor(deps: RenewingDeps) {
    this.#deps = deps;
    this.#past = new Past({ ...deps, onWait: (reason) => this.#refuse('past', reason) });
    [this.#stage, this.#parts] = this.#newStage();
  }

  /** Peers are asked for a past before anybody may write; those that cannot be reached hold nothing up. */
  async open(): Promise<void> {
    this.#past.look();
    await this.#past.settled();
    await this.#parts.open();
    const greeting = new AbortController();
    const limit = this.#deps.timers.sleep(GREETING_MAX_MS, greeting.signal).catch(() => undefined); // greeted in time
    await Promise.race([this.#stage.replication.greeted(), limit]);
    greeting.abort();
    await this.#past.settled();
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#parts.close();
    await this.#work;
    await this.#past.settled();
  }

  wake(): void {
    this.#stage.replication.wake();
    this.#past.look();
  }

  greeted(): Promise<void> {
    return this.#stage.replication.greeted();
  }

  frontier(): Promise<Frontier | undefined> {
    return this.#stage.replication.frontier();
  }

  pullOnce(peer: SiteId): Promise<PulledOnce> {
    return this.#stage.replication.pullOnce(peer);
  }

  pushOnce(peer: SiteId): Promise<PushedOnce> {
    return this.#stage.replication.pushOnce(peer);
  }

  async status(): Promise<ReplicationStatus> {
    const status = await this.#stage.replication.status();
    return { ...status, ...(this.#fenced === undefined ? {} : { fenced: this.#fenced }) };
  }

  #newStage(): [Stage, Lifecycle] {
    const { stage, logger } = this.#deps;
    const made = stage({
      onFact: (fact) => this.#heard(fact),
      onHandshake: ({ vector }) => this.#past.claimed(vector),
    });
    const steps = [
      { name: 'transport', part: made.transport },
      { name: 'replication', part: made.replication },
    ];
    return [made, createLifecycle(steps, logger)];
  }

  #heard(fact: ReplicationFact): void {
    if (fact.kind !== 'fenced' || this.#fenced !== undefined) return;
    this.#fenced = fact;
    this.#refuse('fenced', reasonOf(fact));
    const { directory } = this.#deps;
    const was = originOf(directory.site, directory.incarnation);
    if (!fact.diverged) this.#begin(() => this.#renew(was, fact.knownSeq));
  }

  #refuse(why: keyof Refusals, reason: string | undefined): void {
    const { keeping } = this.#deps.engine;
    if (reason === undefined) delete this.#refusals[why];
    else this.#refusals[why] = reason;
    const told = this.#refusals.fenced ?? this.#refusals.past;
    if (told === undefined) keeping.unfence();
    else keeping.fence(told);
  }

  /** What fails is tried again: the disk may have room later, the address be free. */
  #begin(step: () => Promise<void>): void {
    this.#work = this.#work.then(step).catch(async (error: unknown) => {
      const { logger, timers } = this.#deps;
      logger.error({ err: error }, 'becoming a new origin failed; it is tried again');
      await timers.sleep(RETRY_MS, this.#abort.signal).catch(() => undefined); // closed
      if (!this.#abort.signal.aborted) this.#begin(step);
    });
  }

  /** The process may end behind any of these steps: the next start goes on from there. */
  async #renew(was: Origin, knownSeq: number): Promise<void> {
    const { directory, engine, logger } = this.#deps;
    await this.#parts.close();
    if (this.#abort.signal.aborted) return;
    if (originOf(directory.site, directory.incarnation) === was) await directory.renew(knownSeq);
    engine.adopt(directory.incarnation);
    this.#past.look();
    await this.#past.settled();
    [this.#stage, this.#parts] = this.#newStage();
    await this.#parts.open();
    this.#fenced = undefined;
    this.#refuse('fenced', undefined);
    logger.warn({ was, incarnation: directory.incarnation }, 'this site goes on as a new origin');
  }
}

function reasonOf({ by, ownSeq, knownSeq, diverged }: Fenced): string {
  if (diverged)
    return `site ${by} has another op ${knownSeq} of this site than this site itself: see "skerry repl-status"`;
  return `site ${by} knows ${knownSeq} ops of this site, here are ${ownSeq}: it was restored from a backup`;
}
