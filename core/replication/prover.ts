/**
 * Is what a peer knows of us more of our history, or another one (rule 12)? While that is open nothing else is exchanged: only
 * hands are shaken, and the stamp of our last op is compared with the one that a peer which knows more has under the same dot. Peers
 * are asked, and those that call are asked back, so that it works for whoever can only dial or only be dialled.
 */
import {
  SkerryError,
  type Dot,
  type IncomingCall,
  type Lifecycle,
  type PeerAddress,
  type PeerIdentity,
  type SiteId,
  type Stamp,
  type Transport,
} from '../contracts/index.ts';
import type { Replica } from '../engine/replica.ts';
import { seqOf } from '../engine/vector.ts';
import { PeerCalls } from './calls.ts';
import * as codec from './codec.ts';
import { stampAt } from './fencing.ts';
import { DEFAULT_OPTIONS, type ReplicationOptions } from './options.ts';
import { Backoff } from './pacing.ts';
import { negotiate, PROTOCOL, type HelloAnswer, type SiteReport } from './protocol.ts';
import type { ReplicationPorts } from './replication.ts';

export type Verdict =
  /** `by` has all that we have under our name, and more. */
  | { readonly kind: 'shared'; readonly by: SiteId; readonly knownSeq: number }
  /** `by` has other ops under our name. Up to `sharedSeq` they are the same, as far as could be found out. */
  | { readonly kind: 'diverged'; readonly by: SiteId; readonly knownSeq: number; readonly sharedSeq?: number };

export interface ProverDeps {
  readonly replica: Pick<Replica, 'origin' | 'cut' | 'opsAfter'>;
  /** Open before `open`. */
  readonly transport: Transport;
  readonly self: PeerIdentity;
  readonly peers: readonly PeerAddress[];
  readonly ports: ReplicationPorts;
  readonly options?: Partial<ReplicationOptions>;
}

export interface Prover extends Lifecycle {
  /** Resolves once a peer has proved it, either way; stays open while none can. */
  verdict(): Promise<Verdict>;
  /** Peers that know more and no longer have the op that would prove it. */
  unproven(): readonly SiteId[];
  addresses(): readonly string[];
}

export function createProver(deps: ProverDeps): Prover {
  return new HandshakeProver(deps);
}

class HandshakeProver implements Prover {
  readonly #deps: ProverDeps;
  readonly #options: ReplicationOptions;
  readonly #abort = new AbortController();
  readonly #verdict = Promise.withResolvers<Verdict>();
  readonly #unproven = new Set<SiteId>();
  /** Callers that were asked for a proof. */
  readonly #asked = new Set<SiteId>();
  #addresses: readonly string[] = [];
  #isSettled = false;
  #loops: readonly Promise<void>[] = [];

  constructor(deps: ProverDeps) {
    this.#deps = deps;
    this.#options = { ...DEFAULT_OPTIONS, ...deps.options };
  }

  async open(): Promise<void> {
    const { transport, self, peers } = this.#deps;
    this.#addresses = await transport.listen(self, (call) => this.#serve(call));
    this.#loops = peers.map((peer) => this.#ask(peer));
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await Promise.all(this.#loops);
  }

  verdict(): Promise<Verdict> {
    return this.#verdict.promise;
  }

  unproven(): readonly SiteId[] {
    return [...this.#unproven];
  }

  addresses(): readonly string[] {
    return this.#addresses;
  }

  async *#serve({ name, body, from }: IncomingCall): AsyncGenerator<Uint8Array, void, undefined> {
    if (name !== 'hello')
      throw new SkerryError('Unavailable', 'this site is fenced', { details: { reason: 'fenced' } });
    const asked = codec.helloRequest.decode(body);
    if (asked.site !== from.site || asked.origin !== from.origin)
      throw new SkerryError('InvalidArgument', `${from.origin} calls itself ${asked.origin}`);
    const protocol = negotiate(PROTOCOL, asked.protocol);
    const prove = await this.#lastDot();
    const knownSeq = seqOf(asked.vector, prove.origin);
    // Who has the op comes back with it at once; who comes back without it does not have it any more.
    const isAnswer = asked.proof !== undefined || prove.seq === 0 || this.#asked.has(from.site);
    if (isAnswer) await this.#judge(from.site, prove, knownSeq, asked.proof);
    this.#asked.add(from.site);
    yield codec.helloAnswer.encode({ ...(await this.#report()), protocol, ...(prove.seq === 0 ? {} : { prove }) });
  }

  async #ask(peer: PeerAddress): Promise<void> {
    const { transport, ports } = this.#deps;
    const { signal } = this.#abort;
    const link = transport.dial(peer);
    const { callTimeoutMs } = this.#options;
    const calls = new PeerCalls({ link, timers: ports.timers, callTimeoutMs, onFrame: async () => undefined });
    const backoff = new Backoff(this.#options, ports.random);
    try {
      while (!signal.aborted && !this.#isSettled) {
        await this.#askOnce(calls, peer.site).catch((error: unknown) =>
          ports.logger.debug({ err: error, peer: peer.site }, 'a peer could not be asked for our history'),
        );
        await ports.timers.sleep(backoff.next(), signal).catch(() => undefined); // closed: the loop ends
      }
    } finally {
      await link.close();
    }
  }

  async #askOnce(calls: PeerCalls, site: SiteId): Promise<void> {
    const dot = await this.#lastDot();
    const answer = await this.#hello(calls, dot);
    if (answer.site !== site) return;
    await this.#judge(site, dot, seqOf(answer.vector, dot.origin), answer.proof, calls);
  }

  async #lastDot(): Promise<Dot> {
    const { replica } = this.#deps;
    return { origin: replica.origin, seq: seqOf((await replica.cut()).vector, replica.origin) };
  }

  async #hello(calls: PeerCalls, prove: Dot): Promise<HelloAnswer> {
    const request = { ...(await this.#report()), protocol: PROTOCOL, ...(prove.seq === 0 ? {} : { prove }) };
    return calls.hello(request, this.#abort.signal);
  }

  /** Only who knows more than we do can tell: another one may have been given what we wrote since. */
  async #judge(by: SiteId, dot: Dot, knownSeq: number, proof: Stamp | undefined, calls?: PeerCalls): Promise<void> {
    if (this.#isSettled || knownSeq < dot.seq) return;
    const own = await this.#ownStamp(dot);
    if (dot.seq > 0 && (own === undefined || proof === undefined)) return void this.#unproven.add(by);
    if (own !== proof) {
      const sharedSeq = calls === undefined ? undefined : await this.#lastShared(calls, dot);
      return this.#settle({ kind: 'diverged', by, knownSeq, ...(sharedSeq === undefined ? {} : { sharedSeq }) });
    }
    if (knownSeq > dot.seq) this.#settle({ kind: 'shared', by, knownSeq });
  }

  /** Halving. An op that is trimmed was everybody's. */
  async #lastShared(calls: PeerCalls, { origin, seq }: Dot): Promise<number> {
    let [shared, other] = [0, seq];
    while (other - shared > 1) {
      const dot = { origin, seq: Math.floor((shared + other) / 2) };
      const [own, { proof }] = [await this.#ownStamp(dot), await this.#hello(calls, dot)];
      if (own === undefined || proof === undefined || own === proof) shared = dot.seq;
      else other = dot.seq;
    }
    return shared;
  }

  async #ownStamp(dot: Dot): Promise<Stamp | undefined> {
    return dot.seq === 0 ? undefined : stampAt(this.#deps.replica, await this.#deps.replica.cut(), dot);
  }

  #settle(verdict: Verdict): void {
    this.#isSettled = true;
    this.#verdict.resolve(verdict);
  }

  async #report(): Promise<SiteReport> {
    const { replica, self, peers, ports } = this.#deps;
    const { vector, hlc } = await replica.cut();
    return { ...self, vector, hlc, wallMs: ports.clock.wallMs(), peers };
  }
}
