/**
 * Which appended records are not known to be durable. After a failed sync everything that was unsynced is lost for good
 * (fsync reports an error once: PostgreSQL's "fsyncgate", 2018), even when a later sync succeeds; a write that relies on
 * such a record must be refused, however much later it commits. So must one whose append was under way when the sync failed: its
 * bytes may have been handed to the operating system before.
 */
import type { ChunkRecord, ChunkStore, Locator } from '../contracts/index.ts';
import { createInFlight, type InFlight } from './in-flight.ts';
import type { Placement } from './records.ts';

export interface LedgeredChunkStore extends ChunkStore, Pick<InFlight, 'settled' | 'watch'> {
  /** True when a sync failed between the record's append and now, so that its bytes cannot be relied on. */
  isLost(locator: Locator): boolean;
}

export function ledgerSyncs(store: ChunkStore): LedgeredChunkStore {
  const unsynced = new Set<Locator>();
  const lost = new Set<Locator>();
  let failures = 0;
  const inFlight = createInFlight();
  const sparse = store.sparse?.bind(store);

  async function appendUnsynced(records: readonly ChunkRecord[]): Promise<readonly Locator[]> {
    const before = failures;
    const locators = await store.append(records);
    for (const locator of locators) (failures === before ? unsynced : lost).add(locator);
    return locators;
  }

  return {
    isLost: (locator) => lost.has(locator),
    append: (records) => inFlight.appending(records, appendUnsynced(records)),
    async sync() {
      const covered = [...unsynced];
      try {
        await store.sync();
      } catch (error) {
        failures++;
        for (const locator of unsynced) lost.add(locator);
        unsynced.clear();
        throw error;
      }
      for (const locator of covered) unsynced.delete(locator);
    },
    async free(locators) {
      for (const locator of locators) {
        unsynced.delete(locator);
        lost.delete(locator);
      }
      // at once: should it fail, garbage collection finds them
      inFlight.settled(locators);
      await store.free(locators);
    },
    read: (locator, options) => store.read(locator, options),
    ...(store.readNow ? { readNow: (locator: Locator) => store.readNow?.(locator) } : {}),
    scan: (options) => store.scan(options),
    ...(sparse ? { sparse } : {}),
    settled: (locators) => inFlight.settled(locators),
    watch: (salt) => inFlight.watch(salt),
    usage: () => store.usage(),
    open: () => store.open(),
    close: () => store.close(),
  };
}

/** The records that were appended for a write: what must be durable before it may commit. */
export function appendedLocators(bytes: {
  readonly locator?: Locator;
  readonly placements: readonly Placement[];
}): readonly Locator[] {
  const fresh = bytes.placements.filter((placement) => placement.fresh).map(({ locator }) => locator);
  return bytes.locator === undefined ? fresh : [bytes.locator, ...fresh];
}
