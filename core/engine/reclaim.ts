/**
 * When freed bytes may really go. A read that began before a version was dropped may still be streaming its bytes, so
 * locators are given back only when every read that was running then has ended (epoch-based reclamation).
 */
import type { ChunkStore, Locator, Logger } from '../contracts/index.ts';

interface Epoch {
  readers: number;
  readonly freed: Locator[];
  readonly waiters: (() => void)[];
}

export interface Reclaimer {
  /** Call before looking anything up; the result ends the read and is idempotent. */
  beginRead(): () => void;
  /** Frees once all reads that run now have ended. */
  free(locators: readonly Locator[]): void;
  /** Resolves when all reads that run now have ended, or the signal aborts. */
  barrier(signal: AbortSignal): Promise<void>;
  /** Resolves when everything freed so far has been handed to the chunk-store or is blocked by a running read. */
  settle(): Promise<void>;
}

export function createReclaimer({
  chunkStore,
  logger,
}: {
  readonly chunkStore: ChunkStore;
  readonly logger: Logger;
}): Reclaimer {
  const newEpoch = (): Epoch => ({ readers: 0, freed: [], waiters: [] });
  const epochs: Epoch[] = [newEpoch()];
  let freeing: Promise<void> = Promise.resolve();
  const current = (): Epoch => epochs[epochs.length - 1] as Epoch;

  /** Retires epochs from the oldest on: an epoch's frees wait for its own readers and all before. */
  function retire(): void {
    while (epochs.length > 1 && epochs[0]?.readers === 0) {
      const { freed, waiters } = epochs.shift() as Epoch;
      for (const wake of waiters) wake();
      if (freed.length === 0) continue;
      freeing = freeing
        .then(() => chunkStore.free(freed))
        .catch((error: unknown) =>
          logger.error(
            { err: error, records: freed.length },
            'could not free chunks; garbage collection finds them later',
          ),
        );
    }
  }

  function turn(): Epoch {
    const ended = current();
    epochs.push(newEpoch());
    return ended;
  }

  return {
    beginRead() {
      const epoch = current();
      epoch.readers++;
      let open = true;
      return () => {
        if (!open) return;
        open = false;
        epoch.readers--;
        retire();
      };
    },
    free(locators) {
      if (locators.length === 0) return;
      turn().freed.push(...locators);
      retire();
    },
    barrier(signal) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const wake = (): void => {
        signal.removeEventListener('abort', wake);
        resolve();
      };
      turn().waiters.push(wake);
      signal.addEventListener('abort', wake);
      if (signal.aborted) wake();
      retire();
      return promise;
    },
    settle: () => freeing,
  };
}
