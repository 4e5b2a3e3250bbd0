/** Puts the chunks of one write into the chunk-store, each content once, and can take them all back. */
import type { ChunkHash, ChunkStore, Locator, MetaReader, RecordKind } from '../contracts/index.ts';
import type { Damage } from './damage.ts';
import { chunkKey } from './keys.ts';
import type { Pins } from './pins.ts';
import { decodeRecord, type ChunkRow, type Placement } from './records.ts';

export interface PlacerDeps {
  readonly chunkStore: ChunkStore;
  readonly reader: MetaReader;
  readonly pins: Pins;
  /** What is damaged is not shared but stored anew. */
  readonly damage: Pick<Damage, 'has'>;
}

export class ChunkPlacer {
  readonly #deps: PlacerDeps;
  readonly #placed = new Map<ChunkHash, Promise<Placement>>();
  readonly #placements: Placement[] = [];
  readonly #owned: Locator[] = [];
  #ended = false;

  constructor(deps: PlacerDeps) {
    this.#deps = deps;
  }

  /** Placements so far, one for each content. */
  placements(): readonly Placement[] {
    return this.#placements;
  }

  /** Stores a chunk unless this site has its content already. It is pinned until `settled` or `release`. */
  place(chunk: {
    readonly hash: ChunkHash;
    readonly kind: RecordKind;
    readonly data: readonly Uint8Array[];
    readonly length: number;
  }): Promise<Placement> {
    const known = this.#placed.get(chunk.hash);
    if (known !== undefined) return known;
    const placement = this.#place(chunk);
    this.#placed.set(chunk.hash, placement);
    return placement;
  }

  /** Stores a chunk that belongs to one version alone. */
  async own(hash: ChunkHash, data: readonly Uint8Array[]): Promise<Locator> {
    const [locator] = await this.#deps.chunkStore.append([{ kind: 'data', hash, data }]);
    this.#owned.push(locator as Locator);
    return locator as Locator;
  }

  /** The write is committed: its rows protect the chunks from now on. Idempotent. */
  settled(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const hash of this.#placed.keys()) this.#deps.pins.unpin(hash);
  }

  /** The write failed: frees what was appended for it. To be called when no `place` is running any more. Idempotent. */
  async release(): Promise<void> {
    if (this.#ended) return;
    this.settled();
    const fresh = this.#placements.filter((placement) => placement.fresh).map(({ locator }) => locator);
    const locators = [...this.#owned, ...fresh];
    if (locators.length > 0) await this.#deps.chunkStore.free(locators);
  }

  async #place({ hash, kind, data, length }: Parameters<ChunkPlacer['place']>[0]): Promise<Placement> {
    const { chunkStore, reader, pins, damage } = this.#deps;
    // before the look: garbage collection must not take the chunk between the look and the commit
    pins.pin(hash);
    const [row] = await reader.get([chunkKey(hash)]);
    const known = row === undefined ? undefined : decodeRecord<ChunkRow>(row);
    const placement: Placement =
      known === undefined || damage.has(known.locator)
        ? { hash, kind, length, locator: (await chunkStore.append([{ kind, hash, data }]))[0] as Locator, fresh: true }
        : { hash, kind: known.kind, length: known.length, locator: known.locator, fresh: false };
    this.#placements.push(placement);
    return placement;
  }
}
