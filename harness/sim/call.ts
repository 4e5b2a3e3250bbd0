/**
 * One call over the simulated network, from the caller's end: sends the request when it is first read, takes frames as they
 * arrive, and ends as its fate says.
 */
import { SkerryError, type IncomingCall, type PeerIdentity, type SiteId } from '../../core/contracts/index.ts';
import type { Lane } from './lane.ts';
import { FRAME_MAX_BYTES, type Endpoint, type Fate, type Network } from './network.ts';

/** Frames that the serving generator may be ahead of the reader. */
export const WINDOW_FRAMES = 4;
/** How long either end waits for what does not come. */
const GIVE_UP_MS = 2000;
/** The smallest step of virtual time. */
const STEP_MS = 0.001;

export interface CallParts {
  readonly network: Network;
  readonly callerLane: Lane;
  /** Host names. */
  readonly from: string;
  readonly to: string;
  /** The site that the caller means to reach. */
  readonly site: SiteId;
  readonly name: string;
  readonly body: Uint8Array;
  readonly signal: AbortSignal | undefined;
  /** Throws when the call may not begin. */
  readonly admit: () => PeerIdentity;
  readonly released: () => void;
}

export class SimCall implements AsyncIterableIterator<Uint8Array> {
  readonly #parts: CallParts;
  readonly #frames: Uint8Array[] = [];
  readonly #serverAbort = new AbortController();
  #identity = '';
  #state: 'new' | 'running' | 'over' = 'new';
  #failure: SkerryError | undefined;
  #ended = false;
  #lastArrivalMs = 0;
  #sent = 0;
  #taken = 0;
  #changed = Promise.withResolvers<void>();

  constructor(parts: CallParts) {
    this.#parts = parts;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#state === 'over') return { done: true, value: undefined };
    try {
      if (this.#state === 'new') this.#start();
      for (;;) {
        const frame = this.#frames.shift();
        if (frame !== undefined) {
          this.#taken++;
          this.#change();
          return { done: false, value: frame };
        }
        if (this.#failure !== undefined) throw this.#failure;
        if (this.#ended) break;
        await this.#changed.promise;
      }
    } catch (error) {
      this.#release();
      throw error;
    }
    this.#release();
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.fail(new SkerryError('Aborted', 'the caller gave up the call'));
    this.#release();
    return { done: true, value: undefined };
  }

  /** Ends the call from the caller's side; the server hears of it later. Idempotent. */
  fail(failure: SkerryError): void {
    if (this.#failure === undefined && !this.#ended) this.#failure = failure;
    this.#frames.length = 0;
    this.#endServer();
    this.#change();
  }

  #start(): void {
    const { network, from, to, name, callerLane, signal } = this.#parts;
    if (signal?.aborted === true) throw new SkerryError('Aborted', 'the caller gave up the call');
    const self = this.#parts.admit();
    this.#state = 'running';
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    network.onCut.add(this.#onCut);
    this.#identity = network.nextIdentity(from, to, name);
    const fate = network.fateOf(this.#identity, from, to);
    if (fate.dropped || network.isCut(from, to)) {
      network.met[fate.dropped ? 'dropped' : 'cut']++;
      callerLane.after(GIVE_UP_MS, `gives-up ${this.#identity}`, () => this.fail(unavailable('no answer came')));
      return;
    }
    callerLane.after(fate.requestMs, `sends ${this.#identity}`, () => this.#arrive(self, fate));
  }

  /** The request is at the peer: a lane of its own decides what happens there. */
  #arrive(self: PeerIdentity, fate: Fate): void {
    const { network, to, site, callerLane } = this.#parts;
    const endpoint = network.endpoint(to);
    if (endpoint === undefined || endpoint.self.site !== site)
      return this.fail(unavailable(`nobody answers as ${site}`));
    network.met.delivered++;
    endpoint.lane.onEnd(() => {
      callerLane.after(1, `lost ${this.#identity}`, () => this.fail(unavailable('the peer went away')));
    });
    callerLane.onEnd(() => {
      endpoint.lane.after(GIVE_UP_MS, `misses ${this.#identity}`, () => {
        this.#endServer();
        this.#change();
      });
    });
    const { name, body } = this.#parts;
    endpoint.lane.after(
      0,
      `serves ${this.#identity}`,
      () => void this.#pump(endpoint, { name, from: self, body, signal: this.#serverAbort.signal }, fate),
    );
    if (fate.replayMs === undefined) return;
    network.met.replayed++;
    endpoint.lane.after(
      fate.replayMs,
      `serves-again ${this.#identity}`,
      () => void serveForNobody(endpoint, self, name, body),
    );
  }

  async #pump(endpoint: Endpoint, call: IncomingCall, fate: Fate): Promise<void> {
    try {
      for await (const frame of endpoint.serve(call)) {
        if (this.#serverAbort.signal.aborted) return;
        if (this.#sent === fate.framesBeforeBreak) return this.#break(endpoint);
        this.#sent++;
        const { network, from, to } = this.#parts;
        this.#deliver(endpoint, network.arriving(checked(frame), `${this.#identity}!${this.#sent}`, to, from));
        while (this.#sent - this.#taken > WINDOW_FRAMES && !this.#serverAbort.signal.aborted)
          await this.#changed.promise;
      }
      this.#deliver(endpoint, undefined);
    } catch (error) {
      this.#deliver(endpoint, asFault(error));
    }
  }

  /** On its way back: in order, unless the way back is cut, when the caller hears nothing more. */
  #deliver(endpoint: Endpoint, what: Uint8Array | SkerryError | undefined): void {
    const { network, from, to, callerLane } = this.#parts;
    if (!endpoint.lane.alive) return;
    if (network.isCut(to, from)) {
      network.met.cut++;
      callerLane.after(GIVE_UP_MS, `gives-up ${this.#identity}`, () => this.fail(unavailable('the answer stopped')));
      return this.#endServer();
    }
    const at = callerLane.nowMs + network.delayMs(`${this.#identity}!${this.#sent}`, to, from);
    // frames of one call never overtake each other
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs + STEP_MS, at);
    callerLane.after(this.#lastArrivalMs - callerLane.nowMs, `gets ${this.#identity}`, () => {
      if (this.#failure !== undefined || this.#ended) return;
      if (what instanceof SkerryError) this.#failure = what;
      else if (what === undefined) this.#ended = true;
      else this.#frames.push(what);
      this.#change();
    });
  }

  #break(endpoint: Endpoint): void {
    this.#parts.network.met.brokenStreams++;
    this.#deliver(endpoint, unavailable('the stream broke'));
    this.#endServer();
  }

  #endServer(): void {
    if (!this.#serverAbort.signal.aborted) this.#serverAbort.abort(new SkerryError('Aborted', 'the caller is gone'));
  }

  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }

  #release(): void {
    this.#state = 'over';
    this.#parts.signal?.removeEventListener('abort', this.#onAbort);
    this.#parts.network.onCut.delete(this.#onCut);
    this.#endServer();
    this.#change();
    this.#parts.released();
  }

  readonly #onAbort = (): void => this.fail(new SkerryError('Aborted', 'the caller gave up the call'));

  /** A cut ends what runs over the link, in either direction, after a while. */
  readonly #onCut = (from: string, to: string): void => {
    const mine = this.#parts;
    const hit = (from === mine.from && to === mine.to) || (from === mine.to && to === mine.from);
    if (!hit || this.#state !== 'running') return;
    mine.callerLane.after(GIVE_UP_MS, `gives-up ${this.#identity}`, () => {
      if (this.#state === 'running') this.fail(unavailable('the link is cut'));
    });
  };
}

/** A replayed request: it is answered, and nobody listens. */
async function serveForNobody(endpoint: Endpoint, from: PeerIdentity, name: string, body: Uint8Array): Promise<void> {
  const { signal } = new AbortController();
  try {
    for await (const _ of endpoint.serve({ name, from, body, signal }));
  } catch {
    // a replay may be refused: that is the receiver's right
  }
}

function unavailable(why: string): SkerryError {
  return new SkerryError('Unavailable', why);
}

/** A failure of the serving side as it crosses a wire. */
function asFault(error: unknown): SkerryError {
  if (!(error instanceof SkerryError)) return new SkerryError('Internal', 'the peer failed to answer the call');
  const details = JSON.parse(JSON.stringify(error.details)) as Readonly<Record<string, unknown>>;
  return new SkerryError(error.code, error.message, { retryable: error.retryable, details });
}

function checked(frame: Uint8Array): Uint8Array {
  if (!(frame instanceof Uint8Array)) throw new SkerryError('Internal', 'a frame that is no byte string');
  if (frame.length > FRAME_MAX_BYTES) throw new SkerryError('TooLarge', `a frame of ${frame.length} bytes`);
  return new Uint8Array(frame);
}
