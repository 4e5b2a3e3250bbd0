/**
 * Replication that outlives the origin that the site writes as (rule 12). When a peer shows that this site's past was taken from it, or that
 * it was removed from the cluster, writes are refused at once, the site becomes a new origin, durably, replication begins anew
 * under it, and once everything that the site wrote before is back, writes are accepted again. Reads never stop.
 */
import {
  SkerryError,
  type BootstrapStatus,
  type Fenced,
  type Lifecycle,
  type Logger,
  type Op,
  type Origin,
  type PulledOnce,
  type PushedOnce,
  type Quarantined,
  type ReplicationStatus,
  type SiteId,
  type Timers,
  type Transport,
} from '../contracts/index.ts';
import type { Engine } from '../engine/engine.ts';
import type { WantedBytes } from '../engine/healing.ts';
import { originOf } from '../engine/stamp.ts';
import { seqOf } from '../engine/vector.ts';
import type { EvictedFact, Handshake, ReplicationFact } from '../replication/facts.ts';
import type { Prover, Verdict } from '../replication/prover.ts';
import type { Replication } from '../replication/replication.ts';
import type { Frontier } from '../replication/stability.ts';
import type { DataDirectory } from './data-directory.ts';
import { createLifecycle } from './lifecycle.ts';
import { Past } from './past.ts';

/** A start waits so long for peers to say whether they know a past of this site that it lacks. */
const GREETING_MAX_MS = 2000;
const RETRY_MS = 5000;
/** Of what only this site has, to be shown. */
const NAMES_MAX = 100;
const NAMES_MAX_BYTES = 1024 * 1024;

/** A transport and what runs over it, as the origin that the site is now. */
export interface Stage<Part> {
  readonly transport: Transport;
  readonly part: Part;
}

export interface StageEvents {
  readonly onFact: (fact: ReplicationFact) => void;
  readonly onHandshake: (handshake: Handshake) => void;
}

export interface RenewingDeps {
  readonly directory: DataDirectory;
  readonly engine: Pick<Engine, 'adopt' | 'keeping' | 'objects' | 'vector' | 'replica' | 'replicaState'>;
  readonly timers: Timers;
  readonly logger: Logger;
  /** Opens nothing. The same for the next one. */
  readonly replication: (events: StageEvents) => Stage<Replication>;
  readonly prover: () => Stage<Prover>;
}

/** Why writes are refused; the first one is told. */
interface Refusals {
  clone?: string;
  fenced?: string;
  past?: string;
}

export class RenewingReplication implements Replication {
  readonly #deps: RenewingDeps;
  readonly #past: Past;
  readonly #abort = new AbortController();
  readonly #refusals: Refusals = {};
  #replication: Replication;
  #prover: Prover | undefined;
  #decided = Promise.withResolvers<Verdict>();
  /** Of the present stage. */
  #parts: Lifecycle;
  /** What has begun, one after another. */
  #work: Promise<void> = Promise.resolve();
  #fenced: Fenced | undefined;

  constructor(deps: RenewingDeps) {
    this.#deps = deps;
    this.#past = new Past({ ...deps, onWait: (reason) => this.#refuse('past', reason) });
    [this.#replication, this.#parts] = this.#begin();
  }

  /** Peers are asked for a past before anybody may write; those that cannot be reached hold nothing up. */
  async open(): Promise<void> {
    this.#past.look();
    await this.#past.settled();
    await this.#parts.open();
    const greeting = new AbortController();
    const limit = this.#deps.timers.sleep(GREETING_MAX_MS, greeting.signal).catch(() => undefined); // greeted in time
    await Promise.race([this.#replication.greeted(), limit]);
    greeting.abort();
    this.#past.greeted();
    await this.#past.settled();
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#parts.close();
    await this.#work;
    await this.#parts.close(); // of a stage that began meanwhile
    await this.#past.settled();
  }

  wake(): void {
    this.#replication.wake();
    this.#past.look();
  }

  greeted(): Promise<void> {
    return this.#replication.greeted();
  }

  peerSites(): readonly SiteId[] {
    return this.#replication.peerSites();
  }

  askDigests(peer: SiteId, signal: AbortSignal): ReturnType<Replication['askDigests']> {
    return this.#replication.askDigests(peer, signal);
  }

  fetchChunk(chunk: WantedBytes): Promise<boolean> {
    return this.#replication.fetchChunk(chunk);
  }

  frontier(): Promise<Frontier | undefined> {
    return this.#replication.frontier();
  }

  pullOnce(peer: SiteId): Promise<PulledOnce> {
    return this.#replication.pullOnce(peer);
  }

  pushOnce(peer: SiteId): Promise<PushedOnce> {
    return this.#replication.pushOnce(peer);
  }

  bootstrapFrom(peer?: SiteId): Promise<BootstrapStatus> {
    return this.#replication.bootstrapFrom(peer);
  }

  joined(signal: AbortSignal): Promise<void> {
    return this.#replication.joined(signal);
  }

  joining(): string | undefined {
    return this.#replication.joining();
  }

  release(origin: Origin): Promise<Quarantined> {
    return this.#replication.release(origin);
  }

  /** An operator vouches for the wall clock as it is now. */
  trustClock(): void {
    this.#deps.engine.keeping.clockGuard.trust();
  }

  async status(): Promise<ReplicationStatus> {
    const status = await this.#replication.status();
    const [fenced, takesBack] = [this.#fenced, this.#past.lacking()];
    const unproven = this.#prover?.unproven() ?? [];
    const writesRefused = this.#deps.engine.keeping.refusal();
    return {
      ...status,
      conflicts: await this.#deps.engine.objects.countConflicts(),
      ...(writesRefused === undefined ? {} : { writesRefused }),
      ...(this.#prover === undefined ? {} : { addresses: this.#prover.addresses() }),
      ...(fenced === undefined ? {} : { fenced: { ...fenced, ...(unproven.length === 0 ? {} : { unproven }) } }),
      ...(Object.keys(takesBack).length === 0 ? {} : { takesBack }),
    };
  }

  /** `Conflict` unless the site stands still for want of a proof. */
  async recover(): Promise<void> {
    const fenced = this.#fenced;
    const [by] = this.#prover?.unproven() ?? [];
    if (fenced === undefined || fenced.diverged || by === undefined)
      throw new SkerryError('Conflict', 'there is nothing to decide: this site does not wait for a proof of its past', {
        details: { fenced: fenced?.diverged === true ? 'diverged' : fenced !== undefined },
      });
    this.#decided.resolve({ kind: 'shared', by, knownSeq: fenced.knownSeq });
  }

  /** As the data directory has it: what the site is from its next stage on. */
  get #origin(): Origin {
    const { site, incarnation } = this.#deps.directory;
    return originOf(site, incarnation);
  }

  #begin(): [Replication, Lifecycle] {
    const made = this.#deps.replication({
      onFact: (fact) => this.#heard(fact),
      onHandshake: ({ vector, agreedOffsetMs }) => {
        if (agreedOffsetMs !== undefined) this.#deps.engine.keeping.clockGuard.trust(agreedOffsetMs);
        this.#past.claimed(vector);
      },
    });
    return [made.part, this.#lifecycle(made)];
  }

  #lifecycle({ transport, part }: Stage<Lifecycle>): Lifecycle {
    const steps = [
      { name: 'transport', part: transport },
      { name: 'replication', part },
    ];
    return createLifecycle(steps, this.#deps.logger);
  }

  #heard(fact: ReplicationFact): void {
    const was = this.#origin;
    if (fact.kind === 'fenced' && this.#fenced === undefined) {
      const { by, ownSeq, knownSeq, diverged } = fact;
      this.#fenced = { by, ownSeq, knownSeq, diverged };
      this.#refuse('fenced', reasonOf(fact));
      this.#do(() => this.#recover(was));
    } else if (fact.kind === 'evicted' && this.#fenced === undefined) {
      this.#refuse('fenced', `it was removed from the cluster, as ${fact.by} says`);
      this.#do(() => this.#leave(was, fact));
    } else if (fact.kind === 'duplicate-site' && fact.origins.every((origin) => origin === was))
      this.#refuse(
        'clone',
        `another process writes as ${was}: stop the one whose data directory is a copy, restart the other`,
      );
  }

  #refuse(why: keyof Refusals, reason: string | undefined): void {
    const { keeping } = this.#deps.engine;
    if (reason === undefined) delete this.#refusals[why];
    else this.#refusals[why] = reason;
    const told = this.#refusals.clone ?? this.#refusals.fenced ?? this.#refusals.past;
    if (told === undefined) keeping.unfence();
    else keeping.fence(told);
  }

  /** What fails is tried again: the disk may have room later, the address be free. */
  #do(step: () => Promise<void>): void {
    this.#work = this.#work.then(step).catch(async (error: unknown) => {
      const { logger, timers } = this.#deps;
      if (this.#abort.signal.aborted) return logger.debug({ err: error }, 'closed while becoming a new origin');
      logger.error({ err: error }, 'becoming a new origin failed; it is tried again');
      await timers.sleep(RETRY_MS, this.#abort.signal).catch(() => undefined); // closed
      if (!this.#abort.signal.aborted) this.#do(step);
    });
  }

  /** The process may end behind any of these steps: the next start goes on from there. */
  async #recover(was: Origin): Promise<void> {
    const { directory } = this.#deps;
    await this.#parts.close();
    if (this.#origin === was) {
      const verdict = await this.#verdict();
      if (verdict === undefined) return;
      if (verdict.kind === 'diverged') return this.#stand(was, verdict);
      await this.#parts.close();
      this.#prover = undefined;
      await directory.renew(verdict.knownSeq);
    }
    await this.#goOn(was);
  }

  /** Everything that it wrote is at other sites, or it stays as it is: what only it has is not to be lost. */
  async #leave(was: Origin, { by, knownSeq, vector }: EvictedFact): Promise<void> {
    const { directory, engine } = this.#deps;
    if (this.#abort.signal.aborted) return;
    if (this.#origin === was) {
      const ownSeq = seqOf((await engine.replicaState.tick()).vector, was);
      const count = ownSeq - knownSeq;
      if (count > 0)
        return this.#refuse(
          'fenced',
          `it was removed from the cluster, and ${by} lacks its last ${count} ops: copy out what only this site has, then start it with an empty data directory`,
        );
      await this.#parts.close();
      // What it writes next must come behind all that the others removed meanwhile: some of it they may have forgotten.
      await directory.renew(ownSeq, vector);
    }
    await this.#goOn(was);
  }

  /** `undefined` when the site closes before there is one. */
  async #verdict(): Promise<Verdict | undefined> {
    if (this.#abort.signal.aborted) return undefined;
    await this.#deps.engine.replicaState.tick(); // behind it nothing is written any more
    const made = this.#deps.prover();
    this.#decided = Promise.withResolvers();
    this.#prover = made.part;
    this.#parts = this.#lifecycle(made);
    await this.#parts.open();
    return Promise.race([made.part.verdict(), this.#decided.promise, whenAborted(this.#abort.signal)]);
  }

  /** Under its old name nothing of this may go out, and under a new one neither: others would never learn of it. */
  async #stand(was: Origin, { by, knownSeq, sharedSeq }: Diverged): Promise<void> {
    const { engine, logger } = this.#deps;
    const ownSeq = seqOf(await engine.vector(), was);
    const onlyHere = await opsOnlyHere(engine.replica, was, sharedSeq ?? 0);
    const shared = sharedSeq === undefined ? {} : { sharedSeq };
    this.#fenced = { by, ownSeq, knownSeq, diverged: true, onlyHere, ...shared };
    this.#refuse('fenced', reasonOf(this.#fenced));
    logger.error({ ...this.#fenced }, 'this site wrote on after it was restored or cloned: see docs/operations.md');
  }

  async #goOn(was: Origin): Promise<void> {
    const { directory, engine, logger } = this.#deps;
    if (this.#abort.signal.aborted) return;
    await this.#parts.close(); // of an attempt that failed
    engine.adopt(directory.incarnation);
    this.#past.look();
    await this.#past.settled();
    [this.#replication, this.#parts] = this.#begin();
    await this.#parts.open();
    this.#fenced = undefined;
    this.#refuse('fenced', undefined);
    logger.warn({ was, incarnation: directory.incarnation }, 'this site goes on as a new origin');
  }
}

type Diverged = Extract<Verdict, { readonly kind: 'diverged' }>;

function whenAborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    else signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
}

async function opsOnlyHere(
  replica: Pick<Engine['replica'], 'cut' | 'opsAfter'>,
  origin: Origin,
  after: number,
): Promise<NonNullable<Fenced['onlyHere']>> {
  const { vector } = await replica.cut();
  const ops = seqOf(vector, origin) - after;
  const names = new Set<string>();
  for (let at = after; names.size < NAMES_MAX && at < seqOf(vector, origin);) {
    const page = await replica.opsAfter({ ...vector, [origin]: at }, { maxOps: NAMES_MAX, maxBytes: NAMES_MAX_BYTES });
    const own = page.kind === 'gap' ? [] : page.ops.filter(({ op }) => op.dot.origin === origin);
    for (const { op } of own) if (names.size < NAMES_MAX) names.add(nameOf(op));
    at = own.at(-1)?.op.dot.seq ?? seqOf(vector, origin);
  }
  return { ops, names: [...names] };
}

function nameOf({ body }: Op): string {
  const { bucket, key, id, type } = body as { bucket?: string; key?: string; id?: string; type: string };
  if (bucket !== undefined) return key === undefined ? bucket : `${bucket}/${key}`;
  return `${type} ${id ?? ''}`.trimEnd();
}

function reasonOf({ by, ownSeq, knownSeq, diverged }: Fenced): string {
  if (diverged)
    return `site ${by} has another op ${knownSeq} of this site than this site itself: see "skerry repl-status"`;
  return `site ${by} knows ${knownSeq} ops of this site, here are ${ownSeq}: it was restored from a backup`;
}
