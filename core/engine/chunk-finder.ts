/** Chunks by content: where they lie, their bytes, and the entries of those that are manifest nodes. */
import { isSkerryError, SkerryError } from '../contracts/index.ts';
import type { ChunkHash, ChunkStore, Locator, ManifestEntry, MetaReader, ReadOptions } from '../contracts/index.ts';
import { chunkKey } from './keys.ts';
import { parseNode } from './manifest.ts';
import { decodeRecord, type ChunkRow } from './records.ts';

export interface ChunkFinderDeps {
  readonly chunkStore: Pick<ChunkStore, 'read' | 'readNow'>;
  readonly reader: Pick<MetaReader, 'get'>;
}

export class ChunkFinder {
  readonly #deps: ChunkFinderDeps;

  constructor(deps: ChunkFinderDeps) {
    this.#deps = deps;
  }

  /** Rejects `Unavailable` when this site does not have one of them. */
  async locate(hashes: readonly ChunkHash[]): Promise<readonly Locator[]> {
    const rows = await this.#deps.reader.get(hashes.map(chunkKey));
    return rows.map((row, i) => {
      if (row !== undefined) return decodeRecord<ChunkRow>(row).locator;
      throw new SkerryError('Unavailable', 'this site does not have these bytes yet', { details: { hash: hashes[i] } });
    });
  }

  /** A record that moved is found at its new place; one that is gone altogether is damage. */
  async read(hash: ChunkHash, locator: Locator, options?: ReadOptions): Promise<Uint8Array> {
    const { chunkStore, reader } = this.#deps;
    try {
      return await chunkStore.read(locator, options);
    } catch (error) {
      if (!isSkerryError(error, 'NotFound')) throw error;
      const [row] = await reader.get([chunkKey(hash)]);
      const moved = row === undefined ? undefined : decodeRecord<ChunkRow>(row).locator;
      if (moved !== undefined && moved !== locator) return chunkStore.read(moved, options);
      throw new SkerryError('Corrupt', 'stored bytes are missing', { cause: error, details: { hash, locator } });
    }
  }

  /** Entries of a manifest node. */
  async loadNode(entry: ManifestEntry): Promise<readonly ManifestEntry[]> {
    const [locator] = await this.locate([entry.hash]);
    return parseNode(entry, await this.read(entry.hash, locator as Locator));
  }
}
