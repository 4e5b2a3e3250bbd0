/** The Hashing port: on the calling thread for small bodies, on worker threads for large ones. */
import { availableParallelism } from 'node:os';
import { SkerryError } from '../../contracts/index.ts';
import type { HashAlgorithm, Hashing, HashSession } from '../../contracts/index.ts';
import { hashNow } from './digests.ts';
import { HashPool } from './hash-pool.ts';
import { InlineSession, PooledSession } from './hash-sessions.ts';

export interface NodeHashingOptions {
  /** Worker threads at most; default one for each core, 2 to 8. They start when first needed. */
  readonly threadsMax?: number;
  /** Bodies below this many bytes are hashed on the calling thread. Default 256 KiB. */
  readonly inlineBelowBytes?: number;
  /** Bytes of one hand-off; default 256 KiB, which fits a core's second cache. */
  readonly slotBytes?: number;
  /** Hand-offs in flight at most; default 16 (4 MiB of shared memory). */
  readonly slotsMax?: number;
}

const KIB = 1024;

class NodeHashing implements Hashing {
  readonly #pool: HashPool;
  readonly #inlineBelowBytes: number;

  constructor(pool: HashPool, inlineBelowBytes: number) {
    this.#pool = pool;
    this.#inlineBelowBytes = inlineBelowBytes;
  }

  hash(algorithm: HashAlgorithm, bytes: Uint8Array): Uint8Array {
    return hashNow(algorithm, bytes);
  }

  async hashAsync(algorithm: HashAlgorithm, bytes: Uint8Array): Promise<Uint8Array> {
    const session = this.session([algorithm], { expectedBytes: bytes.length });
    await session.update(bytes);
    const digest = (await session.digest())[algorithm];
    if (digest === undefined) throw new SkerryError('Internal', `no ${algorithm} digest`);
    return digest;
  }

  /** Without `expectedBytes` the stream counts as large, but one that ends within the first slot stays on this thread. */
  session(algorithms: readonly HashAlgorithm[], options: { readonly expectedBytes?: number } = {}): HashSession {
    this.#pool.assertOpen();
    const isSmall = (options.expectedBytes ?? Infinity) < this.#inlineBelowBytes;
    // CRC32 alone runs at 5 GB/s here: the copy to a worker would cost as much
    const isCheap = algorithms.every((algorithm) => algorithm === 'crc32');
    return isSmall || isCheap ? new InlineSession(algorithms) : new PooledSession(this.#pool, algorithms);
  }
}

/** `close` ends the worker threads; sessions still running reject `Closed`. Idempotent. */
export function createNodeHashing(options: NodeHashingOptions = {}): {
  readonly hashing: Hashing;
  readonly close: () => Promise<void>;
} {
  const pool = new HashPool({
    threadsMax: options.threadsMax ?? Math.min(8, Math.max(2, availableParallelism())),
    slotBytes: options.slotBytes ?? 256 * KIB,
    slotsMax: options.slotsMax ?? 16,
  });
  const hashing = new NodeHashing(pool, options.inlineBelowBytes ?? 256 * KIB);
  return { hashing, close: () => pool.close() };
}
