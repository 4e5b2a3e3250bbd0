/** zstd and gzip, where they pay. Short inputs are done at once, long ones off the event loop. */
import { promisify } from 'node:util';
import { constants, gunzip, gunzipSync, gzip, gzipSync } from 'node:zlib';
import { zstdCompress, zstdCompressSync, zstdDecompress, zstdDecompressSync } from 'node:zlib';

import { SkerryError } from '../../core/contracts/index.ts';

export type Encoding = 'none' | 'zstd' | 'gzip';

const WORTH_MIN_BYTES = 1024;
/** Compressed to more than this share, bytes are sent as they are. */
const WORTH_MAX_RATIO = 0.9;
/** Up to here the event loop is held less long than a thread costs. */
const AT_ONCE_MAX_BYTES = 128 * 1024;
/** Of longer inputs a piece of this length is tried first. */
const PROBE_BYTES = 8 * 1024;
/** The decoder's memory: a frame may not ask for a window longer than the longest frame. */
const ZSTD_WINDOW_LOG_MAX = 24;

const GZIP = { level: 1 };
const ZSTD = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };
const gzipAside = promisify<Uint8Array, object, Buffer>(gzip);
const gunzipAside = promisify<Uint8Array, object, Buffer>(gunzip);
const zstdAside = promisify<Uint8Array, object, Buffer>(zstdCompress);
const unzstdAside = promisify<Uint8Array, object, Buffer>(zstdDecompress);

/** `undefined` where it does not pay. */
export async function compress(bytes: Uint8Array, encoding: Encoding): Promise<Uint8Array | undefined> {
  if (encoding === 'none' || bytes.length <= WORTH_MIN_BYTES) return undefined;
  const deflated = bytes.length <= AT_ONCE_MAX_BYTES ? atOnce(bytes, encoding) : await aside(bytes, encoding);
  return deflated !== undefined && pays(deflated, bytes) ? deflated : undefined;
}

async function aside(bytes: Uint8Array, encoding: 'zstd' | 'gzip'): Promise<Uint8Array | undefined> {
  const middle = Math.floor((bytes.length - PROBE_BYTES) / 2);
  const probe = bytes.subarray(middle, middle + PROBE_BYTES);
  if (!pays(atOnce(probe, encoding), probe)) return undefined;
  return encoding === 'zstd' ? zstdAside(bytes, ZSTD) : gzipAside(bytes, GZIP);
}

function atOnce(bytes: Uint8Array, encoding: 'zstd' | 'gzip'): Uint8Array {
  return encoding === 'zstd' ? zstdCompressSync(bytes, ZSTD) : gzipSync(bytes, GZIP);
}

function pays(deflated: Uint8Array, bytes: Uint8Array): boolean {
  return deflated.length < bytes.length * WORTH_MAX_RATIO;
}

/** Exactly `rawBytes` bytes, with a buffer of their own; `Corrupt` for anything else. More is never unpacked. */
export async function expand(bytes: Uint8Array, encoding: 'zstd' | 'gzip', rawBytes: number): Promise<Uint8Array> {
  const limit = { maxOutputLength: Math.max(rawBytes, 1) };
  const unzstd = { ...limit, params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG_MAX } };
  let raw: Buffer;
  try {
    if (rawBytes <= AT_ONCE_MAX_BYTES)
      raw = encoding === 'zstd' ? zstdDecompressSync(bytes, unzstd) : gunzipSync(bytes, limit);
    else raw = await (encoding === 'zstd' ? unzstdAside(bytes, unzstd) : gunzipAside(bytes, limit));
  } catch (error) {
    throw new SkerryError('Corrupt', `a ${encoding} frame that does not unpack`, { cause: error });
  }
  if (raw.length !== rawBytes)
    throw new SkerryError('Corrupt', `a ${encoding} frame of ${raw.length} bytes that says ${rawBytes}`);
  return raw.length === raw.buffer.byteLength ? new Uint8Array(raw.buffer) : new Uint8Array(raw);
}
