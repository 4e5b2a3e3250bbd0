/** Chunks by content: where they lie, their bytes, and the entries of those that are manifest nodes. */
import { isSkerryError, SkerryError } from '../contracts/index.ts';
import type { ChunkHash, ChunkStore, Locator, ManifestEntry, MetaReader, ReadOptions } from '../contracts/index.ts';
import type { Healing, SoughtBytes } from './healing.ts';
import { chunkKey } from './keys.ts';
import { parseNode } from './manifest.ts';
import { decodeRecord, type ChunkRow } from './records.ts';
import type { VersionRef } from './version-ref.ts';

export interface ChunkFinderDeps {
  readonly chunkStore: Pick<ChunkStore, 'read' | 'readNow'>;
  readonly reader: Pick<MetaReader, 'get'>;
  readonly healing: Pick<Healing, 'locate' | 'heal'>;
}

type Attempt = { readonly bytes: Uint8Array } | { readonly failure: SkerryError };

export class ChunkFinder {
  readonly #deps: ChunkFinderDeps;

  constructor(deps: ChunkFinderDeps) {
    this.#deps = deps;
  }

  /** `undefined` for what this site does not have. */
  async locate(hashes: readonly ChunkHash[]): Promise<readonly (Locator | undefined)[]> {
    const rows = await this.#deps.reader.get(hashes.map(chunkKey));
    return rows.map((row) => row && decodeRecord<ChunkRow>(row).locator);
  }

  /**
   * A record that moved is found at its new place; one that is damaged or not here at all is fetched from a peer. `Corrupt` or
   * `Unavailable` where that cannot be.
   */
  async read(sought: SoughtBytes, options?: ReadOptions): Promise<Uint8Array> {
    const { chunkStore, healing } = this.#deps;
    const first = sought.locator === undefined ? notHere(sought) : await this.#try(sought.locator, options);
    if ('bytes' in first) return first.bytes;
    const locator = await healing.locate(sought);
    const second = locator === undefined || locator === sought.locator ? first : await this.#try(locator, options);
    if ('bytes' in second) return second.bytes;
    const healed = await healing.heal({ ...sought, locator }, second.failure, options?.signal);
    return chunkStore.read(healed, options);
  }

  /** Entries of a manifest node. `holder`: a version under which it is. */
  async loadNode(entry: ManifestEntry, holder?: VersionRef): Promise<readonly ManifestEntry[]> {
    const [locator] = await this.locate([entry.hash]);
    return parseNode(entry, await this.read({ entry, locator, holder, isOwn: false }));
  }

  async #try(locator: Locator, options: ReadOptions | undefined): Promise<Attempt> {
    try {
      return { bytes: await this.#deps.chunkStore.read(locator, options) };
    } catch (error) {
      if (isSkerryError(error, 'Corrupt')) return { failure: error };
      if (!isSkerryError(error, 'NotFound')) throw error;
      const gone = new SkerryError('Corrupt', 'stored bytes are missing', { cause: error, details: { locator } });
      return { failure: gone };
    }
  }
}

function notHere({ entry }: SoughtBytes): Attempt {
  const details = { hash: entry.hash, retryAfterMs: 5000 };
  return { failure: new SkerryError('Unavailable', 'this site does not have these bytes yet', { details }) };
}
