/** One HTTP request and its answer, both open at once: what the protocol needs of node:http, seen from either end. */

/** The caller's end. Bytes flow both ways until either side ends or the connection breaks. */
export interface OutgoingExchange {
  write(bytes: Uint8Array): void;
  /** Nothing more is written; the connection is used again once the answer has ended, too. */
  end(): void;
  /** Stops bytes from coming, by back-pressure. */
  pause(): void;
  resume(): void;
  /** Cuts the connection. No event follows. Idempotent. */
  destroy(): void;
}

export interface OutgoingEvents {
  head(status: number, answer: string | undefined): void;
  bytes(chunk: Uint8Array): void;
  /** The answer ended as HTTP. */
  ended(): void;
  /** It broke; nothing follows. `isUntouched`: a connection that had lain idle died before the peer answered anything. */
  broke(cause: unknown, isUntouched: boolean): void;
}

export interface OutgoingRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Not over a connection that has lain idle. */
  readonly isFresh: boolean;
}

/** Connections to one peer. */
export interface Connector {
  request(request: OutgoingRequest, events: OutgoingEvents): OutgoingExchange;
  /** Idle connections are closed; running exchanges are the callers' to destroy. */
  close(): void;
}

/** The serving end. */
export interface IncomingExchange {
  readonly method: string;
  /** As it came: nothing is decoded or folded. */
  readonly path: string;
  readonly authorization: string | undefined;
  /** Whom to name in a log. */
  readonly remote: string;
  /** A whole answer. What the caller still sends is read and thrown away, for a while. */
  refuse(status: number, headers: Readonly<Record<string, string>>, body: Uint8Array): void;
  /** The head of a stream. */
  begin(headers: Readonly<Record<string, string>>, events: IncomingEvents): void;
  /** False: wait for `drained`. */
  write(pieces: readonly Uint8Array[]): boolean;
  /** Resolves when more may be written, or the connection is gone. */
  drained(): Promise<void>;
  end(): void;
  /** Cuts the connection. Idempotent. */
  destroy(): void;
}

export interface IncomingEvents {
  bytes(chunk: Uint8Array): void;
  /** The connection is gone, or the caller ended its request; comes once. */
  gone(): void;
}
