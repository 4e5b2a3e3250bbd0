/**
 * The background check (rule 16): now and then the root of the digest is compared with each connected peer's, at equal vectors. A
 * difference there is damage or a bug, never something under way; `repl-validate` tells which entities differ.
 */
import { isSkerryError, type PeerCheck, type SiteId } from '../contracts/index.ts';
import type { Auditor } from '../engine/auditor.ts';
import { rootOf } from '../engine/digest-tree.ts';
import { coversVector } from '../engine/vector.ts';
import { remoteRoot } from './digest-source.ts';
import type { Peer } from './peer.ts';
import type { SiteContext } from './site-context.ts';
import { lacking } from './status.ts';

/** Looks for a moment at which both have seen the same. */
const TRIES = 10;
const TRY_AGAIN_MS = 1000;

type Found = Omit<PeerCheck, 'atMs' | 'equalAtMs'>;

export class RootCheck {
  readonly #site: SiteContext;
  readonly #auditor: Auditor | undefined;
  readonly #found = new Map<SiteId, PeerCheck>();
  #loop: Promise<void> | undefined;

  constructor(site: SiteContext) {
    this.#site = site;
    this.#auditor = site.auditor;
  }

  open(peers: () => Iterable<Peer>): void {
    if (this.#auditor && this.#site.options.validateIntervalMs > 0) this.#loop = this.#run(this.#auditor, peers);
  }

  /** Once the site's signal has aborted. */
  async close(): Promise<void> {
    await this.#loop;
  }

  status(): Readonly<Record<SiteId, PeerCheck>> {
    return Object.fromEntries(this.#found);
  }

  async #run(auditor: Auditor, peers: () => Iterable<Peer>): Promise<void> {
    const { timers, random, options, signal, logger } = this.#site;
    while (!signal.aborted) {
      try {
        // jitter: the sites of a cluster do not all check at once
        await timers.sleep(options.validateIntervalMs * (0.5 + random.unit() / 2), signal);
        for (const peer of peers()) if (peer.view.state === 'connected') await this.#check(auditor, peer);
      } catch (error) {
        if (!signal.aborted) logger.error({ err: error }, 'the background check failed');
      }
    }
  }

  async #check(auditor: Auditor, peer: Peer): Promise<void> {
    const { clock, logger, signal } = this.#site;
    const { site } = peer.view;
    const found = await this.#compare(auditor, peer).catch((error: unknown): Found => {
      if (!isSkerryError(error)) throw error;
      return { outcome: 'failed', error: error.message };
    });
    if (signal.aborted) return;
    const before = this.#found.get(site);
    const atMs = clock.wallMs();
    const equalAtMs = found.outcome === 'equal' ? atMs : before?.equalAtMs;
    this.#found.set(site, { ...found, atMs, ...(equalAtMs === undefined ? {} : { equalAtMs }) });
    if (found.outcome === 'different')
      logger.error({ peer: site }, 'a peer that has seen the same ops holds another state: run repl-validate');
    else if (found.outcome === 'failed')
      logger.warn({ peer: site, reason: found.error }, 'a peer could not be checked');
  }

  async #compare(auditor: Auditor, peer: Peer): Promise<Found> {
    const { timers, signal } = this.#site;
    const asked = await peer.digests(signal);
    for (let tries = 1; ; tries++) {
      const theirs = await remoteRoot(asked);
      const ours = await auditor.digest();
      if (coversVector(ours.vector, theirs.vector) && coversVector(theirs.vector, ours.vector))
        return { outcome: rootOf(ours.leaves) === theirs.root ? 'equal' : 'different' };
      const [opsBehind, opsAhead] = [lacking(ours.vector, theirs.vector), lacking(theirs.vector, ours.vector)];
      if (tries === TRIES) return { outcome: 'busy', opsBehind, opsAhead };
      await timers.sleep(TRY_AGAIN_MS, signal);
    }
  }
}
