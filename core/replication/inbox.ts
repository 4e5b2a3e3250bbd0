/**
 * The one door for ops that arrive, pulled or pushed: drops what the vector covers, puts the rest in causal order, hands it
 * to the engine, and looks at what became of it. One batch at a time. What cannot be applied changes nothing and
 * is never passed over: it is fetched again by vector.
 */
import {
  isSkerryError,
  SkerryError,
  WORLD_FAULT_CODES,
  type Clock,
  type ErrorCode,
  type Logger,
  type Op,
  type Origin,
  type Quarantined,
  type SiteId,
  type Stamp,
  type VersionVector,
} from '../contracts/index.ts';
import type { ApplyOutcome } from '../engine/committer.ts';
import { hlcWallMs } from '../engine/hlc.ts';
import type { ApplyReport, Replica, WireOp } from '../engine/replica.ts';
import { stampHlc } from '../engine/stamp.ts';
import { coversDot, seqOf } from '../engine/vector.ts';
import type { Held, OnFact } from './facts.ts';
import { Quarantine } from './quarantine.ts';

/** Ops of one transaction. */
const BATCH_MAX_OPS = 512;
/** An op that the engine cannot apply is tried again, since an upgrade or a peer may bring another answer. */
const REFUSED_RETRY_MS = 60_000;
/** The site's fault or the peer's (`Conflict`: it was removed from the cluster), not the op's: the whole batch comes again later. */
const NOT_THE_OPS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([...WORLD_FAULT_CODES, 'Conflict']);

export interface InboxDeps {
  readonly replica: Pick<Replica, 'origin' | 'cut' | 'apply'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly maxClockDriftMs: number;
  readonly inboxMaxBytes: number;
  readonly onFact: OnFact;
  /** Ops that were applied just now: to be relayed, and their bytes fetched. */
  readonly onApplied: (ops: readonly Op[]) => void;
  /** Somebody has ops of our own origin that we do not have (rule 12). They were not applied. */
  readonly onOwnOps: (claim: OwnOpsClaim) => void;
}

export interface OwnOpsClaim {
  readonly from: SiteId;
  readonly ownSeq: number;
  readonly knownSeq: number;
}

export interface InboxReport {
  readonly applied: number;
  /** Covered already: duplicates and echoes. */
  readonly known: number;
  /** Something that they come after is missing although nobody holds it back: fetch by vector. */
  readonly early: number;
  readonly vector: VersionVector;
}

export interface Inbox {
  /** Applies what can be. Rejects with the site's own failures; then nothing of the running transaction was applied. */
  receive(ops: readonly WireOp[], options: ReceiveOptions): Promise<InboxReport>;
  /** Origins whose ops need not be sent now. */
  blocked(): readonly Origin[];
  /** Milliseconds until one of them is due. */
  nextDueInMs(): number;
  quarantine(): readonly Held[];
  /** What is held back of this origin may be tried at once. */
  retry(origin: Origin): void;
}

export interface ReceiveOptions {
  /** The peer that brings them, not necessarily their author. */
  readonly from: SiteId;
  /** Its origin: nothing is taken from one that was removed from the cluster. */
  readonly via?: Origin;
  /** Set for what was not asked for: refuses with `SlowDown` when this many bytes more would be too many. */
  readonly pushedBytes?: number;
}

export function createInbox(deps: InboxDeps): Inbox {
  const quarantine = new Quarantine(deps.clock, deps.onFact);
  const door = new Door(deps, quarantine);
  let last: Promise<unknown> = Promise.resolve();
  let queuedBytes = 0;

  function receive(ops: readonly WireOp[], { from, via, pushedBytes = 0 }: ReceiveOptions): Promise<InboxReport> {
    if (pushedBytes > 0 && queuedBytes > 0 && queuedBytes + pushedBytes > deps.inboxMaxBytes)
      return Promise.reject(new SkerryError('SlowDown', `${queuedBytes} bytes of pushed ops wait to be applied`));
    queuedBytes += pushedBytes;
    const received = last.then(() => door.receive(ops, from, via)).finally(() => (queuedBytes -= pushedBytes));
    last = received.catch(() => undefined); // for its caller to handle; the next batch does not care
    return received;
  }

  return {
    receive,
    blocked: () => quarantine.waiting(),
    nextDueInMs: () => quarantine.nextDueInMs(),
    quarantine: () => quarantine.list(),
    retry: (origin) => quarantine.retry(origin),
  };
}

interface Tally {
  applied: number;
  known: number;
  early: number;
}

class Door {
  readonly #deps: InboxDeps;
  readonly #quarantine: Quarantine;

  constructor(deps: InboxDeps, quarantine: Quarantine) {
    this.#deps = deps;
    this.#quarantine = quarantine;
  }

  async receive(ops: readonly WireOp[], from: SiteId, via: Origin | undefined): Promise<InboxReport> {
    let { vector } = await this.#deps.replica.cut();
    this.#refuseOwn(ops, vector, from);
    const { wanted, known } = this.#sift(ops, vector);
    const tally: Tally = { applied: 0, known, early: 0 };
    for (let at = 0; at < wanted.length; at += BATCH_MAX_OPS)
      vector = await this.#apply(wanted.slice(at, at + BATCH_MAX_OPS), tally, via);
    return { ...tally, vector };
  }

  #refuseOwn(ops: readonly WireOp[], vector: VersionVector, from: SiteId): void {
    const { origin } = this.#deps.replica;
    const ownSeq = seqOf(vector, origin);
    const knownSeq = ops.reduce((most, { op: { dot } }) => (dot.origin === origin ? Math.max(most, dot.seq) : most), 0);
    if (knownSeq > ownSeq) this.#deps.onOwnOps({ from, ownSeq, knownSeq });
  }

  /** Unseen ops of others in causal order, each once. */
  #sift(ops: readonly WireOp[], vector: VersionVector): { readonly wanted: readonly WireOp[]; readonly known: number } {
    const { origin } = this.#deps.replica;
    const unseen = new Map<Stamp, WireOp>();
    for (const wire of ops)
      if (!coversDot(vector, wire.op.dot) && wire.op.dot.origin !== origin) unseen.set(wire.op.stamp, wire);
    const wanted = [...unseen.values()].filter(({ op }) => !this.#quarantine.isWaiting(op.dot.origin));
    return { wanted: wanted.sort((a, b) => (a.op.stamp < b.op.stamp ? -1 : 1)), known: ops.length - unseen.size };
  }

  async #apply(batch: readonly WireOp[], tally: Tally, via: Origin | undefined): Promise<VersionVector> {
    try {
      const { outcomes, vector } = await this.#deps.replica.apply(batch, via);
      this.#settle(batch, outcomes, vector, tally);
      return vector;
    } catch (error) {
      if (isNotTheOps(error)) throw error;
      if (isSkerryError(error, 'ChecksumMismatch') && batch.some(({ body }) => body !== undefined))
        return this.#applyBare(batch, tally, via, error);
      return this.#applySingly(batch, tally, via);
    }
  }

  /** Bytes that came along are not what their ops say. The ops may be sound all the same, and bytes are fetched by hash. */
  #applyBare(
    batch: readonly WireOp[],
    tally: Tally,
    via: Origin | undefined,
    error: SkerryError,
  ): Promise<VersionVector> {
    this.#deps.logger.error(
      { err: error, ops: batch.length, via },
      'bytes that came with ops are wrong: all left aside',
    );
    const bare = batch.map(({ op }) => ({ op }));
    return this.#apply(bare, tally, via);
  }

  /** One of them makes the transaction fail: it must not stop the others. */
  async #applySingly(batch: readonly WireOp[], tally: Tally, via: Origin | undefined): Promise<VersionVector> {
    let { vector } = await this.#deps.replica.cut();
    for (const wire of batch) {
      const applied = await this.#applyOne(wire, via);
      if (applied === undefined) continue;
      ({ vector } = applied);
      this.#settle([wire], applied.outcomes, vector, tally);
    }
    return vector;
  }

  async #applyOne(wire: WireOp, via: Origin | undefined): Promise<ApplyReport | undefined> {
    const { op } = wire;
    try {
      return await this.#deps.replica.apply([wire], via);
    } catch (error) {
      if (isNotTheOps(error)) throw error;
      this.#deps.logger.error({ err: error, dot: op.dot, type: op.body.type }, 'an op of another site was refused');
      this.#hold(op, 'refused', REFUSED_RETRY_MS);
      return undefined;
    }
  }

  #settle(batch: readonly WireOp[], outcomes: readonly ApplyOutcome[], vector: VersionVector, tally: Tally): void {
    const applied: Op[] = [];
    batch.forEach(({ op }, index) => {
      const outcome = outcomes[index];
      if (outcome === 'applied') applied.push(op);
      else if (outcome === 'known') tally.known++;
      else if (outcome === 'held') this.#hold(op, 'clock', this.#aheadMs(op));
      else if (outcome === 'early' && !this.#holdBehind(op, vector)) tally.early++;
    });
    for (const { dot } of applied)
      if (!this.#heldAfter(dot.origin, batch, vector)) this.#quarantine.release(dot.origin);
    tally.applied += applied.length;
    if (applied.length > 0) this.#deps.onApplied(applied);
  }

  /** Some of the origin's ops were applied and a later one of this batch is held. */
  #heldAfter(origin: Origin, batch: readonly WireOp[], vector: VersionVector): boolean {
    return batch.some(({ op }) => op.dot.origin === origin && !coversDot(vector, op.dot));
  }

  #aheadMs({ stamp }: Op): number {
    return hlcWallMs(stampHlc(stamp)) - this.#deps.maxClockDriftMs - this.#deps.clock.wallMs();
  }

  /** True when `op` waits for one that is in quarantine; then there is no use in fetching either. */
  #holdBehind(op: Op, vector: VersionVector): boolean {
    const { origin } = op.dot;
    if (this.#quarantine.isWaiting(origin)) return true;
    const missing = Object.keys(op.deps).filter((name) => seqOf(vector, name) < seqOf(op.deps, name));
    const waitsFor = missing.find((name) => this.#quarantine.isWaiting(name));
    if (waitsFor === undefined) return false;
    this.#hold(op, 'behind', this.#quarantine.dueInMs(waitsFor));
    return true;
  }

  #hold(op: Op, reason: Quarantined['reason'], retryInMs: number): void {
    if (this.#quarantine.isWaiting(op.dot.origin)) return;
    this.#quarantine.hold({ origin: op.dot.origin, stamp: op.stamp, reason, retryInMs });
  }
}

function isNotTheOps(error: unknown): boolean {
  return isSkerryError(error) && NOT_THE_OPS.has(error.code);
}
