/** The calls to one peer, typed. Each ends by itself when nothing comes for too long; what a peer answers is checked. */
import {
  SkerryError,
  type ChunkHash,
  type PeerLink,
  type SiteId,
  type Timer,
  type Timers,
} from '../contracts/index.ts';
import type { FetchedChunk } from '../engine/replica.ts';
import * as codec from './codec.ts';
import * as cuts from './codec-cuts.ts';
import type {
  CutAnswer,
  CutPageFrame,
  CutPagesRequest,
  CutReleaseAnswer,
  CutReleaseRequest,
  CutRequest,
  LeaseAnswer,
  LeaseRequest,
} from './cut-protocol.ts';
import * as turned from './turned-protocol.ts';
import type { TurnedAnswer, TurnedRequest, TurnFrame, TurnRequest } from './turned-protocol.ts';
import type {
  CallName,
  ChunkRef,
  HelloAnswer,
  HelloRequest,
  OpsFrame,
  OpsRequest,
  PushAnswer,
  PushRequest,
  PutChunksAnswer,
  PutChunksRequest,
  WantsAnswer,
  WantsRequest,
  WatermarksMessage,
} from './protocol.ts';

/** How long a peer may take to make use of a frame. */
const TAKING_MS = 60_000;

export interface CallsDeps {
  readonly link: PeerLink;
  readonly timers: Timers;
  readonly callTimeoutMs: number;
  /** Every received frame passes here: the bandwidth limit. */
  readonly onFrame: (bytes: number, signal: AbortSignal) => Promise<void>;
}

export interface OpsCallFrame {
  readonly frame: OpsFrame;
  readonly bytes: number;
}

export interface CutPageCallFrame {
  readonly page: CutPageFrame;
  readonly bytes: number;
}

export class PeerCalls {
  readonly #deps: CallsDeps;

  constructor(deps: CallsDeps) {
    this.#deps = deps;
  }

  hello(request: HelloRequest, signal: AbortSignal): Promise<HelloAnswer> {
    return this.#one('hello', codec.helloRequest.encode(request), codec.helloAnswer, signal);
  }

  push(request: PushRequest, signal: AbortSignal): Promise<PushAnswer> {
    return this.#one('push', codec.pushRequest.encode(request), codec.pushAnswer, signal);
  }

  wants(request: WantsRequest, signal: AbortSignal): Promise<WantsAnswer> {
    return this.#one('wants', codec.wantsRequest.encode(request), codec.wantsAnswer, signal, request.waitMs);
  }

  putChunks(request: PutChunksRequest, signal: AbortSignal): Promise<PutChunksAnswer> {
    return this.#one('put-chunks', codec.putChunksRequest.encode(request), codec.putChunksAnswer, signal);
  }

  watermarks(message: WatermarksMessage, signal: AbortSignal): Promise<WatermarksMessage> {
    return this.#one('watermarks', codec.watermarksMessage.encode(message), codec.watermarksMessage, signal);
  }

  cut(request: CutRequest, signal: AbortSignal): Promise<CutAnswer> {
    return this.#one('cut', cuts.cutRequest.encode(request), cuts.cutAnswer, signal);
  }

  /** Pages as they come; each is a part of its snapshot only once `checkPage` says so. */
  async *cutPages(request: CutPagesRequest, signal: AbortSignal): AsyncGenerator<CutPageCallFrame> {
    for await (const bytes of this.#frames('cut-pages', cuts.cutPagesRequest.encode(request), signal))
      yield { page: cuts.cutPageFrame.decode(bytes), bytes: bytes.length };
  }

  cutRelease(request: CutReleaseRequest, signal: AbortSignal): Promise<CutReleaseAnswer> {
    return this.#one('cut-release', cuts.cutReleaseRequest.encode(request), cuts.cutReleaseAnswer, signal);
  }

  lease(request: LeaseRequest, signal: AbortSignal): Promise<LeaseAnswer> {
    return this.#one('lease', cuts.leaseRequest.encode(request), cuts.leaseAnswer, signal);
  }

  /** Frames of an answer as they come, for calls that have a reader of their own. */
  stream(name: CallName, body: Uint8Array, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    return this.#frames(name, body, signal);
  }

  /** What the peer calls here over this link. */
  async *turn(request: TurnRequest, signal: AbortSignal): AsyncGenerator<TurnFrame> {
    for await (const bytes of this.#frames('turn', turned.turnRequest.encode(request), signal))
      yield turned.turnFrame.decode(bytes);
  }

  /** A part of an answer, which the peer may take its time to take. */
  turned(request: TurnedRequest, signal: AbortSignal): Promise<TurnedAnswer> {
    return this.#one('turned', turned.turnedRequest.encode(request), turned.turnedAnswer, signal, TAKING_MS);
  }

  async *ops(request: OpsRequest, signal: AbortSignal): AsyncGenerator<OpsCallFrame> {
    for await (const bytes of this.#frames('ops', codec.opsRequest.encode(request), signal, request.waitMs))
      yield { frame: codec.opsFrame.decode(bytes), bytes: bytes.length };
  }

  /** Chunks put together from their pieces; the ones that the peer does not have are left out. */
  async *chunks(protocol: number, chunks: readonly ChunkRef[], signal: AbortSignal): AsyncGenerator<FetchedChunk> {
    let growing: { readonly hash: ChunkHash; readonly into: Uint8Array; at: number } | undefined;
    const request = codec.chunksRequest.encode({ protocol, chunks });
    for await (const bytes of this.#frames('chunks', request, signal)) {
      const piece = codec.chunksFrame.decode(bytes);
      if (piece.kind === 'missing') continue;
      const { hash, record, length, offset } = piece;
      if (offset === 0) growing = { hash, into: new Uint8Array(length), at: 0 };
      if (growing?.hash !== hash || growing.at !== offset || growing.into.length !== length)
        throw new SkerryError('InvalidArgument', `a piece of ${hash} that does not go on where the last one ended`);
      growing.into.set(piece.bytes, offset);
      growing.at += piece.bytes.length;
      if (growing.at === length) yield { hash, kind: record, bytes: growing.into };
    }
  }

  async #one<T>(name: CallName, body: Uint8Array, answer: codec.Codec<T>, signal: AbortSignal, waitMs = 0): Promise<T> {
    return answer.decode(await codec.onlyFrame(this.#frames(name, body, signal, waitMs)));
  }

  async *#frames(name: CallName, body: Uint8Array, signal: AbortSignal, waitMs = 0): AsyncGenerator<Uint8Array> {
    const { link, timers, callTimeoutMs, onFrame } = this.#deps;
    const watch = watchdog(timers, callTimeoutMs + waitMs, signal);
    try {
      for await (const frame of link.call(name, body, watch.signal)) {
        watch.rest();
        await onFrame(frame.length, signal);
        yield frame;
        watch.start();
      }
    } catch (error) {
      if (watch.isLate()) throw new SkerryError('Timeout', `nothing came from the peer in answer to ${name}`);
      throw error;
    } finally {
      watch.end();
    }
  }
}

interface Watchdog {
  readonly signal: AbortSignal;
  start(): void;
  rest(): void;
  isLate(): boolean;
  end(): void;
}

/** A signal that aborts with another one, or when nothing came for `limitMs` while it was watching. */
function watchdog(timers: Timers, limitMs: number, outer: AbortSignal): Watchdog {
  const abort = new AbortController();
  const onOuter = (): void => abort.abort();
  let timer: Timer | undefined;
  let late = false;
  const start = (): void => {
    timer = timers.after(
      limitMs,
      () => {
        late = true;
        abort.abort();
      },
      { unref: true },
    );
  };
  const rest = (): void => timer?.cancel();
  if (outer.aborted) abort.abort();
  outer.addEventListener('abort', onOuter, { once: true });
  start();
  return {
    signal: abort.signal,
    start,
    rest,
    isLate: () => late,
    end() {
      rest();
      outer.removeEventListener('abort', onOuter);
    },
  };
}

/** Chunks of one peer, for the pool. */
export const chunkSource = (site: SiteId, calls: PeerCalls, protocol: number) => ({
  site,
  fetch: (chunks: readonly ChunkRef[], signal: AbortSignal) => calls.chunks(protocol, chunks, signal),
});
