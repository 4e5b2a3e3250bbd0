/**
 * Bytes that all uploads together may hold. An upload takes what it has received, hands it on chunk by chunk, and gives it
 * back when the chunk is stored. Asking is first come, first served. While somebody waits, the upload that holds the most is made
 * to hand on what it has, so that stalled clients cannot sit on the memory of the others, and nobody waits for ever.
 */
import { SkerryError } from '../contracts/index.ts';

export interface BudgetLease {
  /** Resolves (`undefined`: at once) when `bytes` are granted. Rejects `Aborted` when the signal aborts first. */
  take(bytes: number, signal?: AbortSignal): Promise<void> | undefined;
  /** `bytes` that were held are being stored now, and will be given back without anybody's doing. */
  handOn(bytes: number): void;
  /** True when others wait for what is held here: hand it on as soon as possible. */
  asked(): boolean;
  /** `bytes` that were handed on are free. */
  give(bytes: number): void;
  /** Gives back what is held. The lease cannot be used afterwards, but for `give`. */
  close(): void;
}

export interface MemoryBudget {
  /** `handOnAll` is called, synchronously, when this lease should hand on all that it holds. */
  lease(handOnAll: () => void): BudgetLease;
  /** True when memory is short: hand on in smaller chunks. */
  tight(): boolean;
  usedBytes(): number;
}

interface Waiter {
  readonly bytes: number;
  readonly grant: () => void;
}

class Budget implements MemoryBudget {
  readonly #totalBytes: number;
  readonly #waiters = new Set<Waiter>();
  readonly #holders = new Set<Lease>();
  #usedBytes = 0;
  /** Of the used ones: handed on, so they come back by themselves. */
  #returningBytes = 0;

  constructor(totalBytes: number) {
    this.#totalBytes = totalBytes;
  }

  lease(handOnAll: () => void): BudgetLease {
    return new Lease(this, handOnAll);
  }

  tight(): boolean {
    return this.#waiters.size > 0 || this.#usedBytes > this.#totalBytes / 2;
  }

  usedBytes(): number {
    return this.#usedBytes;
  }

  take(lease: Lease, bytes: number, signal: AbortSignal | undefined): Promise<void> | undefined {
    if (this.#waiters.size === 0 && this.#fits(bytes)) {
      this.#grant(lease, bytes);
      return undefined;
    }
    return new Promise<void>((resolve, reject) => {
      const abort = (): void => {
        this.#waiters.delete(waiter);
        this.#serve();
        reject(new SkerryError('Aborted', 'the write was aborted while it waited for memory'));
      };
      const waiter: Waiter = {
        bytes,
        grant: () => {
          signal?.removeEventListener('abort', abort);
          this.#grant(lease, bytes);
          resolve();
        },
      };
      if (signal?.aborted === true) return abort();
      signal?.addEventListener('abort', abort, { once: true });
      this.#waiters.add(waiter);
      this.#reclaim();
    });
  }

  handOn(lease: Lease, bytes: number): void {
    lease.heldBytes -= bytes;
    this.#returningBytes += bytes;
    if (lease.heldBytes > 0) return;
    lease.isAsked = false;
    this.#holders.delete(lease);
  }

  give(bytes: number): void {
    this.#returningBytes -= bytes;
    this.#usedBytes -= bytes;
    this.#serve();
  }

  close(lease: Lease): void {
    this.#usedBytes -= lease.heldBytes;
    lease.heldBytes = 0;
    this.#holders.delete(lease);
    this.#serve();
  }

  /** One that asks for more than there is at all gets it when nobody else has any. */
  #fits(bytes: number): boolean {
    return this.#usedBytes + bytes <= this.#totalBytes || this.#usedBytes === 0;
  }

  #grant(lease: Lease, bytes: number): void {
    this.#usedBytes += bytes;
    lease.heldBytes += bytes;
    this.#holders.add(lease);
  }

  #serve(): void {
    for (const waiter of this.#waiters) {
      if (!this.#fits(waiter.bytes)) return this.#reclaim();
      this.#waiters.delete(waiter);
      waiter.grant();
    }
  }

  /** Makes the largest holders hand on until what returns is enough for the first waiter. */
  #reclaim(): void {
    const [first] = this.#waiters;
    if (first === undefined) return;
    const wanted = Math.min(first.bytes, this.#totalBytes);
    const largestFirst = [...this.#holders].sort((a, b) => b.heldBytes - a.heldBytes);
    for (const holder of largestFirst) {
      if (this.#totalBytes - this.#usedBytes + this.#returningBytes >= wanted) return;
      holder.isAsked = true;
      holder.handOnAll();
    }
  }
}

class Lease implements BudgetLease {
  heldBytes = 0;
  isAsked = false;
  readonly handOnAll: () => void;
  readonly #budget: Budget;

  constructor(budget: Budget, handOnAll: () => void) {
    this.#budget = budget;
    this.handOnAll = handOnAll;
  }

  take(bytes: number, signal?: AbortSignal): Promise<void> | undefined {
    return this.#budget.take(this, bytes, signal);
  }

  handOn(bytes: number): void {
    this.#budget.handOn(this, bytes);
  }

  asked(): boolean {
    return this.isAsked;
  }

  give(bytes: number): void {
    this.#budget.give(bytes);
  }

  close(): void {
    this.#budget.close(this);
  }
}

export function createMemoryBudget(totalBytes: number): MemoryBudget {
  return new Budget(totalBytes);
}
