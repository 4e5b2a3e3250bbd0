/** Open read handles, the least recently used closed first; a handle in use is never closed. */
import type { FileHandle, FileSystem } from '../../core/contracts/index.ts';
import type { Segment } from './segment.ts';

export interface Lease {
  readonly handle: FileHandle;
  users: number;
  /** Segment deleted or evicted: close when the last user is done. */
  isDoomed: boolean;
}

export class Handles {
  readonly #files: FileSystem;
  readonly #openFilesMax: number;
  readonly #leases = new Map<Segment, Lease>();
  readonly #opening = new Map<Segment, Promise<Lease>>();
  readonly #closing = new Set<Promise<void>>();
  /** First failure to close a handle; told by `closeAll`. */
  #failure: Error | undefined;

  constructor(files: FileSystem, openFilesMax: number) {
    this.#files = files;
    this.#openFilesMax = openFilesMax;
  }

  /** A lease when the file is open already; pair with `release`. */
  acquireNow(segment: Segment): Lease | undefined {
    const lease = this.#leases.get(segment);
    if (lease === undefined) return undefined;
    this.#leases.delete(segment);
    this.#leases.set(segment, lease);
    lease.users += 1;
    return lease;
  }

  async acquire(segment: Segment): Promise<Lease> {
    for (;;) {
      const lease = this.acquireNow(segment);
      if (lease !== undefined) return lease;
      let opening = this.#opening.get(segment);
      if (opening === undefined) {
        opening = this.#open(segment);
        this.#opening.set(segment, opening);
      }
      await opening;
    }
  }

  release(lease: Lease): void {
    lease.users -= 1;
    if (lease.users > 0) return;
    if (lease.isDoomed) this.#close(lease);
    else this.#evict();
  }

  /** Takes over a handle that is open already, such as a segment's that was just sealed. */
  adopt(segment: Segment, handle: FileHandle): Lease {
    const lease = { handle, users: 0, isDoomed: false };
    this.#leases.set(segment, lease);
    this.#evict(segment);
    return lease;
  }

  drop(segment: Segment): void {
    const lease = this.#leases.get(segment);
    if (lease === undefined) return;
    this.#leases.delete(segment);
    lease.isDoomed = true;
    if (lease.users === 0) this.#close(lease);
  }

  /** Rejects with the first failure of any close since the beginning. */
  async closeAll(): Promise<void> {
    for (const segment of this.#leases.keys()) this.drop(segment);
    await Promise.all(this.#closing);
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #open(segment: Segment): Promise<Lease> {
    try {
      return this.adopt(segment, await this.#files.open(segment.path, 'read'));
    } finally {
      this.#opening.delete(segment);
    }
  }

  #evict(newest?: Segment): void {
    if (this.#leases.size <= this.#openFilesMax) return;
    for (const [segment, lease] of this.#leases) {
      if (segment === newest || lease.users > 0) continue;
      this.drop(segment);
      if (this.#leases.size <= this.#openFilesMax) return;
    }
  }

  #close(lease: Lease): void {
    const closing = lease.handle
      .close()
      .catch((error: Error) => {
        this.#failure ??= error;
      })
      .finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }
}
