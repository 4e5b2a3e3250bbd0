/**
 * Taking a peer's snapshot (rule 15): when the peer no longer has the ops that are lacking here, when very much is lacking, when
 * one was begun and not ended, or when an operator says so. The site goes on serving meanwhile. One at a time over all peers; what
 * breaks goes on where it was, with the next session of the same peer.
 */
import { isSkerryError, SkerryError, type BootstrapStatus, type SiteId } from '../contracts/index.ts';
import type { CutEntity } from '../engine/cut-entities.ts';
import type { MergingRecord } from '../engine/records.ts';
import type { OpenedCut } from '../engine/snapshot.ts';
import { coversVector, seqOf } from '../engine/vector.ts';
import type { PeerCalls } from './calls.ts';
import { CutStream } from './cut-stream.ts';
import { fenceAgainst } from './fencing.ts';
import type { Kept } from './kept.ts';
import type { PeerView } from './peer-view.ts';
import type { SiteContext } from './site-context.ts';
import { lacking } from './status.ts';
import { Wakeup } from './wakeup.ts';

export interface BootstrapPeer {
  readonly calls: PeerCalls;
  readonly view: PeerView;
  readonly protocol: number;
  readonly signal: AbortSignal;
}

export type BootstrapReason = BootstrapStatus['reason'];

type Progress = { -readonly [Name in keyof BootstrapStatus]: BootstrapStatus[Name] };

export class Bootstrap {
  readonly #site: SiteContext;
  readonly #turns: Wakeup;
  #isRunning = false;
  #progress: Progress | undefined;

  constructor(site: SiteContext) {
    this.#site = site;
    this.#turns = new Wakeup(site.timers);
  }

  /** The one that runs, waits to go on, or was the last. */
  status(): BootstrapStatus | undefined {
    return this.#progress === undefined ? undefined : { ...this.#progress };
  }

  /** Why this peer's snapshot should be taken before its ops are pulled; `undefined`: it should not. */
  async #reasonFor({ site, vector: theirs }: PeerView): Promise<BootstrapReason | undefined> {
    const { kept, replica, options, state } = this.#site;
    if (kept === undefined || this.#isRunning) return undefined;
    if (state.bootstrapping()) {
      const merging = await kept.merging();
      return merging !== undefined && this.#mayGoOn(merging, site, theirs) ? 'unfinished' : undefined;
    }
    const { vector } = await replica.cut();
    const ops = lacking(vector, theirs);
    const all = Object.keys(theirs).reduce((sum, origin) => sum + seqOf(theirs, origin), 0);
    return ops >= options.snapshotMinOps && ops * 2 > all ? 'behind' : undefined;
  }

  /** With the peer whose snapshot it was, or, while that one is out of reach, with whoever has all of it. */
  #mayGoOn({ from, vector }: MergingRecord, peer: SiteId, theirs: PeerView['vector']): boolean {
    if (from === undefined || from === peer) return true;
    return !this.#site.joining.isReached(from) && coversVector(theirs, vector);
  }

  /** Takes the peer's snapshot first where that is better. Ops will do where it may not be begun now. */
  async beforePull(peer: BootstrapPeer): Promise<void> {
    const reason = await this.#reasonFor(peer.view);
    if (reason !== undefined) await this.tryTake(peer, reason);
  }

  /** As `take`; false when the peer refuses for now, which is no reason to give up all that runs with it. */
  async tryTake(peer: BootstrapPeer, reason: BootstrapReason): Promise<boolean> {
    try {
      await this.take(peer, reason);
      return true;
    } catch (error) {
      if (peer.signal.aborted || !isRefusal(error)) throw error;
      this.#site.logger.info({ err: error, peer: peer.view.site }, 'a snapshot cannot be had now');
      return false;
    }
  }

  /**
   * Takes the peer's snapshot, or waits while another one is taken: in any case the caller looks again afterwards. Rejects
   * `Unavailable` when it cannot be had now, and as the calls fail.
   */
  async take(peer: BootstrapPeer, reason: BootstrapReason): Promise<void> {
    if (this.#isRunning) return this.#turns.wait(this.#turns.count, this.#site.options.longPollMs, peer.signal);
    const head = await this.begin(peer, reason);
    await head.end;
  }

  /** Resolves when the snapshot is open; `end` when it is merged. `Conflict` while another one is taken. */
  async begin(peer: BootstrapPeer, reason: BootstrapReason): Promise<{ readonly end: Promise<void> }> {
    if (this.#isRunning) throw new SkerryError('Conflict', `a snapshot of ${this.#progress?.from} is being taken`);
    this.#isRunning = true;
    const progress = this.#start(peer.view.site, reason);
    try {
      const kept = this.#kept();
      const cut = await this.#open(kept, peer, reason);
      return { end: this.#merge(kept, peer, cut, progress).catch((error: unknown) => this.#failed(progress, error)) };
    } catch (error) {
      return this.#failed(progress, error);
    }
  }

  #start(from: SiteId, reason: BootstrapReason): Progress {
    const known = this.#progress;
    const startedMs = this.#site.clock.wallMs();
    const isSame = known?.from === from && known.state === 'waiting';
    const progress: Progress = isSame ? known : { from, reason, state: 'running', startedMs, entities: 0, bytes: 0 };
    progress.state = 'running';
    delete progress.problem;
    delete progress.hint;
    this.#progress = progress;
    return progress;
  }

  #kept(): Kept {
    const { kept } = this.#site;
    if (kept === undefined) throw new SkerryError('NotSupported', 'this site takes no snapshots');
    return kept;
  }

  async #open(
    kept: Kept,
    { calls, view, protocol, signal }: BootstrapPeer,
    reason: BootstrapReason,
  ): Promise<OpenedCut> {
    const { replica, fence } = this.#site;
    const merging = await kept.merging();
    const { vector: have } = await replica.cut();
    const resume = merging?.from === view.site ? { resume: merging.cutId } : {};
    const half = reason === 'operator' ? ({ half: true } as const) : {};
    const cut = await calls
      .cut({ protocol, have, ...resume, ...half }, signal)
      .catch((error: unknown) => this.#refused(error, merging, view.site));
    const fenced = await fenceAgainst(replica, { site: view.site, vector: cut.vector });
    if (fenced !== undefined) {
      fence(fenced);
      throw new SkerryError('Unavailable', 'this site is fenced', { details: { reason: 'fenced' } });
    }
    if (cut.half !== undefined && !coversVector(have, cut.half))
      throw new SkerryError('InvalidArgument', `${view.site} gave a half of a snapshot that this site does not have`);
    return cut;
  }

  /** Two sites that are each half filled with the other's: neither can be read by the other unless somebody says which goes first. */
  #refused(error: unknown, merging: MergingRecord | undefined, peer: SiteId): never {
    const isStandoff =
      isSkerryError(error, 'Unavailable') &&
      error.details['reason'] === 'merging' &&
      error.details['from'] === this.#site.self.site &&
      merging?.from === peer;
    if (!isStandoff) throw error;
    this.#site.onFact({ kind: 'bootstrap-standoff', peer });
    throw new SkerryError('Unavailable', `this site and ${peer} each wait for the rest of the other's snapshot`, {
      details: {
        reason: 'standoff',
        hint: `skerry repl-bootstrap --from ${peer}, here or with this site there: one is enough`,
      },
    });
  }

  async #merge(kept: Kept, peer: BootstrapPeer, cut: OpenedCut, progress: Progress): Promise<void> {
    const { calls, view, protocol, signal } = peer;
    const { joining, commits, fetcher, logger, clock } = this.#site;
    const before = view.state;
    view.state = 'bootstrapping';
    logger.info({ peer: view.site, reason: progress.reason }, 'a snapshot of a peer is taken');
    const wasJoining = (await kept.merging())?.joining === true;
    await using stream = new CutStream({
      calls,
      protocol,
      cut,
      signal,
      from: view.site,
      joining: joining.isWaiting() || wasJoining,
      onPage: ({ entities, bytes, last }) => {
        progress.entities += entities;
        progress.bytes += bytes;
        view.bytesReceived += bytes;
        view.lastContactMs = clock.wallMs();
        if (last !== undefined) progress.at = nameOf(last);
      },
    });
    await kept.merge(stream, signal).catch((error: unknown) => {
      view.state = before; // a session that goes on is what it was
      throw error;
    });
    this.#done(progress);
    view.state = 'connected';
    commits.notify();
    fetcher.retry();
    logger.info({ ...progress }, 'a snapshot of a peer was taken');
    // The peer would let go of it by itself; should this fail, it does.
    await calls
      .cutRelease({ protocol, cutId: cut.cutId }, signal)
      .catch((error: unknown) => logger.debug({ err: error, peer: view.site }, 'a snapshot was not given back'));
  }

  #done(progress: Progress): void {
    progress.state = 'done';
    progress.endedMs = this.#site.clock.wallMs();
    this.#rest();
  }

  #failed(progress: Progress, given: unknown): never {
    const error = understood(given);
    progress.state = 'waiting';
    progress.problem = error instanceof Error ? error.message : String(error);
    const hint = isSkerryError(error) ? error.details['hint'] : undefined;
    if (typeof hint === 'string') progress.hint = hint;
    this.#rest();
    throw error;
  }

  #rest(): void {
    this.#isRunning = false;
    this.#turns.notify();
  }
}

/** What the merge rejects with, as the session of a peer takes it: it begins again after a while. */
function understood(error: unknown): unknown {
  if (isSkerryError(error, 'NotFound'))
    return new SkerryError('Unavailable', 'the snapshot is gone at the peer: another one is asked for', {
      cause: error,
    });
  if (isSkerryError(error, 'Conflict'))
    return new SkerryError('Unavailable', error.message, {
      cause: error,
      details: {
        ...error.details,
        reason: 'not-covered',
        hint: 'bring the peer back whose snapshot was begun, or start with an empty data directory',
      },
    });
  return error;
}

export function describe({ from, state, entities, at, problem }: BootstrapStatus): string {
  const so = problem === undefined ? '' : `, ${problem}`;
  return `snapshot of ${from} ${state}, ${entities} entries${at === undefined ? '' : ` up to ${at}`}${so}`;
}

const REFUSALS: ReadonlySet<unknown> = new Set(['merging', 'standoff', 'not-covered']);

function isRefusal(error: unknown): boolean {
  return isSkerryError(error) && (error.code === 'SlowDown' || REFUSALS.has(error.details['reason']));
}

function nameOf(entity: CutEntity): string {
  switch (entity.kind) {
    case 'bucket':
      return entity.bucket;
    case 'register':
      return `${entity.of} ${entity.id}`;
    default:
      return `${entity.bucket}/${entity.key}`;
  }
}
