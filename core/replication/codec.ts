/** Messages to bytes and back. Decoding trusts nothing: what it returns has the shape that its type says. */
import { SkerryError, type ChunkHash } from '../contracts/index.ts';
import type { FetchedChunk, WireOp } from '../engine/replica.ts';
import { listOf, oneOf, optional, record, refuse, textLike, whole, yes, type Check } from './check.ts';
import { cutRaw, decodeFrame, encodeFrame, type Frame } from './frames.ts';
import {
  chunkHash,
  firstOps,
  hlc,
  origin,
  origins,
  peers,
  seq,
  siteId,
  stamp,
  vector,
  wallMs,
} from './identity-checks.ts';
import { bucket, checkOpSize, chunkLength, key, opCheck, recordKind } from './op-checks.ts';
import type {
  ChunksFrame,
  ChunksRequest,
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

/** Most ops of one message. */
export const OPS_MAX = 2048;
/** Most hashes of one request. */
export const HASHES_MAX = 1024;
const CHUNKS_MAX = 1024;
const MARKS_MAX = 1024;
const WAIT_MAX_MS = 10 * 60_000;
const VERSION_MAX = 1_000_000;

export interface Codec<T> {
  encode(message: T): Uint8Array;
  /** `InvalidArgument` for whatever is not such a message. */
  decode(bytes: Uint8Array): T;
}

export const version = whole(1, VERSION_MAX);
const chunkRefs = listOf(record({ hash: chunkHash, holder: record({ bucket, key, stamp }) }), HASHES_MAX);
const hashes: Check<readonly ChunkHash[]> = listOf(chunkHash, HASHES_MAX);
const waitMs = whole(0, WAIT_MAX_MS);
const session = textLike(/^[0-9a-f]{16}$/, 'the id of a session');
const proving = { prove: optional(record({ origin, seq })), proof: optional(stamp) };
const firstOpMs = optional(firstOps);
const report = { site: siteId, origin, vector, hlc, wallMs, peers, firstOpMs, session: optional(session), ...proving };

/** A message that is all head. */
export function headOnly<T extends object>(check: Check<unknown>): Codec<T> {
  return {
    encode: (message) => encodeFrame(message),
    decode: (bytes) => headOf<T>(decodeFrame(bytes), check),
  };
}

function headOf<T>({ head, raw }: Frame, check: Check<unknown>): T {
  if (raw.length > 0) refuse('message', 'raw bytes where none belong');
  return check(head, 'message') as T;
}

export const helloRequest = headOnly<HelloRequest>(
  record({
    ...report,
    protocol: record({ min: version, max: version }),
    evicted: optional(record({ origin, knownSeq: whole(0) })),
  }),
);
export const helloAnswer = headOnly<HelloAnswer>(record({ ...report, protocol: version, yours: optional(stamp) }));
export const opsRequest = headOnly<OpsRequest>(record({ protocol: version, have: vector, skip: origins, waitMs }));
export const pushAnswer = headOnly<PushAnswer>(record({ vector, hlc, blocked: origins, isHalf: optional(yes) }));
export const chunksRequest = headOnly<ChunksRequest>(record({ protocol: version, chunks: chunkRefs }));
export const wantsRequest = headOnly<WantsRequest>(record({ protocol: version, waitMs }));
export const wantsAnswer = headOnly<WantsAnswer>(record({ chunks: chunkRefs }));
export const putChunksAnswer = headOnly<PutChunksAnswer>(record({ stored: whole(0, CHUNKS_MAX) }));
export const watermarksMessage = headOnly<WatermarksMessage>(
  record({ protocol: version, marks: listOf(record({ origin, hlc, vector }), MARKS_MAX) }),
);

const shippedOp = record({ op: opCheck, body: optional(chunkLength) });
const shippedOps = listOf(shippedOp, OPS_MAX);

/** Ops in the head, the lengths of their bodies beside them, the bodies behind. */
const packOps = (ops: readonly WireOp[]) => ({
  head: ops.map(({ op, body }) => (body === undefined ? { op } : { op, body: body.length })),
  raw: ops.flatMap(({ body }) => (body === undefined ? [] : [body])),
});

function unpackOps(given: unknown, { raw, headBytes }: Frame): readonly WireOp[] {
  const ops = shippedOps(given, 'ops');
  const bodies = cutRaw(
    raw,
    ops.flatMap(({ body }) => body ?? []),
  );
  let next = 0;
  return ops.map(({ op, body }, index) => {
    checkOpSize(op, headBytes, `ops[${index}]`);
    return body === undefined ? { op } : { op, body: bodies[next++] as Uint8Array };
  });
}

export const pushRequest: Codec<PushRequest> = {
  encode({ protocol, ops }) {
    const { head, raw } = packOps(ops);
    return encodeFrame({ protocol, ops: head }, raw);
  },
  decode(bytes) {
    const frame = decodeFrame(bytes);
    const { protocol, ops } = pushHead(frame.head, 'message');
    return { protocol, ops: unpackOps(ops, frame) };
  },
};
const anything: Check<unknown> = (value) => value;
const pushHead = record({ protocol: version, ops: anything });

const gapHead = record({ origin, trimmedTo: seq });
const caughtUpHead = record({ vector, hlc });
const opsKind = record({ kind: oneOf('page', 'gap', 'caught-up', 'end'), ops: anything });

export const opsFrame: Codec<OpsFrame> = {
  encode(message) {
    if (message.kind !== 'page') return encodeFrame(message);
    const { head, raw } = packOps(message.ops);
    return encodeFrame({ kind: 'page', ops: head }, raw);
  },
  decode(bytes) {
    const frame = decodeFrame(bytes);
    const { kind, ops } = opsKind(frame.head, 'message');
    switch (kind) {
      case 'page':
        return { kind, ops: unpackOps(ops, frame) };
      case 'gap':
        return { kind, ...headOf<{ readonly origin: string; readonly trimmedTo: number }>(frame, gapHead) };
      case 'caught-up': {
        const { vector, hlc } = headOf<ReturnType<typeof caughtUpHead>>(frame, caughtUpHead);
        return { kind, vector, hlc };
      }
      case 'end':
        headOf(frame, anything);
        return { kind };
    }
  },
};

const pieceHead = record({ hash: chunkHash, record: recordKind, length: chunkLength, offset: chunkLength });
const missingHead = record({ hashes });
const chunksKind = record({ kind: oneOf('piece', 'missing') });

export const chunksFrame: Codec<ChunksFrame> = {
  encode(message) {
    if (message.kind === 'missing') return encodeFrame(message);
    const { bytes, ...head } = message;
    return encodeFrame(head, [bytes]);
  },
  decode(bytes) {
    const frame = decodeFrame(bytes);
    const { kind } = chunksKind(frame.head, 'message');
    if (kind === 'missing') return { kind, hashes: headOf<ReturnType<typeof missingHead>>(frame, missingHead).hashes };
    const { hash, record, length, offset } = pieceHead(frame.head, 'message');
    if (offset + frame.raw.length > length) refuse('message', 'a piece that goes past the end of its chunk');
    return { kind, hash, record, length, offset, bytes: frame.raw };
  },
};

const putChunksHead = record({
  protocol: version,
  chunks: listOf(record({ hash: chunkHash, kind: recordKind, length: chunkLength }), CHUNKS_MAX),
});

export const putChunksRequest: Codec<PutChunksRequest> = {
  encode({ protocol, chunks }) {
    const head = { protocol, chunks: chunks.map(({ hash, kind, bytes }) => ({ hash, kind, length: bytes.length })) };
    return encodeFrame(
      head,
      chunks.map(({ bytes }) => bytes),
    );
  },
  decode(bytes) {
    const frame = decodeFrame(bytes);
    const { protocol, chunks } = putChunksHead(frame.head, 'message');
    const pieces = cutRaw(
      frame.raw,
      chunks.map(({ length }) => length),
    );
    return {
      protocol,
      chunks: chunks.map(({ hash, kind }, index): FetchedChunk => ({ hash, kind, bytes: pieces[index] as Uint8Array })),
    };
  },
};

/** The only frame of an answer. `Unavailable` when there is none or more than one. */
export async function onlyFrame(frames: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  let only: Uint8Array | undefined;
  for await (const frame of frames) {
    if (only !== undefined) throw new SkerryError('Unavailable', 'an answer of more frames than the call has');
    only = frame;
  }
  if (only === undefined) throw new SkerryError('Unavailable', 'an answer without a frame');
  return only;
}
