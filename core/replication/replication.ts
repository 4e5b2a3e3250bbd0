/**
 * Replication of one site over a transport: answers its peers, pulls from those that it is told of, pushes to those that do
 * not come by themselves, and brings bytes. Reads and changes the site through the Replica port alone.
 */
import {
  SkerryError,
  type BootstrapStatus,
  type Clock,
  type Evicted,
  type Fenced,
  type Integrity,
  type Lifecycle,
  type Logger,
  type PeerAddress,
  type PeerIdentity,
  type Origin,
  type PulledOnce,
  type PushedOnce,
  type Quarantined,
  type Random,
  type ServeCall,
  type ReplicationStatus,
  type SiteId,
  type Timers,
  type Transport,
  type VersionVector,
} from '../contracts/index.ts';
import type { Auditor } from '../engine/auditor.ts';
import type { WantedBytes } from '../engine/healing.ts';
import { hlcWallMs } from '../engine/hlc.ts';
import type { Replica } from '../engine/replica.ts';
import { stampHlc } from '../engine/stamp.ts';
import { Bootstrap, describe } from './bootstrap.ts';
import { Callers } from './callers.ts';
import type { DigestPeer } from './digest-source.ts';
import type { EvictedFact, FencedFact, Handshake, OnFact, ReplicationFact } from './facts.ts';
import { Fetcher } from './fetcher.ts';
import { createInbox } from './inbox.ts';
import { Membership } from './membership.ts';
import { Joining } from './joining.ts';
import type { Kept } from './kept.ts';
import { LeaseKeeper } from './lease-keeper.ts';
import { DEFAULT_OPTIONS, type ReplicationOptions } from './options.ts';
import { Peer } from './peer.ts';
import { unknownPeer, type PeerView } from './peer-view.ts';
import type { SiteReport } from './protocol.ts';
import { RootCheck } from './root-check.ts';
import { Server } from './server.ts';
import type { SiteContext } from './site-context.ts';
import type { Frontier } from './stability.ts';
import type { ReplicationState } from './state.ts';
import { heldBack, lacking, PENDING_COUNT_MAX, peerStatus, pendingStatus } from './status.ts';
import type { DigestPeers } from './validator.ts';
import { Wakeup } from './wakeup.ts';
import { createWatermarks } from './watermarks.ts';

const TOLD_ONCE: ReadonlySet<ReplicationFact['kind']> = new Set([
  'duplicate-site',
  'must-bootstrap',
  'bootstrap-standoff',
]);
/** Facts remembered as told. */
const FACTS_MAX = 1000;

export interface ReplicationPorts {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
}

export interface ReplicationDeps {
  readonly replica: Replica;
  /** Open before `open`, closed after `close`, by its owner. */
  readonly transport: Transport;
  readonly self: PeerIdentity;
  /** Peers to call. A peer that cannot be called but calls here needs no entry. */
  readonly peers: readonly PeerAddress[];
  readonly ports: ReplicationPorts;
  readonly state: ReplicationState;
  /** Snapshots and leases; without them peers get ops alone. */
  readonly kept?: Kept;
  /** Its digest; without one nothing is compared with peers. */
  readonly auditor?: Auditor;
  readonly options?: Partial<ReplicationOptions>;
  /** Must not throw. A fact that goes on is told once. */
  readonly onFact: OnFact;
  /** Must not throw. */
  readonly onHandshake?: (handshake: Handshake) => void;
}

export interface Replication extends Lifecycle, DigestPeers {
  /** Call it at every commit: those who wait for ops hear at once. Cheap; before `open` and after `close` nothing happens. */
  wake(): void;
  /** Every configured peer was asked who it is, whatever came of it. */
  greeted(): Promise<void>;
  status(): Promise<ReplicationStatus>;
  /** Everything that the peer has now, and what bytes can be had. `NotFound` for a site that is no peer. Fails as the calls fail. */
  pullOnce(peer: SiteId): Promise<PulledOnce>;
  /** Everything that the peer lacks and takes now; how many ops that was. */
  pushOnce(peer: SiteId): Promise<PushedOnce>;
  /** A chunk that a reader waits for, before all others: true once it is here; false when no peer within reach has it. */
  fetchChunk(chunk: WantedBytes): Promise<boolean>;
  /**
   * Begins to take a snapshot of a peer, of the one that has most without a name, and resolves when it is open; how it goes is in
   * `status`. `NotFound` for a site that is no peer, `Conflict` while one is being taken, `Unavailable` when none can be had.
   */
  bootstrapFrom(peer?: SiteId): Promise<BootstrapStatus>;
  /** For an empty site: resolves when it has what its peers had, or none is within reach, or `signal` aborts. */
  joined(signal: AbortSignal): Promise<void>;
  /** While `joined` is pending: what for. */
  joining(): string | undefined;
  /**
   * An operator lets in what is held back of an origin: what is stamped up to there is no longer too far ahead, for this site; what was
   * refused or waits is tried again. `NotFound` when nothing of the origin is held.
   */
  release(origin: Origin): Promise<Quarantined>;
  /** What is stable (rule 14); `undefined` while nothing is known to be. */
  frontier(): Promise<Frontier | undefined>;
}

export function createReplication(deps: ReplicationDeps): Replication {
  return new SiteReplication(deps);
}

class SiteReplication implements Replication {
  readonly #deps: ReplicationDeps;
  readonly #site: SiteContext;
  readonly #commits: Wakeup;
  readonly #bootstrap: Bootstrap;
  readonly #rootCheck: RootCheck;
  readonly #abort = new AbortController();
  readonly #told = new Set<string>();
  readonly #peers = new Map<SiteId, Peer>();
  #addresses: readonly string[] = [];
  #fenced: FencedFact | undefined;
  #evicted: EvictedFact | undefined;
  #isOpen = false;
  readonly #session: string;
  #closing: Promise<void> | undefined;

  constructor(deps: ReplicationDeps) {
    this.#deps = deps;
    this.#session = deps.ports.random.hex(8);
    this.#commits = new Wakeup(deps.ports.timers);
    this.#site = this.#context({ ...DEFAULT_OPTIONS, ...deps.options });
    this.#bootstrap = new Bootstrap(this.#site);
    this.#rootCheck = new RootCheck(this.#site);
  }

  async open(): Promise<void> {
    const { transport, self, peers } = this.#deps;
    await this.#site.watermarks.open();
    await this.#site.membership.join();
    this.#isOpen = true;
    const server = new Server(this.#site, this.#bootstrap);
    const serve: ServeCall = (call) => server.serve(call);
    this.#addresses = await transport.listen(self, serve);
    this.#site.fetcher.open();
    for (const address of peers) {
      const peer = new Peer({ site: this.#site, bootstrap: this.#bootstrap, serve }, transport, address);
      this.#peers.set(address.site, peer);
      peer.open();
    }
    this.#rootCheck.open(() => this.#peers.values());
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  wake(): void {
    this.#commits.notify();
    if (this.#isOpen && !this.#abort.signal.aborted) this.#site.membership.joinSoon();
  }

  async greeted(): Promise<void> {
    await Promise.all([...this.#peers.values()].map((peer) => peer.attempted()));
  }

  peerSites(): readonly SiteId[] {
    return [...this.#peers.keys()];
  }

  async askDigests(name: SiteId, signal: AbortSignal): Promise<DigestPeer> {
    return this.#peer(name).digests(signal);
  }

  fetchChunk(chunk: WantedBytes): Promise<boolean> {
    return this.#site.fetcher.fetchNow(chunk);
  }

  frontier(): Promise<Frontier | undefined> {
    return this.#site.watermarks.frontier();
  }

  async pullOnce(name: SiteId): Promise<PulledOnce> {
    const { applied } = await this.#peer(name).pullOnce();
    const pending = await this.#deps.replica.pending(PENDING_COUNT_MAX);
    return { applied, pendingVersions: pending.length };
  }

  async pushOnce(name: SiteId): Promise<PushedOnce> {
    return { pushed: await this.#peer(name).pushOnce() };
  }

  async bootstrapFrom(name?: SiteId): Promise<BootstrapStatus> {
    await (name === undefined ? this.#fullest() : this.#peer(name)).bootstrap();
    return this.#bootstrap.status() as BootstrapStatus;
  }

  joined(signal: AbortSignal): Promise<void> {
    return this.#site.joining.wait(this.#peers.size, AbortSignal.any([signal, this.#abort.signal]));
  }

  joining(): string | undefined {
    const { joining } = this.#site;
    if (!joining.isWaiting()) return undefined;
    const bootstrap = this.#bootstrap.status();
    return bootstrap === undefined ? joining.reason() : `${joining.reason()}: ${describe(bootstrap)}`;
  }

  async release(origin: Origin): Promise<Quarantined> {
    const { inbox, options, replica } = this.#site;
    const { vector } = await replica.cut();
    const held = this.#quarantine(vector).find((one) => one.origin === origin);
    if (held === undefined) throw new SkerryError('NotFound', `no ops of ${origin} are held back`);
    if (held.reason === 'clock')
      await this.#deps.state.letIn(hlcWallMs(stampHlc(held.stamp)) + options.maxClockDriftMs);
    inbox.retry(origin);
    return held;
  }

  async status(): Promise<ReplicationStatus> {
    const { replica, self, ports } = this.#deps;
    const { hlc, vector } = await replica.cut();
    const stable = await this.frontier();
    const bootstrap = this.#bootstrap.status();
    const fetched = this.#site.fetcher.counters();
    const { pending, bytesBySite } = await pendingStatus(replica, ports.clock);
    const { leases, callers } = this.#site;
    const own = { hlc, vector, chunkBytes: fetched.fetchedBytesBySite, bytesBySite, leases, callers, ...ports };
    return {
      site: self.site,
      origin: self.origin,
      vector,
      addresses: this.#addresses,
      peers: this.#views().map((view) => peerStatus(view, own)),
      ...(bootstrap === undefined ? {} : { bootstrap }),
      quarantine: this.#quarantine(vector),
      pending,
      fetch: fetched,
      integrity: this.#integrity(),
      ...(this.#fenced === undefined ? {} : { fenced: fencedOf(this.#fenced) }),
      ...(this.#evicted === undefined ? {} : { evicted: evictedOf(this.#evicted) }),
      ...(stable === undefined ? {} : { stable }),
    };
  }

  #views(): readonly PeerView[] {
    return [...this.#peers.values()].map(({ view }) => view);
  }

  #quarantine(own: VersionVector): readonly Quarantined[] {
    return heldBack(this.#site.inbox.quarantine(), own, this.#views());
  }

  #integrity(): Integrity {
    const { damaged, repaired } = this.#deps.auditor?.damage() ?? { damaged: 0, repaired: 0 };
    return { peers: this.#rootCheck.status(), damagedChunks: damaged, repairedChunks: repaired };
  }

  async #close(): Promise<void> {
    this.#abort.abort();
    this.#commits.notify();
    this.#site.fetcher.wantsChanged.notify();
    await Promise.all([...this.#peers.values()].map((peer) => peer.close()));
    await this.#site.fetcher.close();
    await this.#rootCheck.close();
  }

  #peer(name: SiteId): Peer {
    const peer = this.#peers.get(name);
    if (this.#abort.signal.aborted) throw new SkerryError('Closed', 'replication of this site has stopped');
    if (peer === undefined) throw unknownPeer(name, this.peerSites());
    return peer;
  }

  #fullest(): Peer {
    const within = [...this.#peers.values()].filter(({ view }) => this.#site.joining.isReached(view.site));
    const size = ({ view }: Peer): number => lacking({}, view.vector);
    const [fullest] = within.toSorted((a, b) => size(b) - size(a));
    if (fullest === undefined) throw new SkerryError('Unavailable', 'no peer of this site is within reach');
    return fullest;
  }

  /** Goes on being refused, so that a peer is found that knows more of our ops. */
  #evict(fact: EvictedFact): void {
    const { ownSeq, knownSeq } = fact;
    if (this.#evicted?.ownSeq === ownSeq && this.#evicted.knownSeq >= knownSeq) return;
    this.#evicted = fact;
    this.#tell(fact);
  }

  /** Stands still, both ways; the owner starts anew with another incarnation. */
  #fence(fact: FencedFact): void {
    if (this.#fenced !== undefined) return;
    this.#fenced = fact;
    this.#tell(fact);
    this.#deps.ports.logger.error(fact, 'this site was restored or cloned: replication stands still');
    this.close().catch((error: unknown) => this.#deps.ports.logger.error({ err: error }, 'stopping failed'));
  }

  #tell(fact: ReplicationFact): void {
    if (TOLD_ONCE.has(fact.kind)) {
      const key = JSON.stringify(fact);
      if (this.#told.has(key)) return;
      if (this.#told.size >= FACTS_MAX) this.#told.clear();
      this.#told.add(key);
    }
    this.#deps.onFact(fact);
  }

  #context(options: ReplicationOptions): SiteContext {
    const { replica, self, ports, state, kept, auditor } = this.#deps;
    const { clock, logger } = ports;
    const { maxClockDriftMs } = options;
    const peers = this.#deps.peers.map(({ site }) => site);
    const watermarks = createWatermarks({ replica, state, clock, logger, maxClockDriftMs, peers });
    const onFact: OnFact = (fact) => this.#tell(fact);
    const fence = (fact: FencedFact): void => this.#fence(fact);
    const fetcher = new Fetcher({ replica, ...ports, options });
    const inbox = createInbox({
      ...options,
      replica,
      clock,
      logger,
      onFact,
      onApplied: (ops) => {
        this.#commits.notify();
        fetcher.applied(ops);
      },
      onOwnOps: ({ from, ownSeq, knownSeq }) => fence({ kind: 'fenced', by: from, ownSeq, knownSeq, diverged: false }),
    });
    const { joinWaitMs } = options;
    return {
      ...ports,
      self,
      replica,
      state,
      kept,
      auditor,
      leases: new LeaseKeeper({ leases: kept?.leases, clock, logger, leaseTtlMs: lastingTtlMs(options) }),
      joining: new Joining({ replica, state, inbox, ...ports, joinWaitMs }),
      inbox,
      fetcher,
      options,
      onFact,
      onHandshake: (handshake) => {
        this.#peers.get(handshake.site)?.called();
        this.#deps.onHandshake?.(handshake);
      },
      fence,
      watermarks,
      membership: new Membership({
        self,
        replica,
        state,
        watermarks,
        clock,
        logger,
        options,
        onEvicted: (fact) => this.#evict(fact),
      }),
      callers: new Callers({ self, clock, onFact, callsPerPeer: options.callsPerPeer }),
      commits: this.#commits,
      report: () => this.#report(),
      signal: this.#abort.signal,
    };
  }

  async #report(): Promise<SiteReport> {
    const { replica, self, peers, ports, state } = this.#deps;
    const { vector, hlc } = await replica.cut();
    const firstOpMs = await state.firstOps();
    const [wallMs, session] = [ports.clock.wallMs(), this.#session];
    return { site: self.site, origin: self.origin, vector, hlc, wallMs, session, peers, firstOpMs };
  }
}

const evictedOf = ({ by, ownSeq, knownSeq }: EvictedFact): Evicted => ({ by, ownSeq, knownSeq });
/** A peer whose call stays open for what is new is in touch although nothing is heard of it. */
const lastingTtlMs = ({ leaseTtlMs, longPollMs }: ReplicationOptions): number => Math.max(leaseTtlMs, 2 * longPollMs);

const fencedOf = ({ by, ownSeq, knownSeq, diverged }: FencedFact): Fenced => ({ by, ownSeq, knownSeq, diverged });
