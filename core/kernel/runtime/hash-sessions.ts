import { SkerryError } from '../../contracts/index.ts';
import type { HashAlgorithm, HashSession } from '../../contracts/index.ts';
import { createDigest, hashNow } from './digests.ts';
import type { HashPool, Lane, Slot, SlotHolder } from './hash-pool.ts';

type Digests = Readonly<Partial<Record<HashAlgorithm, Uint8Array>>>;

function ended(): SkerryError {
  return new SkerryError('Closed', 'the hash session has ended');
}

/** Hashes on the calling thread: cheaper than any hand-off for small bodies. */
export class InlineSession implements HashSession {
  #digests: Map<HashAlgorithm, ReturnType<typeof createDigest>> | undefined;

  constructor(algorithms: readonly HashAlgorithm[]) {
    this.#digests = new Map(algorithms.map((algorithm) => [algorithm, createDigest(algorithm)]));
  }

  update(bytes: Uint8Array): void {
    if (this.#digests === undefined) throw ended();
    for (const digest of this.#digests.values()) digest.update(bytes);
  }

  async digest(): Promise<Digests> {
    const digests = this.#digests;
    if (digests === undefined) throw ended();
    this.#digests = undefined;
    return Object.fromEntries([...digests].map(([algorithm, digest]) => [algorithm, digest.finish()]));
  }

  abandon(): void {
    this.#digests = undefined;
  }
}

/**
 * Hashes on worker threads, all algorithms side by side. Bytes in shared memory are read where they are, and `update`
 * resolves when every worker has read them. Of other bytes `update` makes a copy in shared memory, so that they are free as
 * soon as it resolves; it waits only when all the pool's memory is in use. A stream that ends within its first
 * slot never leaves this thread.
 */
export class PooledSession implements HashSession, SlotHolder {
  readonly #pool: HashPool;
  readonly #algorithms: readonly HashAlgorithm[];
  #lanes: readonly Lane[] = [];
  #slot: Slot | undefined;
  #filled = 0;
  /** Updates that wait for memory, in order. */
  #tail: Promise<void> | undefined;
  #failure: SkerryError | undefined;

  constructor(pool: HashPool, algorithms: readonly HashAlgorithm[]) {
    this.#pool = pool;
    this.#algorithms = algorithms;
  }

  update(bytes: Uint8Array): Promise<void> | void {
    this.#assertLive();
    if (bytes.buffer instanceof SharedArrayBuffer) return this.#updateInPlace(bytes, bytes.buffer);
    if (this.#tail === undefined && this.#slot !== undefined && bytes.length < this.#pool.slotBytes - this.#filled) {
      this.#fill(this.#slot, bytes);
      return;
    }
    const previous = this.#tail;
    const tail = this.#updateSlowly(previous, bytes).finally(() => {
      if (this.#tail === tail) this.#tail = undefined;
    });
    this.#tail = tail;
    return tail;
  }

  async digest(): Promise<Digests> {
    await this.#tail;
    this.#assertLive();
    if (this.#lanes.length === 0) return this.#digestInline();
    this.flush();
    const lanes = this.#lanes;
    this.#end();
    const digests = await Promise.all(lanes.map((lane) => lane.thread.ask({ op: 'finish', lane: lane.id })));
    return Object.fromEntries(lanes.map((lane, index) => [lane.algorithm, digests[index]]));
  }

  abandon(): void {
    if (this.#failure !== undefined) return;
    const lanes = this.#lanes;
    this.#end();
    for (const lane of lanes) lane.thread.abandon(lane.id);
  }

  flush(): void {
    const slot = this.#slot;
    if (slot === undefined) return;
    const length = this.#filled;
    this.#slot = undefined;
    this.#filled = 0;
    this.#pool.unhold(this);
    void this.#dispatchSlot(slot, length);
  }

  /** Every lane gets its messages in this order, so nothing needs to wait but for copies that are not made yet. */
  async #updateInPlace({ byteOffset: offset, length }: Uint8Array, memory: SharedArrayBuffer): Promise<void> {
    if (this.#tail !== undefined) {
      await this.#tail;
      this.#assertLive();
    }
    this.flush();
    await this.#dispatch({ memory, offset, length });
  }

  async #updateSlowly(previous: Promise<void> | undefined, bytes: Uint8Array): Promise<void> {
    await previous;
    this.#assertLive();
    let rest = bytes;
    while (rest.length > 0) {
      // no await between having the slot and filling it: others may make a holder flush at any turn
      const slot = this.#slot ?? this.#accept(await this.#pool.take());
      const piece = rest.subarray(0, this.#pool.slotBytes - this.#filled);
      rest = rest.subarray(piece.length);
      this.#fill(slot, piece);
    }
  }

  #assertLive(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  #accept(slot: Slot): Slot {
    if (this.#failure === undefined) return (this.#slot = slot);
    this.#pool.release(slot);
    throw this.#failure;
  }

  #fill(slot: Slot, bytes: Uint8Array): void {
    slot.bytes.set(bytes, this.#filled);
    this.#filled += bytes.length;
    if (this.#filled === this.#pool.slotBytes) this.flush();
    else this.#pool.hold(this);
  }

  async #dispatchSlot(slot: Slot, length: number): Promise<void> {
    await this.#dispatch({ offset: slot.offset, length });
    this.#pool.release(slot);
  }

  /** Lets every lane read a region. Never rejects: a failure is kept for the next call. */
  async #dispatch(region: {
    readonly memory?: SharedArrayBuffer;
    readonly offset: number;
    readonly length: number;
  }): Promise<void> {
    try {
      if (this.#lanes.length === 0) this.#lanes = this.#pool.lanes(this.#algorithms);
      const answers = this.#lanes.map(({ id, algorithm, thread }) =>
        thread.ask({ op: 'update', lane: id, algorithm, ...region }),
      );
      // all, not race: a region that one lane still reads must not be filled anew
      const failed = (await Promise.allSettled(answers)).find((answer) => answer.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
    } catch (error) {
      const failure =
        error instanceof SkerryError ? error : new SkerryError('Internal', 'hashing failed', { cause: error });
      if (this.#failure === undefined) this.#fail(failure);
    }
  }

  #digestInline(): Digests {
    const bytes = this.#slot?.bytes.subarray(0, this.#filled) ?? new Uint8Array(0);
    const digests = this.#algorithms.map((algorithm) => [algorithm, hashNow(algorithm, bytes)]);
    this.#end();
    return Object.fromEntries(digests);
  }

  #fail(failure: SkerryError): void {
    const lanes = this.#lanes;
    this.#end();
    this.#failure = failure;
    for (const lane of lanes) lane.thread.abandon(lane.id);
  }

  /** Gives back what the session holds; from now on every call fails. */
  #end(): void {
    this.#failure = ended();
    for (const lane of this.#lanes) this.#pool.endLane(lane);
    this.#lanes = [];
    if (this.#slot === undefined) return;
    this.#pool.unhold(this);
    this.#pool.release(this.#slot);
    this.#slot = undefined;
  }
}
