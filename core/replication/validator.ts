/**
 * `repl-validate`: one check at a time, told of as it goes on. It counts this site's own state, compares it with peers, and with
 * `deep` reads the bytes; a repair puts right here what is known to be wrong here.
 */
import {
  SkerryError,
  isSkerryError,
  type Clock,
  type Logger,
  type PeerValidation,
  type SiteId,
  type Timers,
  type ValidateInput,
  type ValidationProgress,
  type ValidationReport,
  type ValidationState,
} from '../contracts/index.ts';
import type { AuditCount } from '../engine/audit.ts';
import type { Auditor } from '../engine/auditor.ts';
import type { Digest } from '../engine/digest.ts';
import { compareWith } from './comparison.ts';
import { digestSource, type DigestPeer } from './digest-source.ts';
import { unknownPeer } from './peer-view.ts';

/** How a check reaches peers. */
export interface DigestPeers {
  peerSites(): readonly SiteId[];
  /** Rejects as the handshake does. */
  askDigests(peer: SiteId, signal: AbortSignal): Promise<DigestPeer>;
}

export interface ValidatorDeps {
  readonly site: SiteId;
  readonly auditor: Auditor;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly peers: DigestPeers;
  /** How long equal vectors are waited for, milliseconds; default 10,000. */
  readonly waitMs?: number;
}

export interface Validator {
  /** Begins a check. `Conflict` while one runs, `NotFound` for a site that is no peer. */
  start(input: ValidateInput): Promise<void>;
  state(): ValidationState;
  /** Ends a running check. Idempotent. */
  close(): Promise<void>;
}

const WAIT_MS = 10_000;
const IDLE: ValidationProgress = Object.freeze({ stage: 'idle', done: 0 });

export function createValidator(deps: ValidatorDeps): Validator {
  const abort = new AbortController();
  let state: ValidationState = { running: false, progress: IDLE };
  let running: Promise<void> = Promise.resolve();

  async function run(input: ValidateInput, sites: readonly SiteId[]): Promise<void> {
    const tell = (progress: ValidationProgress): void => void (state = { ...state, progress });
    try {
      const report = await new Check(deps, { input, sites, tell, signal: abort.signal }).run();
      state = { running: false, progress: IDLE, report };
    } catch (error) {
      deps.logger.error({ err: error }, 'the check failed');
      const code = isSkerryError(error) ? error.code : 'Internal';
      const message = error instanceof Error ? error.message : String(error);
      state = { running: false, progress: IDLE, error: { code, message } };
    }
  }

  return {
    async start(input) {
      if (abort.signal.aborted) throw new SkerryError('Closed', 'this site is closing');
      if (state.running) throw new SkerryError('Conflict', 'a check is running already');
      const sites = chosen(deps.peers.peerSites(), input.peers);
      state = { running: true, progress: { stage: 'counting', done: 0 } };
      running = run(input, sites);
    },
    state: () => state,
    async close() {
      abort.abort();
      await running;
    },
  };
}

function chosen(known: readonly SiteId[], wanted: readonly SiteId[] | undefined): readonly SiteId[] {
  const stranger = wanted?.find((site) => !known.includes(site));
  if (stranger !== undefined) throw unknownPeer(stranger, known);
  return wanted ?? known;
}

interface CheckRequest {
  readonly input: ValidateInput;
  readonly sites: readonly SiteId[];
  readonly tell: (progress: ValidationProgress) => void;
  readonly signal: AbortSignal;
}

class Check {
  readonly #deps: ValidatorDeps;
  readonly #request: CheckRequest;

  constructor(deps: ValidatorDeps, request: CheckRequest) {
    this.#deps = deps;
    this.#request = request;
  }

  async run(): Promise<ValidationReport> {
    const { auditor, clock, site } = this.#deps;
    const { input, sites, tell, signal } = this.#request;
    const startMs = clock.monotonicMs();
    const count = await auditor.count((done) => tell({ stage: 'counting', done }), signal);
    const discrepancies = new Map(count.leaves);
    const peers: PeerValidation[] = [];
    for (const peer of sites) peers.push(await this.#compare(peer, count, discrepancies));
    const isSettled = input.repair === true && (await this.#settle(count, discrepancies, peers));
    const bytes = input.deep === true ? await this.#readBytes() : undefined;
    const { vector } = await auditor.digest();
    const isLocalSound = isSettled || (count.leaves.size === 0 && count.counters.size === 0);
    const isSound =
      isLocalSound &&
      peers.every(({ outcome }) => outcome === 'equal') &&
      (bytes === undefined || bytes.badCount === bytes.repairedCount);
    return {
      site,
      vector,
      isSound,
      local: {
        entities: count.entities,
        damagedDigestLeaves: count.leaves.size,
        wrongCounters: [...count.counters.keys()],
        repaired: isSettled,
      },
      peers,
      ...(bytes ? { bytes } : {}),
      tookMs: clock.monotonicMs() - startMs,
    };
  }

  async #compare(peer: SiteId, { entities }: AuditCount, discrepancies: Map<number, Digest>): Promise<PeerValidation> {
    const { auditor, clock, timers, peers, waitMs = WAIT_MS, logger } = this.#deps;
    const { input, tell, signal } = this.#request;
    tell({ stage: 'comparing', done: 0, peer });
    const onRepairing = (done: number): void => tell({ stage: 'repairing', done, peer });
    try {
      const source = digestSource(await peers.askDigests(peer, signal));
      return await compareWith(
        { auditor, clock, timers, waitMs, signal, onRepairing },
        { peer, source, discrepancies, entities, repair: input.repair === true },
      );
    } catch (error) {
      if (signal.aborted || !isSkerryError(error)) throw error;
      logger.warn({ err: error, peer }, 'a peer could not be compared with');
      const none = { differences: [], differenceCount: 0, repairedCount: 0, damagedDigestLeaves: 0 };
      return { peer, outcome: 'failed', error: error.message, ...none };
    }
  }

  /**
   * The digest and the counters are made to agree with the rows, once a peer has been asked whether the rows are right: what they are
   * off by is the only trace of damage that this site has itself. A site without peers has nobody to ask.
   */
  async #settle(
    count: AuditCount,
    left: ReadonlyMap<number, Digest>,
    peers: readonly PeerValidation[],
  ): Promise<boolean> {
    const isAsked = peers.length === 0 || peers.some(({ outcome }) => outcome === 'equal' || outcome === 'different');
    if (!isAsked) return false;
    if (left.size > 0 || count.counters.size > 0)
      await this.#deps.auditor.settle({ leaves: left, counters: count.counters });
    return true;
  }

  #readBytes(): ReturnType<Auditor['verifyBytes']> {
    const { input, tell, signal } = this.#request;
    tell({ stage: 'reading', done: 0 });
    return this.#deps.auditor.verifyBytes({
      repair: input.repair === true,
      onProgress: ({ chunks, bytes }) => tell({ stage: 'reading', done: chunks, bytes }),
      signal,
    });
  }
}
