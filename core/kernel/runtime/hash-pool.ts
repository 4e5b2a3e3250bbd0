/**
 * Bounded pool of hash worker threads and of the shared memory through which they see bytes. One SharedArrayBuffer is cut
 * into slots; a session fills a slot (one memcpy), every lane of it reads the same slot side by side, and the slot is free
 * again when all have answered.
 */
import { SkerryError } from '../../contracts/index.ts';
import type { HashAlgorithm } from '../../contracts/index.ts';
import { HashThread } from './hash-thread.ts';

/** One algorithm of one session on one thread. */
export interface Lane {
  readonly id: number;
  readonly algorithm: HashAlgorithm;
  readonly thread: HashThread;
  readonly cost: number;
}

/** A region of the shared memory, owned by whoever took it until `release`. */
export interface Slot {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** Who holds a slot that is not full yet. */
export interface SlotHolder {
  /** Hand the slot to the workers now: somebody else waits for memory. */
  flush(): void;
}

export interface HashPoolOptions {
  readonly threadsMax: number;
  readonly slotBytes: number;
  readonly slotsMax: number;
}

/** CPU time a byte, relative (measured: 0.76, 1.7, 1.9, 5.7, 2.1 and 1.4 GB/s on one core). */
const COST: Readonly<Record<HashAlgorithm, number>> = {
  md5: 13,
  sha256: 6,
  sha1: 5,
  crc32: 2,
  crc32c: 5,
  crc64nvme: 7,
};

export class HashPool {
  readonly slotBytes: number;
  readonly #threadsMax: number;
  readonly #slotsMax: number;
  readonly #threads = new Set<HashThread>();
  readonly #holders = new Set<SlotHolder>();
  readonly #waiters: { readonly resolve: (slot: Slot) => void; readonly reject: (error: SkerryError) => void }[] = [];
  #memory: SharedArrayBuffer | undefined;
  #free: Slot[] = [];
  #laneCount = 0;
  #closed = false;

  constructor(options: HashPoolOptions) {
    this.slotBytes = options.slotBytes;
    this.#threadsMax = options.threadsMax;
    this.#slotsMax = options.slotsMax;
  }

  /** One lane an algorithm, the dearest first, each on the thread with the least to do. */
  lanes(algorithms: readonly HashAlgorithm[]): readonly Lane[] {
    this.assertOpen();
    const dearestFirst = [...algorithms].sort((a, b) => COST[b] - COST[a]);
    return dearestFirst.map((algorithm) => {
      const thread = this.#leastLoaded();
      this.#laneCount += 1;
      thread.load += COST[algorithm];
      return { id: this.#laneCount, algorithm, thread, cost: COST[algorithm] };
    });
  }

  endLane(lane: Lane): void {
    lane.thread.load -= lane.cost;
  }

  /** A slot at once when one is free, else in the order of asking. Rejects `Closed`. */
  take(): Slot | Promise<Slot> {
    this.assertOpen();
    this.#allocate();
    const slot = this.#waiters.length === 0 ? this.#free.pop() : undefined;
    if (slot !== undefined) return slot;
    const promise = new Promise<Slot>((resolve, reject) => this.#waiters.push({ resolve, reject }));
    // nobody may sit on a part-filled slot while others wait: it could be waiting for a slow client
    for (const holder of this.#holders) holder.flush();
    return promise;
  }

  release(slot: Slot): void {
    const waiter = this.#waiters.shift();
    if (waiter === undefined) this.#free.push(slot);
    else waiter.resolve(slot);
  }

  /** `holder` keeps a part-filled slot from now until `unhold`, unless somebody waits: then it must flush. */
  hold(holder: SlotHolder): void {
    if (this.#waiters.length > 0) holder.flush();
    else this.#holders.add(holder);
  }

  unhold(holder: SlotHolder): void {
    this.#holders.delete(holder);
  }

  assertOpen(): void {
    if (this.#closed) throw new SkerryError('Closed', 'the hash workers are closed');
  }

  /** Ends every thread; running sessions reject `Closed`. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    const closed = new SkerryError('Closed', 'the hash workers are closed');
    for (const waiter of this.#waiters.splice(0)) waiter.reject(closed);
    await Promise.all([...this.#threads].map((thread) => thread.close()));
  }

  #allocate(): SharedArrayBuffer {
    if (this.#memory !== undefined) return this.#memory;
    const memory = new SharedArrayBuffer(this.slotBytes * this.#slotsMax);
    this.#memory = memory;
    this.#free = Array.from({ length: this.#slotsMax }, (_, index) => {
      const offset = index * this.slotBytes;
      return { offset, bytes: new Uint8Array(memory, offset, this.slotBytes) };
    }).reverse();
    return memory;
  }

  #leastLoaded(): HashThread {
    let best: HashThread | undefined;
    for (const thread of this.#threads) if (best === undefined || thread.load < best.load) best = thread;
    const isBusy = best === undefined || best.load > 0;
    if (best !== undefined && !(isBusy && this.#threads.size < this.#threadsMax)) return best;
    const thread = new HashThread(this.#allocate(), (dead) => this.#threads.delete(dead));
    this.#threads.add(thread);
    return thread;
  }
}
