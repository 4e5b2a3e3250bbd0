/**
 * Frames on the wire: type (1 byte), length of the payload (4, big-endian), payload, MAC (16). The MAC counts: a frame that
 * was altered, left out, repeated or moved does not verify.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

import { SkerryError } from '../../core/contracts/index.ts';
import { ByteQueue } from './byte-queue.ts';
import { PAYLOAD_MAX_BYTES } from './protocol.ts';

export const FRAME = { data: 1, zstd: 2, gzip: 3, end: 4, error: 5, heartbeat: 6, credit: 7 } as const;
export type FrameType = (typeof FRAME)[keyof typeof FRAME];

export interface Frame {
  readonly type: FrameType;
  /** Owned by whoever gets it. */
  readonly payload: Uint8Array;
}

/** Longest payload by type; a type that is absent is refused. */
export type FrameLimits = Readonly<Partial<Record<number, number>>>;

/** Behind the length of the unpacked frame. */
export const RAW_LENGTH_BYTES = 4;
export const ERROR_MAX_BYTES = 64 * 1024;
const PACKED_MAX_BYTES = PAYLOAD_MAX_BYTES + RAW_LENGTH_BYTES;

export const SERVER_FRAMES: FrameLimits = {
  [FRAME.data]: PAYLOAD_MAX_BYTES,
  [FRAME.zstd]: PACKED_MAX_BYTES,
  [FRAME.gzip]: PACKED_MAX_BYTES,
  [FRAME.end]: 0,
  [FRAME.error]: ERROR_MAX_BYTES,
  [FRAME.heartbeat]: 0,
};
export const CALLER_FRAMES: FrameLimits = { [FRAME.credit]: 4, [FRAME.heartbeat]: 0 };

const HEAD_BYTES = 5;
const MAC_BYTES = 16;
/** Shorter frames are put together before they are written. */
const TOGETHER_MAX_BYTES = 16 * 1024;
const EMPTY = new Uint8Array(0);

class Counter {
  readonly #bytes = Buffer.alloc(8);
  #next = 0n;

  next(): Buffer {
    this.#bytes.writeBigUInt64BE(this.#next++);
    return this.#bytes;
  }
}

function macOf(key: Uint8Array, number: Uint8Array, head: Uint8Array, payload: Uint8Array): Buffer {
  return createHmac('sha256', key).update(number).update(head).update(payload).digest().subarray(0, MAC_BYTES);
}

/** Turns frames of one direction into bytes. */
export class FrameEncoder {
  readonly #key: Uint8Array;
  readonly #counter = new Counter();

  constructor(key: Uint8Array) {
    this.#key = key;
  }

  /** The pieces to write, one after another; must be written in the order of the calls. */
  encode(type: FrameType, payload: Uint8Array = EMPTY): readonly Uint8Array[] {
    const head = Buffer.alloc(HEAD_BYTES);
    head.writeUInt8(type);
    head.writeUInt32BE(payload.length, 1);
    const pieces = [head, payload, macOf(this.#key, this.#counter.next(), head, payload)];
    return payload.length <= TOGETHER_MAX_BYTES ? [Buffer.concat(pieces)] : pieces;
  }
}

/** Turns bytes of one direction into frames. Holds what has arrived of one frame, never what a length promises. */
export class FrameDecoder {
  readonly #key: Uint8Array;
  readonly #limits: FrameLimits;
  readonly #counter = new Counter();
  readonly #bytes = new ByteQueue();

  constructor(key: Uint8Array, limits: FrameLimits) {
    this.#key = key;
    this.#limits = limits;
  }

  /** Throws `Unavailable` or `TooLarge` for what is no frame, `Unauthenticated` for one that was not sent so. */
  *push(chunk: Uint8Array): Generator<Frame, undefined> {
    this.#bytes.append(chunk);
    while (this.#bytes.length >= HEAD_BYTES) {
      const head = this.#bytes.peek(HEAD_BYTES);
      const length = this.#checkedLength(head);
      if (this.#bytes.length < HEAD_BYTES + length + MAC_BYTES) return;
      this.#bytes.take(HEAD_BYTES);
      const payload = this.#bytes.take(length);
      const mac = this.#bytes.take(MAC_BYTES);
      if (!timingSafeEqual(mac, macOf(this.#key, this.#counter.next(), head, payload)))
        throw new SkerryError('Unauthenticated', 'a frame that the peer did not send so: the bytes were altered');
      yield { type: head[0] as FrameType, payload };
    }
  }

  #checkedLength(head: Uint8Array): number {
    const type = head[0] ?? 0;
    const length = new DataView(head.buffer).getUint32(1);
    const limit = this.#limits[type];
    if (limit === undefined) throw new SkerryError('Unavailable', `broken stream: no frame has type ${type} here`);
    if (length > limit) throw new SkerryError('TooLarge', `a frame of ${length} bytes, at most ${limit}`);
    return length;
  }
}
