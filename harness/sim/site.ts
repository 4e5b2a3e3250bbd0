/**
 * A simulated site: disks that outlive its boots, clocks, and a process that starts, crashes and starts again. What runs on it is
 * given by an adapter, so that one world judges a single engine, a relay of ops, and the replicating site alike.
 */
import type {
  ChunkStore,
  Incarnation,
  MetaStore,
  ObjectService,
  PeerAddress,
  PluginDeps,
  SiteId,
  Transport,
} from '../../core/contracts/index.ts';
import type { Identities, Work } from '../workload/client.ts';
import type { Auditor } from '../../core/engine/auditor.ts';
import type { DataDirectory } from '../../core/kernel/data-directory.ts';
import { createChunkImage, type ChunkImage, type ChunkStoreMake } from './chunk-image.ts';
import { SimClock, type SimClockOptions } from './clock.ts';
import { DiskFaults, type CrashPoint } from './disk-faults.ts';
import { SimDisk } from './disk.ts';
import { SimIdentity } from './identity.ts';
import { Lane } from './lane.ts';
import { MetaImage, type MetaShelf, type MetaStoreMake, type OnCommit } from './meta-image.ts';
import type { Network } from './network.ts';
import { Draw } from './random.ts';
import { simRuntime, type LogLine } from './runtime.ts';
import type { Scheduler } from './scheduler.ts';
import { SiteRecord, type KnownOps, type Watcher } from './site-record.ts';
import { SimTransport } from './transport.ts';

/** What a site is built of, for one boot. All ports die with the boot. */
export interface SitePorts extends PluginDeps {
  readonly incarnation: Incarnation;
  /** Who the site is, durably. */
  readonly directory: DataDirectory;
  readonly metaStore: MetaStore;
  readonly chunkStore: ChunkStore;
  /** Each opens once; the adapter opens and closes it. */
  readonly makeTransport: () => Transport;
  /** Little is kept for peers, so that who was away has to take a snapshot. */
  readonly keepsLittle: boolean;
  /** Who this site dials. */
  readonly peers: readonly PeerAddress[];
}

/** What the world asks of a running site. */
export interface RunningSite {
  readonly objects: ObjectService;
  readonly identities: Identities;
  /** Finds and replaces damaged bytes. */
  readonly auditor: Pick<Auditor, 'verifyBytes' | 'damage'>;
  /** Collects garbage now; resolves when nothing more can go. */
  collectGarbage(): Promise<void>;
  /** Clean stop. The stores are closed by the world. */
  close(): Promise<void>;
}

/** How to start what is under test. Rejects when it refuses to start. */
export interface SiteAdapter {
  readonly name: string;
  start(ports: SitePorts): Promise<RunningSite>;
  /** Sites exchange ops, so all of them must come to one state. */
  readonly replicates: boolean;
  /** The real protocol: what others cannot come for is pushed, and what arrives is checked. */
  readonly speaksProtocol: boolean;
  /** A site fetches the bytes of versions that it did not write. */
  readonly movesBytes: boolean;
  /** Sites may be wiped, restored from backups and cloned, and catch up. */
  readonly recovers: boolean;
}

export interface SiteSetup {
  readonly name: SiteId;
  readonly chunkStore: ChunkStoreMake;
  readonly metaStore: MetaStoreMake;
  readonly clock: SimClockOptions;
  readonly keepsLittle: boolean;
}

export interface SiteWorld {
  readonly seed: number;
  readonly scheduler: Scheduler;
  readonly network: Network;
  readonly adapter: SiteAdapter;
  readonly watcher: Watcher;
  readonly log: (line: LogLine) => void;
  readonly known: KnownOps;
  readonly sqlite: MetaShelf;
}

interface Disks {
  readonly meta: MetaImage;
  readonly chunks: ChunkImage;
  readonly record: SiteRecord;
}

interface Backup {
  readonly meta: MetaImage;
  readonly chunks: ChunkImage;
  readonly identify: () => void;
  readonly recorded: () => SiteRecord;
}

interface Boot {
  readonly lane: Lane;
  readonly metaStore: MetaStore;
  readonly chunkStore: ChunkStore;
  readonly running: Promise<RunningSite>;
}

export class SimSite {
  readonly name: SiteId;
  readonly clock: SimClock;
  readonly faults: DiskFaults;
  /** Hosts that this site dials, set by the world. */
  peers: readonly PeerAddress[] = [];
  /** Unsynced records survive a crash with this probability. */
  survival = 0.5;
  /** Called when the site has crashed at a point that was armed. */
  onCrashPoint: (point: CrashPoint) => void = () => {};
  /** Boots so far. */
  boots = 0;
  /** When the last boot began, and when it served; virtual milliseconds. */
  startedMs = 0;
  servesSinceMs: number | undefined;
  isStopping = false;
  /** Times that its disks were set back. */
  restores = 0;
  /** Power cuts so far; a clean stop is none. */
  crashes = 0;
  readonly #world: SiteWorld;
  readonly #setup: SiteSetup;
  #disks: Disks | undefined;
  #backup: Backup | undefined;
  readonly #identity: SimIdentity;
  #boot: Boot | undefined;

  constructor(world: SiteWorld, setup: SiteSetup, identity = new SimIdentity(world.seed, setup.name)) {
    this.#world = world;
    this.#setup = setup;
    this.#identity = identity;
    this.name = setup.name;
    this.clock = new SimClock(() => world.scheduler.nowMs, setup.clock);
    const chance = new Draw(world.seed, `${setup.name} disk faults`);
    this.faults = new DiskFaults(
      () => chance.unit(),
      (point) => {
        this.crash();
        this.onCrashPoint(point);
      },
    );
  }

  get keepsLittle(): boolean {
    return this.#setup.keepsLittle;
  }

  get isUp(): boolean {
    return this.#boot !== undefined;
  }

  get incarnation(): Incarnation {
    return this.#identity.incarnation;
  }

  /** What was seen on its disk so far. */
  get record(): SiteRecord {
    return this.#requireDisks().record;
  }

  get meta(): MetaImage {
    return this.#requireDisks().meta;
  }

  get chunks(): ChunkImage {
    return this.#requireDisks().chunks;
  }

  /** Begins a boot; `running` tells when it serves. */
  async start(): Promise<void> {
    if (this.#boot !== undefined) return;
    const disks = (this.#disks ??= await this.#freshDisks());
    this.boots++;
    this.startedMs = this.#world.scheduler.nowMs;
    this.servesSinceMs = undefined;
    const lane = new Lane(`${this.name}/${this.boots}`, this.#world.scheduler);
    const draw = new Draw(this.#world.seed, `${lane.name} stores`);
    const files = new SimDisk({ random: () => draw.unit(), nowMs: () => this.clock.wallMs() });
    const runtime = simRuntime({
      lane,
      clock: this.clock,
      draw: new Draw(this.#world.seed, `${lane.name} chance`),
      files,
      log: this.#world.log,
    });
    const directory = this.#identity.directory(lane);
    const deps: PluginDeps = { ...runtime, siteId: directory.site, dataDir: 'data' };
    const storeBoot = { lane, draw, faults: this.faults };
    const metaStore = await disks.meta.boot(storeBoot);
    const chunkStore = disks.chunks.boot(storeBoot, deps);
    const ports: SitePorts = {
      ...deps,
      incarnation: this.incarnation,
      directory,
      metaStore,
      chunkStore,
      makeTransport: () => new SimTransport(this.#world.network, this.name, lane),
      keepsLittle: this.#setup.keepsLittle,
      peers: this.peers,
    };
    const running = this.#run(ports);
    running.catch((error: unknown) => {
      if (lane.alive) this.#world.watcher.onStartFailure(this, error);
    });
    this.#boot = { lane, metaStore, chunkStore, running };
  }

  /** Power off: whatever runs stops here, unsynced records are lost by chance. */
  crash(): void {
    const boot = this.#boot;
    if (boot === undefined) return;
    this.#boot = undefined;
    this.crashes++;
    boot.lane.end();
    this.#requireDisks().chunks.crash(this.survival);
  }

  /** Clean stop; resolves in virtual time. A site that cannot stop cleanly is switched off. */
  async stop(): Promise<void> {
    const boot = this.#boot;
    if (boot === undefined) return;
    const stopped = shutDown(boot).then(
      () => true,
      () => false,
    );
    // a crash may come first: then the stop never ends
    this.isStopping = true;
    const isClean = await Promise.race([stopped, boot.lane.ended.then(() => false)]);
    this.isStopping = false;
    if (this.#boot !== boot) return;
    if (!isClean) return this.crash();
    this.#boot = undefined;
    boot.lane.end();
  }

  /** Everything on its disks is gone; the next boot is another incarnation. */
  async wipe(): Promise<void> {
    this.crash();
    this.#disks = await this.#freshDisks();
    this.#identity.forget();
  }

  /** A snapshot of all its disks. False where there is none to be had. */
  async backUp(): Promise<boolean> {
    const { meta, chunks, record } = this.#requireDisks();
    const copied = chunks.copy();
    if (copied === undefined) return false;
    const frozen = await meta.copy(async () => {});
    const [ops, clock, identify] = [record.ops.length, record.clock, this.#identity.saved()];
    this.#backup = { meta: frozen, chunks: copied, identify, recorded: () => record.copy(ops, clock) };
    return true;
  }

  get hasBackup(): boolean {
    return this.#backup !== undefined;
  }

  /** Its disks are again what they were. `isNoticed`: the next start sees that they are a copy. */
  async restore(isNoticed: boolean): Promise<void> {
    if (this.#backup === undefined) throw new Error(`${this.name} has no backup`);
    const { meta, chunks, identify, recorded } = this.#backup;
    this.crash();
    const copied = chunks.copy();
    if (copied === undefined) throw new Error('a backup that cannot be copied');
    const record = recorded();
    const onCommit: OnCommit = (writes) => record.commit(writes, this.#world.scheduler.nowMs);
    this.#disks = { meta: await meta.copy(onCommit), chunks: copied, record };
    this.restores++;
    identify();
    if (isNoticed) this.#identity.copied();
  }

  /**
   * Another site from copies of its disks as they are now, under the same id and at a host of its own, which calls whom this one calls.
   * `isNoticed`: its first start sees that they are a copy. `undefined` where there are none to be had.
   */
  async clone(isNoticed: boolean): Promise<SimSite | undefined> {
    const { meta, chunks, record } = this.#requireDisks();
    const copied = chunks.copy();
    if (copied === undefined) return undefined;
    const name = `${this.name}~`;
    const clone = new SimSite(this.#world, { ...this.#setup, name }, this.#identity.clone(name));
    const ownRecord = record.copy(undefined, undefined, clone);
    const onCommit: OnCommit = (writes) => ownRecord.commit(writes, this.#world.scheduler.nowMs);
    clone.#disks = { meta: await meta.copy(onCommit), chunks: copied, record: ownRecord };
    clone.peers = this.peers;
    if (isNoticed) clone.#identity.copied();
    return clone;
  }

  /**
   * Calls what runs here. `down`: nobody was there; `lost`: the site crashed under the call, and nobody knows how far it came.
   */
  async call<T>(
    work: Work<T>,
  ): Promise<{ readonly kind: 'done'; readonly value: T } | { readonly kind: 'down' | 'lost' }> {
    const boot = this.#boot;
    if (boot === undefined) return { kind: 'down' };
    const run = async (): Promise<{ readonly kind: 'done'; readonly value: T }> => {
      const { objects, identities } = await boot.running;
      return { kind: 'done', value: await work(objects, identities) };
    };
    return Promise.race([run(), boot.lane.ended.then(() => ({ kind: 'lost' as const }))]);
  }

  /** As `call`, of the garbage collector. */
  async collectGarbage(): Promise<void> {
    await this.#during((running) => running.collectGarbage());
  }

  /** As `call`, of its auditor; `undefined` when nobody was there, or is any more. */
  audit<T>(work: (auditor: RunningSite['auditor']) => Promise<T>): Promise<T | undefined> {
    return this.#during(({ auditor }) => work(auditor));
  }

  async #during<T>(work: (running: RunningSite) => Promise<T>): Promise<T | undefined> {
    const boot = this.#boot;
    if (boot === undefined) return undefined;
    return Promise.race([boot.running.then(work), boot.lane.ended.then(() => undefined)]);
  }

  async #run(ports: SitePorts): Promise<RunningSite> {
    await ports.metaStore.open();
    await ports.chunkStore.open();
    const running = await this.#world.adapter.start(ports);
    this.servesSinceMs = this.#world.scheduler.nowMs;
    return running;
  }

  async #freshDisks(): Promise<Disks> {
    const record = new SiteRecord(this, this.#world.watcher, this.#world.known);
    const onCommit: OnCommit = (writes) => record.commit(writes, this.#world.scheduler.nowMs);
    const meta = await MetaImage.create(this.#setup.metaStore, this.#world.sqlite, onCommit);
    const draw = new Draw(this.#world.seed, `${this.name} chunk losses ${this.incarnation}`);
    return { meta, chunks: await createChunkImage(this.#setup.chunkStore, draw), record };
  }

  #requireDisks(): Disks {
    if (this.#disks === undefined) throw new Error(`${this.name} was never started`);
    return this.#disks;
  }
}

async function shutDown({ running, chunkStore, metaStore }: Boot): Promise<void> {
  await (await running).close();
  await chunkStore.close();
  await metaStore.close();
}
