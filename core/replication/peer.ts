/**
 * One configured peer: connects, and while a handshake holds pulls, pushes what the peer does not come for, and tells
 * watermarks. Any failure ends the session; the next one begins after a backoff. Other peers never notice.
 */
import {
  isSkerryError,
  type PeerAddress,
  type PeerLink,
  type PeerState,
  type ServeCall,
  type Transport,
} from '../contracts/index.ts';
import type { Bootstrap } from './bootstrap.ts';
import { chunkSource, PeerCalls } from './calls.ts';
import type { DigestPeer } from './digest-source.ts';
import { shakeHands } from './handshake.ts';
import { Backoff, TokenBucket } from './pacing.ts';
import { newPeerView, type PeerView } from './peer-view.ts';
import { pull, type PullOutcome } from './pull.ts';
import { push, pushChunks, type PushCall } from './push.ts';
import type { SiteContext } from './site-context.ts';
import { Wakeup } from './wakeup.ts';
import { lend } from './turned.ts';

/** How long a single push waits for what the peer wants. */
const WANTS_WAIT_MS = 1000;
/** Rounds in which the peer took nothing of what it wants. */
const STUCK_MAX = 3;

export interface PeerParts {
  readonly site: SiteContext;
  readonly bootstrap: Bootstrap;
  /** Answers the peer's calls. */
  readonly serve: ServeCall;
}

export class Peer {
  readonly #site: SiteContext;
  readonly #bootstrap: Bootstrap;
  readonly #serve: ServeCall;
  readonly #link: PeerLink;
  readonly #calls: PeerCalls;
  readonly #bandwidth: TokenBucket;
  readonly #backoff: Backoff;
  readonly #abort = new AbortController();
  readonly view: PeerView;
  readonly #attempted = Promise.withResolvers<void>();
  #loop: Promise<void> | undefined;
  #isInSession = false;
  /** In this session, or the last one. */
  #wasReached = false;
  /** The peer called here. */
  readonly #called: Wakeup;
  /** A snapshot that an operator asked for. */
  #ordered: Promise<void> = Promise.resolve();

  constructor({ site, bootstrap, serve }: PeerParts, transport: Transport, { site: name, url }: PeerAddress) {
    const { timers, options, random } = site;
    const receiving = new TokenBucket(options.receiveBytesPerSecond, site);
    this.#site = site;
    this.#bootstrap = bootstrap;
    this.#serve = serve;
    this.view = newPeerView(name, url);
    this.#link = transport.dial({ site: name, url });
    this.#bandwidth = new TokenBucket(options.sendBytesPerSecond, site);
    this.#backoff = new Backoff(options, random);
    this.#called = new Wakeup(timers);
    this.#calls = new PeerCalls({
      link: this.#link,
      timers,
      callTimeoutMs: options.callTimeoutMs,
      onFrame: (bytes, signal) => receiving.take(bytes, signal),
    });
  }

  open(): void {
    this.#loop = this.#run();
  }

  /** The peer shook hands here, so it may be within reach again: it is not let wait until our own next try. */
  called(): void {
    // Two whose sessions fail after the handshake would wake each other for ever.
    if (!this.#wasReached) this.#called.notify();
  }

  /** The peer was asked who it is, whatever came of it. */
  attempted(): Promise<void> {
    return this.#attempted.promise;
  }

  async close(): Promise<void> {
    this.#abort.abort();
    this.#attempted.resolve();
    await this.#link.close();
    await this.#loop;
    await this.#ordered;
    this.view.state = 'stopped';
  }

  /** Takes everything that the peer has now, and what bytes can be had. */
  async pullOnce(): Promise<PullOutcome> {
    const { pool } = this.#site.fetcher;
    const { signal } = this.#abort;
    const protocol = await shakeHands(this.#site, this.#calls, this.view, signal);
    const source = this.#isInSession ? undefined : chunkSource(this.view.site, this.#calls, protocol);
    if (source !== undefined) pool.connect(source);
    try {
      return await this.#pullAll(protocol, signal);
    } finally {
      if (source !== undefined) pool.disconnect(source);
    }
  }

  async #pullAll(protocol: number, signal: AbortSignal): Promise<PullOutcome> {
    let outcome: PullOutcome;
    let applied = 0;
    do {
      outcome = await pull(this.#site, { calls: this.#calls, view: this.view, protocol, waitMs: 0, signal });
      applied += outcome.applied;
      if (outcome.isGap) await this.#bootstrap.take(this.#pushCall(protocol, signal), 'gap');
    } while (outcome.applied > 0 || outcome.isGap);
    await this.#site.fetcher.drain();
    return { applied, isStuck: outcome.isStuck };
  }

  /** Takes the peer's snapshot because somebody said so. Resolves when it has begun; it goes on with the sessions if it breaks. */
  async bootstrap(): Promise<void> {
    const { signal } = this.#abort;
    const protocol = await shakeHands(this.#site, this.#calls, this.view, signal);
    const { end } = await this.#bootstrap.begin(this.#pushCall(protocol, signal), 'operator');
    this.#ordered = end.catch((error: unknown) =>
      this.#site.logger.warn({ err: error, peer: this.view.site }, 'taking a snapshot broke off; it goes on'),
    );
  }

  /** Its digest, once it answers a handshake. */
  async digests(signal: AbortSignal): Promise<DigestPeer> {
    const protocol = await shakeHands(this.#site, this.#calls, this.view, signal);
    return { calls: this.#calls, protocol, signal };
  }

  /** Brings the peer every op that it lacks and takes now, and the chunks that it then asks for. Ops pushed. */
  async pushOnce(): Promise<number> {
    const { signal } = this.#abort;
    const protocol = await shakeHands(this.#site, this.#calls, this.view, signal);
    const call = this.#pushCall(protocol, signal);
    const { pushed, gap } = await push(this.#site, call);
    if (gap !== undefined) throw gap;
    // The peer asks for bytes once it has looked at the ops; a session may be bringing them at the same time.
    let stuck = 0;
    for (let wanted = true; wanted && stuck < STUCK_MAX;) {
      const outcome = await pushChunks(this.#site, call, WANTS_WAIT_MS);
      wanted = outcome.pushed > 0 || outcome.isStuck;
      stuck = outcome.isStuck ? stuck + 1 : 0;
    }
    return pushed;
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      try {
        await this.#session();
      } catch (error) {
        if (signal.aborted) return;
        await this.#failed(error);
      }
    }
  }

  async #failed(error: unknown): Promise<void> {
    const { logger } = this.#site;
    const { view } = this;
    const seen = this.#called.count;
    const waitMs = this.#backoff.next();
    this.#attempted.resolve();
    this.#site.joining.lost(view.site);
    view.lastError = error instanceof Error ? error.message : String(error);
    if (isSkerryError(error, 'Conflict')) view.state = conflictState(error.details['reason']);
    else if (view.state !== 'must-bootstrap') view.state = 'connecting';
    const level = this.#backoff.failures === 1 ? 'warn' : 'debug';
    logger[level]({ err: error, peer: view.site, waitMs, failures: this.#backoff.failures }, 'a peer is out of reach');
    await this.#called.wait(seen, waitMs, this.#abort.signal);
  }

  /** Runs until the handshake or one of the loops fails, or until the peer is closed. */
  async #session(): Promise<void> {
    const session = new AbortController();
    const end = (): void => session.abort();
    this.#abort.signal.addEventListener('abort', end, { once: true });
    this.#wasReached = false;
    try {
      const protocol = await shakeHands(this.#site, this.#calls, this.view, session.signal);
      this.#attempted.resolve();
      this.#wasReached = true;
      this.view.state = 'connected';
      this.#site.joining.reached(this.view.site, this.view.vector);
      delete this.view.lastError;
      await this.#exchange(this.#pushCall(protocol, session.signal), end);
    } finally {
      this.#abort.signal.removeEventListener('abort', end);
    }
  }

  async #exchange(call: PushCall, end: () => void): Promise<void> {
    const { fetcher } = this.#site;
    const source = chunkSource(this.view.site, this.#calls, call.protocol);
    this.#isInSession = true;
    fetcher.pool.connect(source);
    fetcher.retry();
    const loops = [this.#pullLoop(call), this.#pushLoop(call), this.#chunkLoop(call)];
    try {
      await Promise.race(loops);
    } finally {
      end();
      this.#isInSession = false;
      fetcher.pool.disconnect(source);
      await Promise.allSettled(loops);
    }
  }

  #pushCall(protocol: number, signal: AbortSignal): PushCall {
    return { calls: this.#calls, view: this.view, protocol, bandwidth: this.#bandwidth, signal };
  }

  /** One long call after another, a handshake and watermarks between them. */
  async #pullLoop(call: PushCall): Promise<void> {
    const { options, timers } = this.#site;
    while (!call.signal.aborted) {
      await this.#gossip(call);
      await this.#bootstrap.beforePull(call);
      const { isStuck, isGap } = await pull(this.#site, { ...call, waitMs: options.longPollMs });
      const isFilled = isGap === true && (await this.#bootstrap.tryTake(call, 'gap'));
      if (isStuck && !isFilled) await timers.sleep(this.#backoff.next(), call.signal);
      else this.#backoff.reset();
      await shakeHands(this.#site, this.#calls, this.view, call.signal);
    }
  }

  async #gossip({ protocol, signal }: PushCall): Promise<void> {
    const { watermarks, membership } = this.#site;
    await membership.tend(this.view.vector);
    const { marks } = await this.#calls.watermarks({ protocol, marks: await watermarks.report() }, signal);
    await watermarks.receive(marks);
  }

  async #pushLoop(call: PushCall): Promise<void> {
    const { commits, timers, options, random } = this.#site;
    const backoff = new Backoff(options, random);
    await timers.sleep(options.pushAfterMs, call.signal); // the peer may be about to come by itself
    while (!call.signal.aborted) {
      await this.#untilUnserved(call.signal);
      const seen = commits.count;
      const { isStuck, gap, isHalf } = await push(this.#site, call);
      // It lacks what is no longer here, or the rest of a snapshot, and cannot call here: it reads that over our link.
      if (gap !== undefined || isHalf === true) {
        await lend(this.#site, call, this.#serve);
        await shakeHands(this.#site, this.#calls, this.view, call.signal);
      }
      if (isStuck) await timers.sleep(backoff.next(), call.signal);
      else {
        backoff.reset();
        await commits.wait(seen, options.longPollMs, call.signal);
      }
    }
  }

  async #chunkLoop(call: PushCall): Promise<void> {
    const { timers, options, random } = this.#site;
    const backoff = new Backoff(options, random);
    await timers.sleep(options.pushAfterMs, call.signal);
    while (!call.signal.aborted) {
      await this.#untilUnserved(call.signal);
      const { isStuck } = await pushChunks(this.#site, call, options.longPollMs);
      if (isStuck) await timers.sleep(backoff.next(), call.signal);
      else backoff.reset();
    }
  }

  /** Until the peer has not come for ops by itself for a while. */
  async #untilUnserved(signal: AbortSignal): Promise<void> {
    const { callers, timers, options } = this.#site;
    while (callers.isPulling(this.view.site, options.pushAfterMs)) await timers.sleep(options.pushAfterMs, signal);
  }
}

const conflictState = (reason: unknown): PeerState =>
  reason === 'evicted' || reason === 'not-a-member' ? reason : 'duplicate-site';
