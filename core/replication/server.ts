/** The answering side of the protocol: what a site does for its peers. */
import {
  isSkerryError,
  SkerryError,
  type ChunkHash,
  type IncomingCall,
  type Origin,
  type VersionVector,
} from '../contracts/index.ts';
import type { WireOp } from '../engine/replica.ts';
import { coversDot, joinVectors, seqOf } from '../engine/vector.ts';
import type { Bootstrap } from './bootstrap.ts';
import * as codec from './codec.ts';
import { fenceAgainst, lastStampOf, stampAt } from './fencing.ts';
import { isSameTime } from './handshake.ts';
import type { ReplicationOptions } from './options.ts';
import { Borrower } from './turned.ts';
import { CutDesk } from './serve-cuts.ts';
import { DigestDesk } from './serve-digest.ts';
import type { SiteContext } from './site-context.ts';
import { soundChunk } from './sound-chunk.ts';
import { CALLS, negotiate, PROTOCOL, requireVersion, type CallName, type WatermarksMessage } from './protocol.ts';

/** Bytes of one piece of a chunk. */
const PIECE_BYTES = 1024 * 1024;

type Answer = AsyncGenerator<Uint8Array, void, undefined>;

export class Server {
  readonly #site: SiteContext;
  readonly #answers: Readonly<Record<CallName, (call: IncomingCall) => Answer>> = {
    hello: (call) => this.#hello(call),
    ops: (call) => this.#ops(call),
    push: (call) => this.#push(call),
    chunks: (call) => this.#chunks(call),
    wants: (call) => this.#wants(call),
    'put-chunks': (call) => this.#putChunks(call),
    watermarks: (call) => this.#watermarks(call),
    cut: (call) => this.#cuts.cut(call),
    'cut-pages': (call) => this.#cuts.pages(call),
    'cut-release': (call) => this.#cuts.release(call),
    lease: (call) => this.#cuts.lease(call),
    turn: (call) => this.#borrower.turn(call),
    turned: (call) => this.#borrower.turned(call),
    digest: (call) => this.#digests.digest(call),
    'digest-entities': (call) => this.#digests.digestEntities(call),
    entities: (call) => this.#digests.entities(call),
  };
  readonly #cuts: CutDesk;
  readonly #borrower: Borrower;
  readonly #digests: DigestDesk;

  constructor(site: SiteContext, bootstrap: Bootstrap) {
    this.#site = site;
    this.#cuts = new CutDesk(site);
    this.#borrower = new Borrower(site, bootstrap);
    this.#digests = new DigestDesk(site.auditor);
  }

  async *serve(call: IncomingCall): Answer {
    const name = CALLS.find((one) => one === call.name);
    if (name === undefined) throw new SkerryError('NotSupported', `no call of the protocol: ${call.name}`);
    if (this.#site.signal.aborted)
      throw new SkerryError('Unavailable', 'replication of this site has stopped: it closes, or is fenced');
    // first: who was removed is no second one of its site id
    await this.#site.membership.admit(call.from);
    const leave = this.#site.callers.enter(call.from);
    try {
      yield* this.#answers[name](call);
    } catch (error) {
      if (isSkerryError(error, 'InvalidArgument'))
        this.#site.logger.error(
          { err: error, peer: call.from, call: name },
          'a peer sent what the protocol does not have',
        );
      throw error;
    } finally {
      leave();
    }
  }

  async *#hello({ body, from }: IncomingCall): Answer {
    const { replica, report, fence, onHandshake, callers, clock, options } = this.#site;
    const asked = codec.helloRequest.decode(body);
    if (asked.site !== from.site || asked.origin !== from.origin)
      throw new SkerryError('InvalidArgument', `${from.origin} calls itself ${asked.origin}`);
    callers.meet(from, asked.session);
    const protocol = negotiate(PROTOCOL, asked.protocol);
    if (asked.evicted !== undefined) await this.#site.membership.heed(asked, asked.evicted);
    await this.#site.membership.judge(asked);
    const fenced = await fenceAgainst(replica, asked);
    const wallMs = clock.wallMs();
    const agreed = isSameTime(asked.wallMs - wallMs, 0, options)
      ? { agreedOffsetMs: wallMs - clock.monotonicMs() }
      : {};
    if (fenced === undefined) onHandshake({ site: asked.site, vector: asked.vector, ...agreed });
    else fence(fenced);
    const cut = await replica.cut();
    const yours = await lastStampOf(replica, cut, asked.origin);
    const proof = asked.prove && (await stampAt(replica, cut, asked.prove));
    yield codec.helloAnswer.encode({
      ...(await report()),
      protocol,
      ...(yours === undefined ? {} : { yours }),
      ...(proof === undefined ? {} : { proof }),
    });
  }

  /** Pages until the asker has everything, then what is new as it comes, until the wait is over. */
  async *#ops({ body, from, signal }: IncomingCall): Answer {
    const { replica, callers, commits, clock, options } = this.#site;
    const { protocol, have, skip, waitMs } = codec.opsRequest.decode(body);
    requireVersion(protocol);
    const endMs = clock.monotonicMs() + waitMs;
    await this.#site.leases.used(from.origin, have);
    const done = callers.pulls(from.site);
    let [cursor, isCaughtUp] = [have, false];
    try {
      while (!signal.aborted && !this.#site.signal.aborted) {
        const seen = commits.count;
        // What it writes while the call is open comes back by us with everybody else's: it has that.
        const unwanted = isCaughtUp ? [...skip, from.origin] : skip;
        const page = await replica.opsAfter(await this.#without(cursor, unwanted), limitOf(options));
        if (page.kind === 'gap') return yield codec.opsFrame.encode(page);
        if (page.ops.length > 0) yield codec.opsFrame.encode({ kind: 'page', ops: page.ops });
        cursor = behind(cursor, page.ops);
        if (page.more) continue;
        if (!isCaughtUp) {
          const { vector, hlc } = await replica.cut();
          yield codec.opsFrame.encode({ kind: 'caught-up', vector, hlc });
          isCaughtUp = true;
        }
        const leftMs = endMs - clock.monotonicMs();
        if (leftMs <= 0) return yield codec.opsFrame.encode({ kind: 'end' });
        await commits.wait(seen, leftMs, signal);
      }
    } finally {
      done();
      await this.#site.leases.used(from.origin, have);
    }
  }

  /** A vector for which nothing of the skipped origins is sent. */
  async #without(have: VersionVector, skip: readonly Origin[]): Promise<VersionVector> {
    if (skip.length === 0) return have;
    const { vector } = await this.#site.replica.cut();
    return joinVectors(have, Object.fromEntries(skip.map((origin) => [origin, seqOf(vector, origin)])));
  }

  async *#push({ body, from }: IncomingCall): Answer {
    const { inbox, replica, kept } = this.#site;
    const { protocol, ops } = codec.pushRequest.decode(body);
    requireVersion(protocol);
    await inbox.receive(ops, { from: from.site, via: from.origin, pushedBytes: body.length });
    const { vector, hlc } = await replica.cut();
    const isTaken = ops.every(({ op }) => coversDot(vector, op.dot));
    const half = isTaken || (await kept?.merging())?.from !== from.site ? {} : { isHalf: true as const };
    yield codec.pushAnswer.encode({ vector, hlc, blocked: inbox.blocked(), ...half });
  }

  async *#chunks({ body, signal }: IncomingCall): Answer {
    const { protocol, chunks } = codec.chunksRequest.decode(body);
    requireVersion(protocol);
    const missing: ChunkHash[] = [];
    for (const { hash, holder } of chunks) {
      if (signal.aborted) return;
      const chunk = await soundChunk(this.#site, hash, holder);
      if (chunk === undefined) {
        missing.push(hash);
        continue;
      }
      const { kind: record, bytes } = chunk;
      for (let offset = 0; offset === 0 || offset < bytes.length; offset += PIECE_BYTES) {
        const piece = bytes.subarray(offset, offset + PIECE_BYTES);
        yield codec.chunksFrame.encode({ kind: 'piece', hash, record, length: bytes.length, offset, bytes: piece });
      }
    }
    if (missing.length > 0) yield codec.chunksFrame.encode({ kind: 'missing', hashes: missing });
  }

  async *#wants({ body, from, signal }: IncomingCall): Answer {
    const { fetcher, clock } = this.#site;
    const { protocol, waitMs } = codec.wantsRequest.decode(body);
    requireVersion(protocol);
    const endMs = clock.monotonicMs() + waitMs;
    const answered = fetcher.bringers.asks(from.site);
    try {
      for (;;) {
        const seen = fetcher.wantsChanged.count;
        const chunks = await fetcher.wanted(codec.HASHES_MAX);
        const leftMs = endMs - clock.monotonicMs();
        if (chunks.length > 0 || leftMs <= 0 || signal.aborted || this.#site.signal.aborted) {
          answered(chunks);
          return yield codec.wantsAnswer.encode({ chunks });
        }
        await fetcher.wantsChanged.wait(seen, leftMs, signal);
      }
    } finally {
      answered([]);
    }
  }

  async *#putChunks({ body, from }: IncomingCall): Answer {
    const { protocol, chunks } = codec.putChunksRequest.decode(body);
    requireVersion(protocol);
    const stored = await this.#site.fetcher.offer(from.site, chunks);
    yield codec.putChunksAnswer.encode({ stored });
  }

  async *#watermarks({ body, from }: IncomingCall): Answer {
    const { watermarks, membership } = this.#site;
    const { protocol, marks } = codec.watermarksMessage.decode(body);
    requireVersion(protocol);
    await watermarks.receive(marks);
    await membership.tend(marks.find(({ origin }) => origin === from.origin)?.vector);
    const answer: WatermarksMessage = { protocol, marks: await watermarks.report() };
    yield codec.watermarksMessage.encode(answer);
  }
}

/** The vector of who has applied these ops too. */
export function behind(have: VersionVector, ops: readonly WireOp[]): VersionVector {
  const vector: Record<Origin, number> = { ...have };
  for (const { op } of ops) vector[op.dot.origin] = Math.max(vector[op.dot.origin] ?? 0, op.dot.seq);
  return vector;
}

const limitOf = ({ pageMaxOps, pageMaxBytes }: ReplicationOptions) => ({ maxOps: pageMaxOps, maxBytes: pageMaxBytes });
