/** Frames of the protocol: the length of a JSON head as a big-endian u32, the head, then raw bytes. */
import { SkerryError } from '../contracts/index.ts';

const LENGTH_BYTES = 4;
/** Values of one head. Parsed, an empty object takes twenty times the bytes that it is written with. */
const VALUES_MAX = 1_000_000;
/** What stands between JSON values, or around them. */
const COMMA = 0x2c;
const OPENING = [0x5b, 0x7b];

export interface Frame {
  readonly head: unknown;
  /** Bytes of the head as it came. */
  readonly headBytes: number;
  /** What follows the head: a view, not a copy. */
  readonly raw: Uint8Array;
}

export function encodeFrame(head: object, raw: readonly Uint8Array[] = []): Uint8Array {
  const json = Buffer.from(JSON.stringify(head), 'utf8');
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(json.length);
  return Buffer.concat([length, json, ...raw]);
}

/** `InvalidArgument` for bytes that are no frame. */
export function decodeFrame(bytes: Uint8Array): Frame {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headBytes = buffer.length < LENGTH_BYTES ? Number.POSITIVE_INFINITY : buffer.readUInt32BE(0);
  const end = LENGTH_BYTES + headBytes;
  if (end > buffer.length) throw malformed(`a frame of ${buffer.length} bytes that is cut short`);
  const json = buffer.subarray(LENGTH_BYTES, end);
  if (headBytes > VALUES_MAX && valuesIn(json) > VALUES_MAX)
    throw malformed(`a frame whose head has more than ${VALUES_MAX} values`);
  return { head: parse(json), headBytes, raw: bytes.subarray(end) };
}

/** At least as many as there are. */
function valuesIn(json: Uint8Array): number {
  let count = 1;
  for (const byte of json) if (byte === COMMA || OPENING.includes(byte)) count++;
  return count;
}

/** Cuts `raw` into pieces of these lengths, which must add up to it. */
export function cutRaw(raw: Uint8Array, lengths: readonly number[]): readonly Uint8Array[] {
  const total = lengths.reduce((sum, length) => sum + length, 0);
  if (total !== raw.length) throw malformed(`${raw.length} raw bytes where ${total} were announced`);
  let at = 0;
  return lengths.map((length) => raw.subarray(at, (at += length)));
}

function parse(json: Buffer): unknown {
  try {
    return JSON.parse(json.toString('utf8')) as unknown;
  } catch (error) {
    throw malformed('a frame whose head is not JSON', error);
  }
}

function malformed(message: string, cause?: unknown): SkerryError {
  return new SkerryError('InvalidArgument', message, cause === undefined ? {} : { cause });
}
