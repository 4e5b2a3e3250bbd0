/**
 * Records that were appended and that no row names yet: a write is on its way to its commit. Garbage collection leaves them
 * alone. What a crash left so is not in here afterwards, and is found.
 */
import type { ChunkRecord, Locator } from '../contracts/index.ts';
import { LocatorFilter } from './locator-filter.ts';

/** What was in flight at some time, and everything appended since. */
export interface AppendWatch {
  /** Never false for such a record, once `settle` has resolved after the record was seen in the chunk-store. */
  has(locator: Locator): boolean;
  /** Resolves when the appends that run now have ended: one may be seen in the store before its locators are known here. */
  settle(): Promise<void>;
  end(): void;
}

export interface InFlight {
  /** Hands through an append that has begun. */
  appending(records: readonly ChunkRecord[], append: Promise<readonly Locator[]>): Promise<readonly Locator[]>;
  /** Rows name these records now, or they were freed. */
  settled(locators: readonly Locator[]): void;
  watch(salt: number): AppendWatch;
}

export function createInFlight(): InFlight {
  const open = new Set<Locator>();
  const running = new Set<Promise<unknown>>();
  const watches = new Set<LocatorFilter>();

  async function note(append: Promise<readonly Locator[]>): Promise<readonly Locator[]> {
    const locators = await append;
    for (const locator of locators) {
      open.add(locator);
      for (const watch of watches) watch.add(locator);
    }
    return locators;
  }

  return {
    async appending(records, append) {
      // ops are live by themselves
      if (records.every(({ kind }) => kind === 'op')) return append;
      const noted = note(append);
      running.add(noted);
      try {
        return await noted;
      } finally {
        running.delete(noted);
      }
    },
    settled(locators) {
      for (const locator of locators) open.delete(locator);
    },
    watch(salt) {
      const filter = new LocatorFilter(salt);
      for (const locator of open) filter.add(locator);
      watches.add(filter);
      return {
        has: (locator) => filter.has(locator),
        settle: async () => void (await Promise.allSettled(running)),
        end: () => void watches.delete(filter),
      };
    },
  };
}
