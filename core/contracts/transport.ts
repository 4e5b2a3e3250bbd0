/**
 * Transport: calls between sites that carry opaque frames. The protocol (messages, versions, codecs) is replication's, so
 * every transport, the simulated one included, carries the same bytes.
 *
 * A call has a name (`[a-z][a-z0-9-]*`), a request body of 0 to 16 MiB, and an answer: a stream of frames of 0 to 16 MiB each, in
 * order, whole, exactly as yielded. Back-pressure: the serving generator is not advanced more than a bounded number of frames
 * (stated in `supports`) ahead of the reader.
 *
 * Ownership: frames and bodies must not change after they are handed over; the receiver owns what it gets.
 * Before `open` and after `close`: methods reject with `Closed`; running calls end with `Closed` at the reader and `return()` at the server.
 * Failures at the caller: `Unavailable` (cannot reach, link broke; retryable), `Unauthenticated`, `Aborted`, `TooLarge`, `Timeout`, or the
 * SkerryError (code, message, retryable, JSON details) that the serving side threw. A stream that breaks rejects; it never just ends.
 */
import type { Origin, SiteId } from './model.ts';
import type { Lifecycle } from './lifecycle.ts';

/** The caller as the transport authenticated it. */
export interface PeerIdentity {
  readonly site: SiteId;
  readonly origin: Origin;
}

export interface PeerAddress {
  readonly site: SiteId;
  readonly url: string;
}

export interface IncomingCall {
  readonly name: string;
  readonly from: PeerIdentity;
  readonly body: Uint8Array;
  /** Aborts when the caller cancelled or the link broke. */
  readonly signal: AbortSignal;
}

export type ServeCall = (call: IncomingCall) => AsyncIterable<Uint8Array>;

export interface PeerLink {
  /** May be called concurrently. Iterate to the end or `return()`; either releases the call. Not repeated by the transport. */
  call(name: string, body: Uint8Array, signal?: AbortSignal): AsyncIterable<Uint8Array>;
  /** Idempotent; running calls end with `Closed`. */
  close(): Promise<void>;
}

export interface Transport extends Lifecycle {
  /** Start answering calls with `serve`. At most once. Resolves with the addresses that it answers on (maybe none). */
  listen(self: PeerIdentity, serve: ServeCall): Promise<readonly string[]>;
  /** A link to one peer; connects lazily, reconnects by itself for each new call. */
  dial(peer: PeerAddress): PeerLink;
}

export interface TransportSupports {
  /** Crosses process boundaries. */
  readonly remote: boolean;
  /** Frames that may be in flight beyond what the reader took. */
  readonly windowFrames: number;
}
