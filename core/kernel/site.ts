/** One site: from a checked configuration to a running store and back. Any number of sites may live in one process. */
import {
  SkerryError,
  type AdminService,
  type Auth,
  type Health,
  type IdentityDirectory,
  type ObjectService,
  type Runtime,
  type SiteHooks,
  type SiteStatus,
} from '../contracts/index.ts';
import type { LoadedConfig } from './config/types.ts';
import { createHealth, type PhaseHealth } from './health.ts';
import { createHooks, type HookSet } from './hooks.ts';
import { createLogger } from './logger.ts';
import { createNodeRuntime } from './runtime/index.ts';
import { nodeHost, type Host } from './runtime/lock.ts';
import { prepareSite, type OpenSite } from './open-site.ts';
import type { RootCredentials } from './seed.ts';
import { siteStatus } from './status.ts';

export interface SiteOptions {
  /** The outside world; Node's own by default. Whoever gives one closes it. */
  readonly runtime?: Runtime;
  /** The process; Node's own by default. */
  readonly host?: Host;
  /** `false` opens the stores without listening anywhere: administration of a site that is not running. */
  readonly gateways?: boolean;
}

/** What a running site offers inside its process: the same objects that its gateways call. */
export interface SiteServices {
  readonly objects: ObjectService;
  readonly admin: AdminService;
  readonly auth: Auth;
  readonly identities: IdentityDirectory;
}

export interface Site {
  readonly health: Health;
  /** Tap before `start`; sealed by it. */
  readonly hooks: SiteHooks;
  /**
   * At most once. Ready when it resolves: an empty site with peers waits for what they have, and answers on its addresses
   * meanwhile. A rejection leaves nothing open. `Locked`, `InvalidConfig`, or what a plugin rejected with.
   */
  start(): Promise<void>;
  /**
   * Lets running requests finish for `graceMs` (default `shutdown.graceMs`), then closes everything in reverse order. Idempotent; calls
   * share one run. Rejects with every failure, after all was closed.
   */
  stop(options?: { readonly graceMs?: number }): Promise<void>;
  /** Settles as `stop` does, whoever called it; pending while the site runs. */
  whenStopped(): Promise<void>;
  /** URLs of all gateways; empty unless started. */
  addresses(): readonly string[];
  /** Credentials of the first start, while they are in use. */
  rootCredentials(): RootCredentials | undefined;
  status(): Promise<SiteStatus>;
  /** Throws `Closed` unless the site is started. */
  services(): SiteServices;
}

/** Constructs only: no I/O before `start`. */
export function createSite(loaded: LoadedConfig, options: SiteOptions = {}): Site {
  return new ConfiguredSite(loaded, options);
}

class ConfiguredSite implements Site {
  readonly health: PhaseHealth = createHealth();
  readonly #loaded: LoadedConfig;
  readonly #host: Host;
  readonly #withGateways: boolean;
  readonly #runtime: Runtime;
  readonly #closeRuntime: () => Promise<void>;
  readonly #hooks: HookSet;
  readonly #stopped = Promise.withResolvers<void>();
  readonly #stopRequested = new AbortController();
  #open: OpenSite | undefined;
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;

  constructor(loaded: LoadedConfig, { runtime, host = nodeHost, gateways = true }: SiteOptions) {
    const own = runtime === undefined ? createNodeRuntime(createLogger(loaded.config.log)) : undefined;
    this.#loaded = loaded;
    this.#host = host;
    this.#withGateways = gateways;
    this.#runtime = (runtime ?? own?.runtime) as Runtime;
    this.#closeRuntime = async () => own?.close();
    this.#hooks = createHooks(this.#runtime.logger);
    this.#stopped.promise.catch(() => undefined); // for those who do not ask: `stop` and `whenStopped` hand the failure out
  }

  get hooks(): SiteHooks {
    return this.#hooks.facade;
  }

  async start(): Promise<void> {
    if (this.#starting !== undefined || this.#stopping !== undefined)
      throw new SkerryError('Closed', 'a site starts once');
    this.#starting = this.#start();
    return this.#starting;
  }

  stop({ graceMs = this.#loaded.config.shutdown.graceMs }: { readonly graceMs?: number } = {}): Promise<void> {
    if (this.#stopping === undefined) {
      this.#stopRequested.abort();
      this.#stopping = this.#stop(graceMs);
      this.#stopping.then(this.#stopped.resolve, this.#stopped.reject);
    }
    return this.#stopping;
  }

  whenStopped(): Promise<void> {
    return this.#stopped.promise;
  }

  addresses(): readonly string[] {
    return this.#open?.graph.gateways.flatMap(({ gateway }) => gateway.addresses()) ?? [];
  }

  rootCredentials(): RootCredentials | undefined {
    return this.#open?.root;
  }

  async status(): Promise<SiteStatus> {
    const { directory, graph, startedAtMs } = this.#current();
    const { health } = this;
    return siteStatus({
      loaded: this.#loaded,
      directory,
      graph,
      health,
      host: this.#host,
      startedAtMs,
      addresses: this.addresses(),
    });
  }

  services(): SiteServices {
    const { engine, admin, auth } = this.#current().graph;
    return { objects: engine.objects, admin, auth, identities: engine.identities };
  }

  #current(): OpenSite {
    if (this.#open === undefined) throw new SkerryError('Closed', this.health.ready().reason ?? 'the site is not open');
    return this.#open;
  }

  async #start(): Promise<void> {
    const { health } = this;
    health.enter('starting');
    try {
      const site = await prepareSite({
        loaded: this.#loaded,
        runtime: this.#runtime,
        host: this.#host,
        hooks: this.#hooks,
        health,
        status: async () => this.status(),
        requestStop: () => this.#runtime.timers.soon(() => void this.stop().catch(() => undefined)), // whenStopped has the failure
        withGateways: this.#withGateways,
      });
      this.#open = site;
      await site.open();
      health.explain(() => site.graph.replication?.joining());
      health.explainWrites(() => site.graph.engine.keeping.refusal());
      await this.#joined(site);
    } catch (error) {
      this.#open = undefined;
      health.enter('failed');
      await this.#closeRuntime();
      throw error;
    }
    this.#hooks.seal();
    health.enter('ready');
    this.#runtime.logger.info({ site: this.#open.directory.site, addresses: this.addresses() }, 'ready');
  }

  /** What is open by now is closed again when this fails. */
  async #joined(site: OpenSite): Promise<void> {
    try {
      await site.joined(this.#stopRequested.signal);
    } catch (error) {
      const { logger } = this.#runtime;
      await site.close().catch((err: unknown) => logger.error({ err }, 'closing after a failed start failed too'));
      throw error;
    }
  }

  async #stop(graceMs: number): Promise<void> {
    await this.#starting?.catch(() => undefined); // the caller of `start` has the failure
    const failures = this.#open === undefined ? [] : await this.#shut(this.#open, graceMs);
    await this.#closeRuntime();
    if (failures.length > 0) throw stopFailure(failures);
  }

  async #shut(site: OpenSite, graceMs: number): Promise<readonly unknown[]> {
    const { logger } = this.#runtime;
    this.health.enter('stopping');
    logger.info({ graceMs }, 'stopping');
    const drained = await Promise.allSettled(site.graph.gateways.map(async ({ gateway }) => gateway.drain(graceMs)));
    const closed = await Promise.allSettled([site.close()]);
    this.#open = undefined;
    this.health.enter('stopped');
    const failures = [...drained, ...closed].flatMap((outcome) =>
      outcome.status === 'rejected' ? [outcome.reason as unknown] : [],
    );
    logger.info({ failures: failures.length }, 'stopped');
    return failures;
  }
}

function stopFailure(errors: readonly unknown[]): SkerryError {
  const messages = errors.map((error) => (error instanceof Error ? error.message : String(error)));
  const [first] = errors;
  const code = first instanceof SkerryError ? first.code : 'Internal';
  return new SkerryError(code, messages.join('; '), {
    cause: errors.length === 1 ? first : new AggregateError(errors),
    details: { errors: messages },
  });
}
