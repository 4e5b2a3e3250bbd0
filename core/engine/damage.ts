/**
 * Records of the chunk-store that turned out to be damaged or gone, until good bytes are in their place. Known in memory
 * alone: after a restart whoever reads them next finds them again.
 */
import type { ChunkHash, Locator } from '../contracts/index.ts';
import type { VersionRef } from './version-ref.ts';

/** Records remembered; what is forgotten is found again by the next read. */
const KNOWN_MAX = 65_536;

/** A small body that belongs to one version alone. */
export interface DamagedBody {
  readonly locator: Locator;
  readonly version: VersionRef;
}

interface DamagedRecord {
  readonly hash: ChunkHash;
  /** Absent for a shared chunk, which is found by its hash. */
  readonly owner: VersionRef | undefined;
}

export interface Damage {
  /** True when it was not known yet. */
  note(locator: Locator, record: DamagedRecord): boolean;
  has(locator: Locator): boolean;
  /** Damaged bodies of this content. */
  bodies(hash: ChunkHash): readonly DamagedBody[];
  /** Nothing refers to these records any more. */
  forget(locators: readonly Locator[]): void;
  /** Good bytes took the place of so many. */
  repaired(count: number): void;
  /** Since the start. */
  counters(): { readonly damaged: number; readonly repaired: number };
}

export function createDamage(): Damage {
  const records = new Map<Locator, DamagedRecord>();
  let [damaged, repaired] = [0, 0];
  return {
    note(locator, record) {
      if (records.has(locator)) return false;
      records.set(locator, record);
      damaged++;
      const [oldest] = records.keys();
      if (records.size > KNOWN_MAX && oldest !== undefined) records.delete(oldest);
      return true;
    },
    has: (locator) => records.has(locator),
    bodies: (hash) =>
      records.size === 0
        ? []
        : [...records].flatMap(([locator, one]) =>
            one.hash === hash && one.owner ? [{ locator, version: one.owner }] : [],
          ),
    forget(locators) {
      if (records.size > 0) for (const locator of locators) records.delete(locator);
    },
    repaired: (count) => void (repaired += count),
    counters: () => ({ damaged, repaired }),
  };
}
