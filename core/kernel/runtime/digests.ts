/** The hash functions themselves, shared by the main thread and the hash workers. */
import crypto from 'node:crypto';
import zlib from 'node:zlib';
import { createCRC32, createCRC64 } from 'hash-wasm';
import type { HashAlgorithm } from '../../contracts/index.ts';

/** Incremental hash of one byte stream on the calling thread. */
export interface Digest {
  update(bytes: Uint8Array): void;
  /** Ends the digest. Big-endian for CRCs. The caller owns the result. */
  finish(): Uint8Array;
}

type WasmHasher = Awaited<ReturnType<typeof createCRC32>>;

// One WASM instance a polynomial serves every stream: its state is 8 to 12 bytes and is saved and loaded around each
// update (about 1 us). Castagnoli, reversed: RFC 3720; CRC-64/NVME, reversed: NVM Express base specification 2.0.
const crc32c = await createCRC32(0x82f63b78);
const crc64nvme = await createCRC64('9a6c9329ac4bc9b5');
const INITIAL: ReadonlyMap<WasmHasher, Uint8Array> = new Map(
  [crc32c, crc64nvme].map((hasher) => [hasher, hasher.init().save()]),
);

class WasmDigest implements Digest {
  readonly #hasher: WasmHasher;
  #state: Uint8Array | undefined;

  constructor(hasher: WasmHasher) {
    this.#hasher = hasher;
    this.#state = INITIAL.get(hasher);
  }

  update(bytes: Uint8Array): void {
    this.#load().update(bytes);
    this.#state = this.#hasher.save();
  }

  finish(): Uint8Array {
    return this.#load().digest('binary');
  }

  #load(): WasmHasher {
    if (this.#state === undefined) throw new Error('a WASM hasher without its initial state');
    return this.#hasher.load(this.#state);
  }
}

function bigEndian32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

class Crc32Digest implements Digest {
  #crc = 0;

  update(bytes: Uint8Array): void {
    this.#crc = zlib.crc32(bytes, this.#crc);
  }

  finish(): Uint8Array {
    return bigEndian32(this.#crc);
  }
}

class OpenSslDigest implements Digest {
  readonly #hash: crypto.Hash;

  constructor(algorithm: 'md5' | 'sha1' | 'sha256') {
    this.#hash = crypto.createHash(algorithm);
  }

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes);
  }

  finish(): Uint8Array {
    return this.#hash.digest();
  }
}

export function createDigest(algorithm: HashAlgorithm): Digest {
  switch (algorithm) {
    case 'md5':
    case 'sha1':
    case 'sha256':
      return new OpenSslDigest(algorithm);
    case 'crc32':
      return new Crc32Digest();
    case 'crc32c':
      return new WasmDigest(crc32c);
    case 'crc64nvme':
      return new WasmDigest(crc64nvme);
  }
}

/** One-shot on the calling thread; `crypto.hash` saves the Hash object that `createHash` makes. */
export function hashNow(algorithm: HashAlgorithm, bytes: Uint8Array): Uint8Array {
  switch (algorithm) {
    case 'md5':
    case 'sha1':
    case 'sha256':
      return crypto.hash(algorithm, bytes, 'buffer');
    case 'crc32':
      return bigEndian32(zlib.crc32(bytes));
    case 'crc32c':
      return crc32c.init().update(bytes).digest('binary');
    case 'crc64nvme':
      return crc64nvme.init().update(bytes).digest('binary');
  }
}
